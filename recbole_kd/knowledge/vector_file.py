"""A teacher that is a file of vectors: of items, or of users and items, whose inner products are the scores."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.errors import KDError
from recbole_kd.knowledge.file_tables import token_ids

SIDES = ("user", "item")


@dataclass(frozen=True)
class FileVectors:
    """The vectors in a file, by id; row 0, the padding, is 0.

    Attributes:
        items: float32, shape [n_items, d_T].
        users: float32, shape [n_users, d_T]; None where the file has none.
    """

    items: torch.Tensor
    users: torch.Tensor | None = None


class VectorModel(nn.Module):
    """The part of a RecBole model that FactorBackbone reads: two tables.

    Args:
        users: shape [n_users, d].
        items: shape [n_items, d].
        user_field: the name of the users' column.
    """

    def __init__(self, users: torch.Tensor, items: torch.Tensor, user_field: str) -> None:
        super().__init__()
        self.user_embedding = nn.Embedding.from_pretrained(users)
        self.item_embedding = nn.Embedding.from_pretrained(items)
        self.n_users, self.n_items, self.USER_ID = len(users), len(items), user_field

    @property
    def device(self) -> torch.device:
        """Where the tables live."""
        return self.item_embedding.weight.device


def vector_backbone(vectors: FileVectors, user_field: str, device: torch.device | str) -> FactorBackbone:
    """The backbone of a file that has vectors of users and of items."""
    assert vectors.users is not None  # asked before
    return FactorBackbone(VectorModel(vectors.users, vectors.items, user_field).to(device))


def read_vectors(path: Path | str, tokens: Sequence[np.ndarray]) -> FileVectors:
    """The vectors in a file.

    Args:
        path: .npz with the arrays ``item_tokens`` and ``item_vectors``, and where it ranks items by itself
            ``user_tokens`` and ``user_vectors``. Tokens that the dataset does not have are passed over.
        tokens: the vocabulary, users' and items' tokens by id.

    Raises:
        KDError: the file is missing or of another form, or lacks the vector of a user or an item.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    vocabulary = dict(zip(SIDES, tokens, strict=True))
    tables = {side: _table(arrays, side, vocabulary[side], path) for side in SIDES if f"{side}_vectors" in arrays}
    if len({table.shape[1] for table in tables.values()}) > 1:
        raise KDError(
            f"'{path}' has vectors of {tables['user'].shape[1]} numbers for users and of {tables['item'].shape[1]} for "
            "items: their inner products are the scores, so that both need the same"
        )
    return FileVectors(tables["item"], tables.get("user"))


def has_user_vectors(path: Path | str) -> bool:
    """Whether a file of vectors has those of users. Raises KDError: it is missing or cannot be read."""
    with _open_arrays(Path(path)) as arrays:
        return "user_vectors" in arrays


def _open_arrays(path: Path) -> "np.lib.npyio.NpzFile":
    if not os.path.isfile(path):
        raise KDError(f"the file of vectors '{path}' does not exist")
    try:
        arrays = np.load(path, allow_pickle=False)
    except Exception as error:  # numpy raises many kinds
        raise KDError(f"the file of vectors '{path}' cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise KDError(f"the file of vectors '{path}' is one array: it needs to be an .npz with several")
    return arrays


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with _open_arrays(path) as arrays:
        names = [f"{side}_{kind}" for side in SIDES for kind in ("tokens", "vectors")]
        present = [name for name in names if name in arrays]
        if present not in (names, names[2:]):
            raise KDError(
                f"'{path}' needs the arrays item_tokens and item_vectors, and if any of users both user_tokens and "
                f"user_vectors, and has {', '.join(arrays) or 'none'}"
            )
        try:
            return {name: arrays[name] for name in present}
        except ValueError as error:  # pickled objects, which are never executed
            raise KDError(f"the file of vectors '{path}' cannot be read: {' '.join(str(error).split())}") from error


def _table(arrays: Mapping[str, np.ndarray], side: str, known: np.ndarray, path: Path) -> torch.Tensor:
    """The vectors of one side by id."""
    names, vectors = arrays[f"{side}_tokens"].astype(str), arrays[f"{side}_vectors"]
    if names.ndim != 1 or vectors.ndim != 2 or len(names) != len(vectors) or vectors.dtype.kind != "f":
        raise KDError(
            f"'{path}' has {side}_tokens of shape {names.shape} and {side}_vectors of shape {vectors.shape} and type "
            f"{vectors.dtype}: a row of floating-point numbers for each token is needed"
        )
    ids = token_ids(names, known)
    kept = ids > 0
    if len(np.unique(ids[kept])) < kept.sum():
        raise KDError(f"'{path}' has several vectors of one {side}")
    result = np.zeros(len(known), bool)
    result[ids[kept]] = True
    missing = np.flatnonzero(~result[1:]) + 1
    if len(missing):
        which = f"{len(missing):,} of {len(known) - 1:,} {side}s, first {str(known[missing[0]])!r}"
        raise KDError(f"'{path}' lacks the vectors of {which}")
    if not np.isfinite(vectors[kept]).all():
        raise KDError(f"'{path}' has {side}_vectors with something that is not a finite number")
    table = np.zeros((len(known), vectors.shape[1]), np.float32)
    table[ids[kept]] = vectors[kept]
    return torch.from_numpy(table)
