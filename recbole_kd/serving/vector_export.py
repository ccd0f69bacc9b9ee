"""The files of a model of vectors, and how they are searched."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_kd.serving.bundle import Tables, write_bundle, write_tokens
from recbole_kd.serving.checks import Listing
from recbole_kd.serving.faiss_index import open_index, write_index
from recbole_kd.serving.onnx_vectors import open_graph, write_vector_graph
from recbole_kd.serving.output import MANIFEST
from recbole_kd.serving.reader import Recommender as Reader
from recbole_kd.serving.recommender import Recommender

Search = Callable[[np.ndarray], Any]  # rows of users.txt [b] -> the best items of each


@dataclass(frozen=True)
class VectorFiles:
    """What was written to a folder.

    Attributes:
        listing: the lists of some users, as compare_lists takes it.
        search: the same search from rows of users.txt, as a service calls it; seen items are left out, but for faiss.
    """

    listing: Listing
    search: Search


def write_vector_files(
    folder: Path, recommender: Recommender, tables: Tables, vectors: dict[str, np.ndarray], format: str, k: int
) -> VectorFiles:
    """Write a bundle or an ONNX graph.

    Args:
        folder: an empty folder.
        recommender: the model.
        tables: its tables.
        vectors: the same as arrays, as of ``encode``.
        format: as of ExportOptions; the index of ``faiss`` is not written.
        k: length of the lists of the search.
    """
    if format == "onnx":
        write_vector_graph(folder / "model.onnx", tables, vectors)
        write_tokens(folder, recommender, tables.user_ids)
        return _graph_files(folder, tables, k)
    write_bundle(folder, recommender, tables, vectors, "safetensors" if format == "safetensors" else "npz")
    (folder / MANIFEST).write_text("{}", encoding="utf-8")  # the reader looks at it; the description replaces it
    files = _bundle_files(folder, recommender, k)
    (folder / MANIFEST).unlink()
    return files


def _bundle_files(folder: Path, recommender: Recommender, k: int) -> VectorFiles:
    reader = Reader(folder)

    def search(rows: np.ndarray) -> Any:
        return reader.recommend_batch([reader.users[row] for row in rows], k)

    def listing(users: np.ndarray) -> np.ndarray:
        lists = reader.recommend_batch(recommender.users.tokens[users].tolist(), k)
        return np.array([[reader.item_rows[item] + 1 for item, _ in row] + [-1] * (k - len(row)) for row in lists])

    return VectorFiles(listing, search)


def _graph_files(folder: Path, tables: Tables, k: int) -> VectorFiles:
    run = open_graph(folder / "model.onnx")

    def search(rows: np.ndarray) -> Any:
        return run({"users": rows, "k": np.array([k], dtype=np.int64)})

    def listing(users: np.ndarray) -> np.ndarray:
        items, scores = search(np.searchsorted(tables.user_ids, users))
        return np.where(np.isfinite(scores), items + 1, -1)

    return VectorFiles(listing, search)


def write_index_file(folder: Path, tables: Tables, index: str, precision: str, pq_bytes: int | None, k: int) -> Search:
    """Write the faiss index of a bundle; returns its search.

    Args:
        folder: the folder.
        tables: the vectors.
        index, precision, pq_bytes, k: as of ExportOptions.
    """
    write_index(folder / "index.faiss", tables.items, index, precision, pq_bytes)
    searcher = open_index(folder / "index.faiss")
    return lambda rows: searcher.search(np.ascontiguousarray(tables.users[rows]), k)
