"""A teacher that is a file of scores or ranks of user-item pairs, written by any system."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from recbole_kd.errors import KDError
from recbole_kd.knowledge.base import TRAJECTORY_K, BaseKnowledge
from recbole_kd.ops.top_lists import TopList

THIRD_COLUMNS = ("score", "rank")  # the highest score is best, the lowest rank is best


class FileKnowledge(BaseKnowledge):
    """The rankings in a file. Items that a user has seen in training are separated from the others.

    Args:
        frame: columns ``user`` and ``item`` (ids) and ``score``, as ``read_scores`` gives them.
        n_queries: as for BaseKnowledge.
        n_items: as for BaseKnowledge.
        positives: as for BaseKnowledge.
        device: as for BaseKnowledge.
        file: the file's name, for messages.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        n_queries: int,
        n_items: int,
        positives: tuple[torch.Tensor, torch.Tensor],
        device: torch.device | str,
        file: str,
    ) -> None:
        super().__init__(n_queries, n_items, positives, device)
        self.file = file
        frame = frame.sort_values(["user", "score", "item"], ascending=[True, False, True], kind="stable")
        users, items = (torch.from_numpy(frame[side].to_numpy(np.int64)).to(device) for side in ("user", "item"))
        scores = torch.from_numpy(frame["score"].to_numpy(np.float32)).to(device)
        known = self.positive_users * n_items + self.positive_items
        pairs = users * n_items + items
        index = torch.searchsorted(known, pairs).clamp_(max=len(known) - 1)
        seen = known[index] == pairs
        self._seen, self._unseen = ((users[mask], items[mask], scores[mask]) for mask in (seen, ~seen))

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The file's best items of each user among those not seen in training.

        Args:
            k: length of a list; clipped to the number of items, which is logged once.
            seen: must be False: a file has no complete ranking of seen and unseen items.

        Raises:
            KDError: ``seen`` is set, or the file has too few unseen items for some user.
        """
        if seen:
            raise KDError(
                f"'{self.file}' ranks what users have not seen; this method wants what they have seen among it"
            )
        k = self._clip(k, self.n_items - 1)
        ids, scores = self._first_k(*self._unseen, k)
        length = (ids > 0).sum(1)
        short = (length < self._unseen_counts().clamp(max=k)).nonzero().flatten()
        short = short[short > 0]
        if len(short):
            raise KDError(
                f"'{self.file}' holds fewer than {k} items that are new to them for {len(short):,} of "
                f"{self.n_queries - 1:,} users: write longer lists, or ask for shorter ones"
            )
        return TopList(ids, scores, length)

    def top_seen(self, k: int) -> torch.Tensor:
        """Each user's training items in the file's order, then those that it does not hold, by their ids: int32,
        shape [n_queries, K].
        """
        known = self.positive_users, self.positive_items
        users, items = (torch.cat(pair) for pair in zip(self._seen[:2], known, strict=True))
        scores = -torch.arange(len(users), dtype=torch.float64, device=self.device)
        pairs = (users * self.n_items + items).cpu().numpy()
        first_occurrences = np.sort(np.unique(pairs, return_index=True)[1])
        first = torch.from_numpy(first_occurrences).to(self.device)
        order = torch.argsort(users[first], stable=True)
        first = first[order]
        return self._first_k(users[first], items[first], scores[first], self._clip(k, self.n_items - 1))[0]

    @property
    def max_list_length(self) -> int:
        """The largest k for which no user has fewer items in the file than ``top_items`` needs."""
        complete = self._file_counts() >= self._unseen_counts()  # the file holds all unseen items of these users
        return max(1, int(torch.where(complete, self.n_items - 1, self._file_counts())[1:].min()))

    def trajectories(self, states: int, k: int) -> list[torch.Tensor]:
        """The file's lists, at a single moment: a file has no training."""
        return [self.top_items(max(k, min(TRAJECTORY_K, self.max_list_length))).ids[None]]

    def _unseen_counts(self) -> torch.Tensor:
        """How many items each user has not seen in training."""
        return self.n_items - 1 - self.interactions.user_counts()

    def _file_counts(self) -> torch.Tensor:
        """How many of these items the file holds."""
        return torch.bincount(self._unseen[0], minlength=self.n_queries)

    def _first_k(
        self, users: torch.Tensor, items: torch.Tensor, scores: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The first k items of each user and their scores, from triples sorted by user."""
        starts = torch.searchsorted(users, torch.arange(self.n_queries, device=self.device))
        rank = torch.arange(len(users), device=self.device) - starts[users]
        within_k = rank < k
        ids = torch.zeros(self.n_queries, k, dtype=torch.int32, device=self.device)
        best = torch.full((self.n_queries, k), -torch.inf, device=self.device)
        ids[users[within_k], rank[within_k]] = items[within_k].int()
        best[users[within_k], rank[within_k]] = scores[within_k].float()
        return ids, best


def read_scores(path: Path | str, tokens: Sequence[np.ndarray]) -> tuple[pd.DataFrame, str]:
    """A file of tokens and scores, with ids in place of the tokens.

    Args:
        path: .tsv with a header of three columns, the third of them ``score`` or ``rank`` (with or without RecBole's
            type after a colon), or .npz with arrays ``user``, ``item`` and ``score`` or ``rank``.
        tokens: the vocabulary, users' and items' tokens by id.

    Returns:
        (frame, name): a DataFrame of ``user``, ``item`` and ``score``, and sixteen hex digits of the file's content.

    Raises:
        KDError: the file is missing or of another form, a token is not in the dataset, or a pair occurs twice.
    """
    path = Path(path)
    frame = _read_frame(path)
    for side, known in zip(("user", "item"), tokens, strict=True):
        _replace_tokens(frame, side, known, path)
    twice = frame.duplicated(["user", "item"])
    if twice.any():
        raise KDError(f"'{path}' holds {int(twice.sum()):,} pairs of a user and an item twice")
    return frame, hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _read_frame(path: Path) -> pd.DataFrame:
    if not os.path.isfile(path):
        raise KDError(f"the file of scores '{path}' does not exist")
    try:
        frame = _npz(path) if path.suffix == ".npz" else _tsv(path)
    except KDError:
        raise
    except Exception as error:  # numpy and pandas raise many kinds
        raise KDError(f"the file of scores '{path}' cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not (frame["score"].abs() <= np.finfo(np.float32).max).all():  # False for NaN
        raise KDError(
            f"the file of scores '{path}' holds something that is not a finite number, or one beyond single precision"
        )
    return frame


def _replace_tokens(frame: pd.DataFrame, side: str, tokens: np.ndarray, path: Path) -> None:
    """Put ids in place of the tokens of ``user`` or ``item``."""
    ids = frame[side].map(pd.Series(np.arange(1, len(tokens)), index=tokens[1:]))
    if ids.isna().any():
        unknown = frame[side][ids.isna()].unique()
        raise KDError(
            f"'{path}' names {len(unknown):,} {side}s that this dataset does not have after its filters, "
            f"such as {unknown[0]!r}: leave them out"
        )
    frame[side] = ids.astype(np.int64)


def _tsv(path: Path) -> pd.DataFrame:
    if b"\0" in path.read_bytes():  # pandas would end the token there
        raise KDError(f"the file of scores '{path}' holds a NUL character: write text in UTF-8, without it")
    # with a header, pandas would take the first field of longer lines for the name of the row
    rows = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, header=None, encoding="utf-8-sig")
    incomplete = (rows == "").any(axis=1).to_numpy()
    if incomplete.any():
        raise KDError(f"row {int(incomplete.argmax()) + 1} of '{path}' lacks a value")
    names, frame = [str(name).partition(":")[0] for name in rows.iloc[0]], rows.iloc[1:].reset_index(drop=True)
    if len(names) != 3 or names[2] not in THIRD_COLUMNS:
        raise KDError(
            f"'{path}' needs a header of three columns, a user's token, an item's token, and score or rank, "
            f"and has {', '.join(map(repr, names[:4]))}"
        )
    frame.columns = pd.Index(["user", "item", "score"])
    return _by_score(frame, names[2])


def _npz(path: Path) -> pd.DataFrame:
    with np.load(path, allow_pickle=False) as arrays:
        kind = next((kind for kind in THIRD_COLUMNS if kind in arrays), None)
        if kind is None or "user" not in arrays or "item" not in arrays:
            raise KDError(f"'{path}' needs the arrays user, item, and score or rank, and has {', '.join(arrays)}")
        columns = {name: arrays[key] for name, key in (("user", "user"), ("item", "item"), ("score", kind))}
    if columns["score"].dtype.kind not in "biufU":  # a complex number would lose its imaginary part
        raise KDError(f"'{path}' holds a {kind} of type {columns['score'].dtype}: it takes real numbers")
    return _by_score(
        pd.DataFrame({**columns, "user": columns["user"].astype(str), "item": columns["item"].astype(str)}), kind
    )


def _by_score(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Turn ranks, of which the lowest is best, into scores."""
    frame["score"] = frame["score"].astype(np.float64) * (-1.0 if kind == "rank" else 1.0)
    return frame
