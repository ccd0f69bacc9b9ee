"""RecBole's HyperTuning with its default algorithm, under a current hyperopt (1354, 1990)."""

from typing import Any

import numpy as np


class _Random:
    """numpy's ``random`` with a Generator in place of a RandomState, which a current hyperopt does not draw from."""

    @staticmethod
    def RandomState(seed: Any = None) -> np.random.Generator:
        return np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(np.random, name)


class _Numpy:
    """The module numpy with another ``random``."""

    random = _Random()

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def mend_hyper_tuning() -> None:
    """``exhaustive_search`` gives hyperopt a RandomState; since 0.2.6 hyperopt calls methods that only a Generator has.

    hyperopt itself is not imported here: RecBole does so when a search is made.
    """
    from recbole.trainer import hyper_tuning

    if isinstance(hyper_tuning.np, _Numpy):
        return
    hyper_tuning.np = _Numpy()
