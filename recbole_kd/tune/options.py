"""The options of a search, apart from the keys of the run itself."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from recbole_kd.errors import KDError
from recbole_kd.tune.searchers import SEARCHERS
from recbole_kd.tune.space import SIDES

TRIALS = 20


@dataclass(frozen=True)
class Options:
    """The options of a search.

    Attributes:
        side: what is tuned: ``method``, ``alone`` (the student alone) or ``teacher``.
        trials: the number of trials, including the first, which has the default settings; 20 where neither this nor
            ``minutes`` is given.
        minutes: no trial begins once the trials have taken this long together.
        space: a YAML file with the search space; the space that comes with the method where None.
        searcher: ``random``, or ``optuna`` if that is installed.
        pruning: whether to stop a trial whose score lies below the median of the others.
        output: a YAML file for the recipe; a JSON file of all trials is written beside it.

    Raises:
        KDError: a value is out of range.
    """

    side: str = "method"
    trials: int | None = None
    minutes: float | None = None
    space: str | None = None
    searcher: str = "random"
    pruning: bool = True
    output: str | None = None

    def __post_init__(self) -> None:
        self._check_word("side", SIDES)
        self._check_word("searcher", SEARCHERS)
        if not isinstance(self.pruning, bool):
            self._refuse("pruning", "True or False")
        if self.trials is not None and not (_is_number(self.trials, int) and self.trials >= 1):
            self._refuse("trials", "an int in [1, inf)")
        if self.minutes is not None and not (_is_number(self.minutes, (int, float)) and 0 < self.minutes < math.inf):
            self._refuse("minutes", "a number in (0, inf)")
        if self.output is not None and not str(self.output).endswith((".yaml", ".yml")):
            self._refuse("output", "a YAML file, with the suffix .yaml")

    def _check_word(self, name: str, words: Iterable[str]) -> None:
        if getattr(self, name) not in words:
            self._refuse(name, f"one of {', '.join(words)}")

    def _refuse(self, name: str, accepted: str) -> NoReturn:
        raise KDError(f"{name}={getattr(self, name)!r} is out of range: it takes {accepted}")

    @property
    def limit(self) -> float:
        """The number of trials after which the search ends."""
        return self.trials or (TRIALS if self.minutes is None else math.inf)

    @property
    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults, by name."""
        return {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if getattr(self, option.name) != option.default
        }


NAMES = tuple(option.name for option in fields(Options))


def _is_number(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
