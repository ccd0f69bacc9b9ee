"""A folder of vectors, tokens and seen items that numpy alone can read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_kd.errors import KDError
from recbole_kd.serving import reader
from recbole_kd.serving.output import require_package
from recbole_kd.serving.precision import encode
from recbole_kd.serving.recommender import Recommender
from recbole_kd.serving.user_items import UserItems


@dataclass(frozen=True)
class Tables:
    """What an export holds; rows are numbered from 0, without padding.

    Attributes:
        users, items: float32, shapes [n, d] and [m, d].
        user_ids: the user id of each row, int64, shape [n].
        seen: the training and validation items of each row of ``users``, as rows of ``items``.
    """

    users: np.ndarray
    items: np.ndarray
    user_ids: np.ndarray
    seen: UserItems

    @classmethod
    def of(cls, recommender: Recommender) -> "Tables | None":
        """The tables of a model; None where its scores are no inner product of vectors."""
        vectors = recommender.vectors()
        if vectors is None:
            return None
        user_ids = vectors.user_ids
        users = vectors.users.float().cpu().numpy()[user_ids]
        return cls(users, vectors.items.float().cpu().numpy()[1:], user_ids, seen_rows(recommender, user_ids))

    def encoded(self, precision: str, pq_bytes: int | None = None) -> dict[str, np.ndarray]:
        """Both tables as arrays by name, as of ``encode``. Raises KDError."""
        sides = (("user", self.users), ("item", self.items))
        return {
            name: array for side, table in sides for name, array in encode(table, precision, side, pq_bytes).items()
        }


def seen_rows(recommender: Recommender, user_ids: np.ndarray) -> UserItems:
    """The training and validation items of some users, as rows from 0."""
    seen = recommender.interactions("seen").take(user_ids)
    return UserItems(seen.starts, seen.items - 1)


def write_tokens(folder: Path, recommender: Recommender, user_ids: np.ndarray | None) -> None:
    """Write users.txt and items.txt, a token on each line, in the order of the rows.

    Raises:
        KDError: a token with a line break.
    """
    sides = {"items": recommender.items.tokens[1:]}
    if user_ids is not None:
        sides["users"] = recommender.users.tokens[user_ids]
    for name, tokens in sides.items():
        if any("\n" in token for token in tokens):
            raise KDError(f"a token of {name} holds a line break, and {name}.txt has a token on each line: rename it")
        (folder / f"{name}.txt").write_bytes("".join(f"{token}\n" for token in tokens).encode())


def write_bundle(
    folder: Path, recommender: Recommender, tables: Tables, vectors: dict[str, np.ndarray], container: str
) -> None:
    """Write vectors, seen items, tokens and reader.py.

    Args:
        folder: an empty folder.
        recommender: the model.
        tables: its tables.
        vectors: those of the tables as arrays, as of ``encode``.
        container: ``npz`` or ``safetensors``.

    Raises:
        KDError: safetensors is not installed.
    """
    seen = {"seen_starts": tables.seen.starts, "seen_items": tables.seen.items.astype(np.int32)}
    if container == "safetensors":
        require_package("safetensors", "format=safetensors")
        from safetensors.numpy import save_file

        save_file(
            {name: np.ascontiguousarray(a) for name, a in (vectors | seen).items()}, folder / "vectors.safetensors"
        )
    else:
        np.savez(folder / "vectors.npz", **vectors)  # type: ignore[arg-type]
        np.savez(folder / "seen.npz", **seen)  # type: ignore[arg-type]
    write_tokens(folder, recommender, tables.user_ids)
    (folder / "reader.py").write_bytes(Path(reader.__file__).read_bytes())
