"""A teacher that is a file of lists for the training rows of a sequence student, such as those of a language model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from recbole_kd.backbone.training_rows import RowNames
from recbole_kd.errors import KDError
from recbole_kd.knowledge.given import GivenKnowledge, refuse_seen
from recbole_kd.knowledge.users_of_rows import row_targets
from recbole_kd.ops.top_lists import TopList


@dataclass(frozen=True)
class RowLists:
    """The lists of all training rows, best item first, without the rows' targets.

    Attributes:
        ids: int32, shape [rows + 1, K]; 0 in an unfilled slot.
        scores: float32, the same shape; -inf in an unfilled slot.
        given: the number of items that the file has for each row, its target included, shape [rows + 1].
        distances: float32, the shape of ``ids``: how unsure the teacher is; inf in an unfilled slot. None where the
            file does not say.
    """

    ids: torch.Tensor
    scores: torch.Tensor
    given: torch.Tensor
    distances: torch.Tensor | None = None

    def arrays(self) -> dict[str, torch.Tensor]:
        """The tensors by name, as the store keeps them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class RowFileKnowledge(GivenKnowledge):
    """The rankings in a file of rows.

    Args:
        lists: the lists.
        n_items: as for BaseKnowledge.
        positives: the rows and their targets, two int64 tensors.
        device: as for BaseKnowledge.
        file: the file's name, for messages.
    """

    per_row = True

    def __init__(
        self,
        lists: RowLists,
        n_items: int,
        positives: tuple[torch.Tensor, torch.Tensor],
        device: torch.device | str,
        file: str,
    ) -> None:
        super().__init__(len(lists.ids), n_items, positives, device)
        self.file = file
        self.lists = RowLists(**{name: value.to(self.device) for name, value in lists.arrays().items()})
        self.has_distances = lists.distances is not None
        self._length = (self.lists.ids > 0).sum(1)

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The file's best items of each row, its target left out.

        Args:
            k: length of a list; clipped to the number of items, which is logged once.
            seen: must be False: a file has no complete ranking.

        Raises:
            KDError: ``seen`` is set, or the file has fewer than k items for some row.
        """
        k = self._checked(k, seen)
        lists = self.lists
        return TopList(lists.ids[:, :k], lists.scores[:, :k], self._length.clamp(max=k))

    def top_items_of(self, queries: torch.Tensor, k: int, seen: bool = False) -> TopList:
        """As ``top_items``, of chosen rows."""
        k = self._checked(k, seen)
        ids, scores = self.lists.ids[queries, :k], self.lists.scores[queries, :k]
        return TopList(ids, scores, self._length[queries].clamp(max=k))

    def distances_of(self, queries: torch.Tensor, k: int) -> torch.Tensor:
        """As of BaseKnowledge."""
        assert self.lists.distances is not None  # has_distances was asked before
        return self.lists.distances[queries, :k]

    def top_seen(self, k: int) -> torch.Tensor:
        """The target of each row: int32, shape [n_queries, K]; K is 1."""
        return row_targets(self)

    @property
    def max_list_length(self) -> int:
        """The length of the shortest list."""
        return int(self.lists.given[1:].min())

    def _checked(self, k: int, seen: bool) -> int:
        if seen:
            refuse_seen(self.file)
        k = self._clip(k, self.n_items - 1)
        if k > self.max_list_length:
            short = int((self.lists.given[1:] < k).sum())
            raise KDError(
                f"'{self.file}' holds fewer than {k} items for {short:,} of {self.n_queries - 1:,} training rows: "
                "write longer lists, or ask for shorter ones"
            )
        return k


def build_row_lists(frame: pd.DataFrame, rows: RowNames, tokens: np.ndarray, path: Path) -> RowLists:
    """The lists of all training rows.

    Args:
        frame: columns ``user``, ``item`` (ids), ``length``, ``score`` and, where there is one, ``distance``.
        rows: the training rows.
        tokens: the users' tokens by id, for messages.
        path: the file, for messages.

    Raises:
        KDError: an item occurs twice in a list, a training row has no list, or a list has no training row.
    """
    twice = frame.duplicated(["user", "length", "item"])
    if twice.any():
        raise KDError(f"'{path}' holds {int(twice.sum()):,} items twice in the list of one row")
    query = rows.ids_of(frame["user"].to_numpy(), frame["length"].to_numpy())
    _check_rows(frame, query, rows, tokens, path)
    items, scores = frame["item"].to_numpy(), frame["score"].to_numpy()
    given = np.bincount(query, minlength=len(rows.users))
    order = np.lexsort((items, -scores, query))
    order = order[items[order] != rows.targets[query[order]]]
    query = query[order]
    rank = np.arange(len(query)) - np.searchsorted(query, np.arange(len(rows.users)))[query]
    shape = (len(rows.users), int(rank.max(initial=0)) + 1)

    def table(values: np.ndarray, empty: float, kind: type) -> torch.Tensor:
        filled: np.ndarray = np.full(shape, empty, kind)
        filled[query, rank] = values[order]
        return torch.from_numpy(filled)

    distances = table(frame["distance"].to_numpy(), np.inf, np.float32) if "distance" in frame else None
    ids, kept = table(items, 0, np.int32), table(scores, -np.inf, np.float32)
    return RowLists(ids, kept, torch.from_numpy(given.astype(np.int32)), distances)


def _check_rows(frame: pd.DataFrame, query: np.ndarray, rows: RowNames, tokens: np.ndarray, path: Path) -> None:
    """Refuse a file that has not exactly the training rows."""
    faults = []
    missing = np.flatnonzero(np.bincount(query, minlength=len(rows.users))[1:] == 0) + 1
    if len(missing):
        first = _row_name(tokens, rows.users[missing[0]], rows.lengths[missing[0]])
        faults.append(f"has no list for {len(missing):,} of {len(rows.users) - 1:,} training rows, first {first}")
    unknown = frame[["user", "length"]][query == 0].drop_duplicates()
    if len(unknown):
        first = _row_name(tokens, *unknown.iloc[0].tolist())
        faults.append(f"has lists for {len(unknown):,} rows that the training does not have, first {first}")
    if faults:
        raise KDError(
            f"'{path}' {' and '.join(faults)}: a row is a user and the number of the user's items before the target"
        )


def _row_name(tokens: Sequence[str] | np.ndarray, user: int, length: int) -> str:
    return f"user {str(tokens[user])!r} with length {length}"
