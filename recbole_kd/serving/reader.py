"""Reads an exported folder and recommends items. It needs numpy alone; copy it wherever it is needed.

from reader import Recommender

recommender = Recommender("bundle")
recommender.recommend("196", k=10)  # [(item token, score), ...], best first
"""

import json
from pathlib import Path

import numpy as np

ROWS, SCORES = 256, 25_000_000  # users, and scores of users and items, that are in memory at once at most


class Recommender:
    """Vectors whose inner product is the score of a user and an item.

    Args:
        folder: an exported folder.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        arrays = _read_safetensors(folder) if (folder / "vectors.safetensors").exists() else _read_npz(folder)
        self.user_vectors, self.item_vectors = (_decode(arrays, side) for side in ("user", "item"))
        self.seen_starts, self.seen_items = arrays["seen_starts"], arrays["seen_items"]
        texts = [(folder / f"{side}s.txt").read_text(encoding="utf-8") for side in ("user", "item")]
        self.users, self.items = (text.split("\n")[:-1] for text in texts)
        self.user_rows, self.item_rows = ({token: row for row, token in enumerate(t)} for t in (self.users, self.items))

    def recommend(self, user: str, k: int = 10, exclude_seen: bool = True) -> list[tuple[str, float]]:
        """The k best items of a user that the user has not seen: (item token, score) pairs, fewer if fewer are left."""
        return self.recommend_batch([user], k, exclude_seen)[0]

    def recommend_batch(self, users: list[str], k: int = 10, exclude_seen: bool = True) -> list:
        """The same for several users: a list for each."""
        rows = np.array([_row_of(self.user_rows, user, "user") for user in users], dtype=np.int64)
        lists, step = [], max(1, min(ROWS, SCORES // max(1, len(self.items))))
        for first in range(0, len(rows), step):
            block = rows[first : first + step]
            scores = self.user_vectors[block] @ self.item_vectors.T
            if exclude_seen:
                for row, user in enumerate(block):
                    scores[row, self.seen_items[self.seen_starts[user] : self.seen_starts[user + 1]]] = -np.inf
            lists += _best(scores, k, self.items)
        return lists

    def similar_items(self, item: str, k: int = 10) -> list[tuple[str, float]]:
        """The k items of the largest cosine with an item: (item token, cosine) pairs."""
        row = _row_of(self.item_rows, item, "item")
        lengths = np.maximum(np.linalg.norm(self.item_vectors, axis=1), 1e-12)
        cosines = (self.item_vectors @ self.item_vectors[row]) / (lengths * lengths[row])
        cosines[row] = -np.inf
        return _best(cosines[None, :], k, self.items)[0]


def _best(scores, k, tokens):
    """For each row its k best (token, score) pairs, without those of -inf."""
    k = min(k, scores.shape[1])
    columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    columns, values = (np.take_along_axis(table, order, axis=1) for table in (columns, values))
    pairs = (zip(*row, strict=True) for row in zip(columns.tolist(), values.tolist(), strict=True))
    return [[(tokens[column], value) for column, value in row if value > -np.inf] for row in pairs]


def _row_of(rows, token, kind):
    if str(token) not in rows:
        raise KeyError(f"unknown {kind} '{token}': {kind}s.txt has one token on each line")
    return rows[str(token)]


def _decode(arrays, side):
    """A table of vectors as float32; int8 has a scale for each row, pq a centroid for each part of a row."""
    if f"{side}_codes" in arrays:
        codes, centroids = arrays[f"{side}_codes"], arrays[f"{side}_centroids"]
        return centroids[np.arange(codes.shape[1]), codes].reshape(len(codes), -1)
    table = arrays[f"{side}_vectors"].astype(np.float32)
    return table * arrays[f"{side}_scale"][:, None] if f"{side}_scale" in arrays else table


def _read_npz(folder):
    return {**np.load(folder / "vectors.npz"), **np.load(folder / "seen.npz")}


def _read_safetensors(folder):
    content = (folder / "vectors.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    kinds, arrays = {"F32": "<f4", "F16": "<f2", "U8": "<u1", "I8": "<i1", "I64": "<i8", "I32": "<i4"}, {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            flat = np.frombuffer(content[start + first : start + last], kinds[entry["dtype"]])
            arrays[name] = flat.reshape(entry["shape"])
    return arrays
