"""A faiss index of the item vectors, with its recall against an exact search."""

from pathlib import Path
from typing import Any

import numpy as np

from recbole_kd.serving.precision import parts_of

INDEXES = ("flat", "hnsw")
CODES = {"fp32": "Flat", "fp16": "SQfp16", "int8": "SQ8"}
LINKS = 32  # of each item in an hnsw graph
SEARCH = 128  # candidates of an hnsw search


def write_index(path: Path, items: np.ndarray, index: str, precision: str, pq_bytes: int | None = None) -> None:
    """Write an index of inner products; its ids are the rows of items.txt.

    Args:
        path: the file.
        items: float32, shape [m, d].
        index: ``flat``, an exact search, or ``hnsw``, a graph, whose search is approximate.
        precision: how the index keeps the vectors; of ``hnsw`` not ``pq``, as faiss would rank by distance.
        pq_bytes: of pq, as of ``encode``.
    """
    import faiss

    code = CODES.get(precision) or _product_code(items, pq_bytes)
    name = code if index == "flat" else f"HNSW{LINKS}_{code}"
    searcher: Any = faiss.index_factory(items.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    if precision == "pq":
        searcher.pq.cp.min_points_per_centroid = 1  # faiss warns on the screen of a small table otherwise
    vectors = np.ascontiguousarray(items, dtype=np.float32)
    if not searcher.is_trained:
        searcher.train(vectors)
    searcher.add(vectors)
    if index == "hnsw":
        searcher.hnsw.efSearch = SEARCH
    faiss.write_index(searcher, str(path))


def _product_code(items: np.ndarray, pq_bytes: int | None) -> str:
    """The name of product quantisation in faiss, with fewer centroids than items."""
    bits = max(1, min(8, len(items).bit_length() - 1))
    return f"PQ{parts_of(items.shape[1], pq_bytes)}x{bits}"


def open_index(path: Path) -> Any:
    """The index in a file."""
    import faiss

    return faiss.read_index(str(path))


def recall_of(path: Path, users: np.ndarray, items: np.ndarray, k: int) -> float:
    """The share of the exact k best items that the index lists, over some users; seen items are not left out.

    Args:
        path: the index.
        users: the users' vectors, float32, shape [b, d].
        items: the items' vectors, float32, shape [m, d].
        k: length of the lists, at most m.
    """
    listed = open_index(path).search(np.ascontiguousarray(users, dtype=np.float32), k)[1]
    scores = users @ items.T
    bound = -np.partition(-scores, k - 1, axis=1)[:, k - 1]
    tolerance = 1e-5 * np.abs(scores).max(axis=1)
    values = np.take_along_axis(scores, np.maximum(listed, 0), axis=1)
    return float(((values >= (bound - tolerance)[:, None]) & (listed >= 0)).mean())
