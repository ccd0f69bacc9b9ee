"""The items of each user, as compressed rows, and the latest sequence of each user."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

ROWS = 100_000  # sequence rows that are unfolded at once


@dataclass(frozen=True)
class UserItems:
    """Compressed sparse rows: which items each user has.

    Attributes:
        starts: where a user's items begin, int64, shape [n + 1].
        items: item ids, ascending within a user, int64, shape [number of pairs].
    """

    starts: np.ndarray
    items: np.ndarray

    @classmethod
    def of_pairs(cls, users: np.ndarray, items: np.ndarray, n_users: int, n_items: int) -> "UserItems":
        """From pairs in any order, with repetitions; int64, shape [p] each.

        >>> rows = UserItems.of_pairs(np.array([2, 1, 2, 2]), np.array([5, 3, 4, 5]), 3, 6)
        >>> rows.starts.tolist(), rows.items.tolist()
        ([0, 0, 1, 3], [3, 4, 5])
        """
        pairs = np.unique(users.astype(np.int64) * n_items + items)
        starts = np.searchsorted(pairs, np.arange(n_users + 1, dtype=np.int64) * n_items)
        return cls(starts.astype(np.int64), pairs % n_items)

    @classmethod
    def of_datasets(cls, datasets: Sequence[Any], n_users: int, n_items: int) -> "UserItems":
        """From RecBole datasets: all interactions, and the items of the sequences in them."""
        pairs = [np.unique(pairs) for dataset in datasets for pairs in _pair_chunks(dataset, n_items)]
        joined = np.unique(np.concatenate(pairs)) if pairs else np.empty(0, dtype=np.int64)
        return cls.of_pairs(joined // n_items, joined % n_items, n_users, n_items)

    @classmethod
    def empty(cls, n_users: int) -> "UserItems":
        """No items for anybody."""
        return cls(np.zeros(n_users + 1, dtype=np.int64), np.empty(0, dtype=np.int64))

    def counts(self, users: np.ndarray) -> np.ndarray:
        """How many items some users have, shape [b]."""
        return self.starts[users + 1] - self.starts[users]

    def pairs(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The items of some users as (row, item), int64; a row is a place in ``users``."""
        counts = self.counts(users)
        rows = np.repeat(np.arange(len(users)), counts)
        before = np.cumsum(counts) - counts
        positions = np.arange(len(rows)) + np.repeat(self.starts[users] - before, counts)
        return rows, self.items[positions]

    def take(self, users: np.ndarray) -> "UserItems":
        """The rows of some users, in their order."""
        return UserItems(np.concatenate([[0], np.cumsum(self.counts(users))]).astype(np.int64), self.pairs(users)[1])


def _pair_chunks(dataset: Any, n_items: int) -> Iterator[np.ndarray]:
    """user * n_items + item of a dataset; a row of a sequence model holds earlier items of its user as well."""
    rows = dataset.inter_feat
    users, items = (rows[field].numpy().astype(np.int64) for field in (dataset.uid_field, dataset.iid_field))
    yield users * n_items + items
    field = getattr(dataset, f"{dataset.iid_field}_list_field", None)
    if field is None or field not in rows:
        return
    for first in range(0, len(users), ROWS):
        lists = rows[field][first : first + ROWS].numpy().astype(np.int64)
        pairs = users[first : first + ROWS, None] * n_items + lists
        yield pairs[lists > 0]


class Sequences:
    """The latest item sequence of each user: the last row's sequence and its target.

    Args:
        datasets: RecBole's sequential datasets, in the order of time.
        n_users: the number of users, padding included.
    """

    def __init__(self, datasets: Sequence[Any], n_users: int) -> None:
        first = datasets[0]
        self.item_field, self.length_field = first.iid_field, first.item_list_length_field
        self.list_field = getattr(first, f"{first.iid_field}_list_field")
        self.rows = [dataset.inter_feat for dataset in datasets]
        users = np.concatenate([rows[first.uid_field].numpy() for rows in self.rows])
        order = np.arange(len(users))
        if all(first.time_field in rows for rows in self.rows):
            order = np.lexsort((order, np.concatenate([rows[first.time_field].numpy() for rows in self.rows])))
        self.last = np.full(n_users, -1, dtype=np.int64)  # of equal places numpy keeps the value that comes last
        self.last[users[order]] = order
        self.ends = np.cumsum([len(rows) for rows in self.rows])
        self.length = self.rows[0][self.list_field].shape[1]

    def has(self, users: np.ndarray) -> np.ndarray:
        """Which of some users have a sequence, bool, shape [b]."""
        return self.last[users] >= 0

    def batch(self, users: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """(sequences, lengths) of users who have one: int64, shapes [b, L] and [b]; zeros fill up at the end."""
        sequences = torch.zeros(len(users), self.length, dtype=torch.int64)
        lengths = torch.zeros(len(users), dtype=torch.int64)
        targets = torch.zeros(len(users), dtype=torch.int64)
        last = self.last[users]
        part = np.searchsorted(self.ends, last, side="right")
        for number, rows in enumerate(self.rows):
            here = torch.from_numpy(np.flatnonzero(part == number))
            positions = torch.from_numpy(last[here.numpy()] - (self.ends[number] - len(rows)))
            sequences[here] = rows[self.list_field][positions].long()
            lengths[here], targets[here] = (
                rows[self.length_field][positions].long(),
                rows[self.item_field][positions].long(),
            )
        return append_items(sequences, lengths, targets)


def append_items(
    sequences: torch.Tensor, lengths: torch.Tensor, items: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put an item at the end of each sequence; a full sequence loses its first item.

    Args:
        sequences: int64, shape [b, L], zeros at the end.
        lengths: int64, shape [b].
        items: int64, shape [b].

    Returns:
        (sequences, lengths), of the same shapes.

    >>> append_items(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), torch.tensor([7, 8]))[0].tolist()
    [[2, 7], [3, 8]]
    """
    full = lengths >= sequences.shape[1]
    sequences = torch.where(full[:, None], sequences.roll(-1, dims=1), sequences)
    lengths = torch.where(full, lengths, lengths + 1)
    return sequences.scatter(1, lengths[:, None] - 1, items[:, None]), lengths


def pack_sequences(histories: Sequence[np.ndarray], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Histories as (sequences, lengths): the last ``length`` items of each, zeros at the end; int64, [b, L] and [b]."""
    sequences = torch.zeros(len(histories), length, dtype=torch.int64)
    lengths = torch.tensor([min(len(items), length) for items in histories], dtype=torch.int64)
    for row, items in enumerate(histories):
        latest = torch.from_numpy(np.asarray(items[-length:], dtype=np.int64))
        sequences[row, : len(latest)] = latest
    return sequences, lengths
