"""KSR, which multiplies pre-trained vectors of relations with its own: the former in float64, the latter in float32."""

import functools
from typing import Any


def mend_preload_weight() -> None:
    """``Dataset.get_preload_weight`` gives float32, as the parameters of a model are.

    RecBole keeps the vectors of ``preload_weight`` in float64. GRU4RecKG copies them into a table, which rounds them;
    KSR uses the relations' as they are, and every pass ended in "expected m1 and m2 to have the same dtype".
    """
    import numpy as np
    from recbole.data.dataset.dataset import Dataset

    stock = Dataset.get_preload_weight
    if hasattr(stock, "__wrapped__"):
        return

    @functools.wraps(stock)
    def get_preload_weight(self: Any, field: str) -> Any:
        return stock(self, field).astype(np.float32)

    Dataset.get_preload_weight = get_preload_weight
