"""Tables of vectors in fewer bytes: halves, or int8 with a scale for each row."""

import numpy as np

PRECISIONS = ("fp32", "fp16", "int8")
STEPS = 127  # the largest int8


def encode(table: np.ndarray, precision: str, side: str) -> dict[str, np.ndarray]:
    """A table as arrays by name: ``<side>_vectors`` and, for int8, ``<side>_scale``.

    Args:
        table: float32, shape [n, d].
        precision: one of PRECISIONS; int8 rounds each number to a 127th of the largest of its row.
        side: ``user`` or ``item``.

    >>> {name: array.tolist() for name, array in encode(np.array([[127.0, -1.4]]), "int8", "item").items()}
    {'item_vectors': [[127, -1]], 'item_scale': [1.0]}
    """
    if precision == "fp32":
        return {f"{side}_vectors": table.astype(np.float32)}
    if precision == "fp16":
        limit = np.finfo(np.float16).max
        return {f"{side}_vectors": table.clip(-limit, limit).astype(np.float16)}
    largest = np.abs(table).max(axis=1)
    scale = np.where(largest > 0, largest / STEPS, 1.0).astype(np.float32)
    return {f"{side}_vectors": np.rint(table / scale[:, None]).astype(np.int8), f"{side}_scale": scale}


def decode(arrays: dict[str, np.ndarray], side: str) -> np.ndarray:
    """The table of ``encode`` as float32, shape [n, d]."""
    table = arrays[f"{side}_vectors"].astype(np.float32)
    scale = arrays.get(f"{side}_scale")
    return table if scale is None else table * scale[:, None]
