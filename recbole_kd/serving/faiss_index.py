"""A faiss index of the item vectors, with its recall against an exact search."""

from pathlib import Path
from typing import Any

import numpy as np

INDEXES = ("flat", "hnsw")
CODES = {"fp32": "Flat", "fp16": "SQfp16", "int8": "SQ8"}
LINKS = 32  # of each item in an hnsw graph
SEARCH = 128  # candidates of an hnsw search


def write_index(path: Path, items: np.ndarray, index: str, precision: str) -> None:
    """Write an index of inner products; its ids are the rows of items.txt.

    Args:
        path: the file.
        items: float32, shape [m, d].
        index: ``flat``, an exact search, or ``hnsw``, a graph, whose search is approximate.
        precision: how the index keeps the vectors.
    """
    import faiss

    name = CODES[precision] if index == "flat" else f"HNSW{LINKS}_{CODES[precision]}"
    searcher: Any = faiss.index_factory(items.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    vectors = np.ascontiguousarray(items, dtype=np.float32)
    if not searcher.is_trained:
        searcher.train(vectors)
    searcher.add(vectors)
    if index == "hnsw":
        searcher.hnsw.efSearch = SEARCH
    faiss.write_index(searcher, str(path))


def recall_of(path: Path, users: np.ndarray, items: np.ndarray, k: int) -> float:
    """The share of the exact k best items that the index lists, over some users; seen items are not left out.

    Args:
        path: the index.
        users: the users' vectors, float32, shape [b, d].
        items: the items' vectors, float32, shape [m, d].
        k: length of the lists, at most m.
    """
    import faiss

    listed = faiss.read_index(str(path)).search(np.ascontiguousarray(users, dtype=np.float32), k)[1]
    scores = users @ items.T
    bound = -np.partition(-scores, k - 1, axis=1)[:, k - 1]
    tolerance = 1e-5 * np.abs(scores).max(axis=1)
    values = np.take_along_axis(scores, np.maximum(listed, 0), axis=1)
    return float(((values >= (bound - tolerance)[:, None]) & (listed >= 0)).mean())
