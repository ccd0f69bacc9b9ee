"""Who has seen what in training: the training pairs, and what is ranked or drawn outside them."""

from collections.abc import Callable, Iterator

import torch

from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.sampling import ExcludedIds
from recbole_kd.ops.top_lists import TopList, mask_pairs, top_inner_products, top_k_rows

SortedPairs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # rows, columns, and where each row begins


class Interactions:
    """The training pairs of users and items, sorted by user, then by item.

    Args:
        n_users: number of users, padding included.
        n_items: number of items, padding included.
        users: the user of each pair, int64, shape [p].
        items: the item of each pair, int64, shape [p].
        device: where the pairs live; None: where ``users`` are.

    Attributes:
        users: the users of the sorted pairs, int64, shape [p].
        items: the items of the sorted pairs, int64, shape [p].
        starts: where the pairs of each user begin, int64, shape [n_users + 1].

    >>> seen = Interactions(3, 5, torch.tensor([2, 1, 1]), torch.tensor([4, 3, 1]))
    >>> seen.users.tolist(), seen.items.tolist(), seen.starts.tolist()
    ([1, 1, 2], [1, 3, 4], [0, 0, 2, 3])
    >>> seen.item_counts().tolist()
    [0, 1, 0, 1, 1]
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        users: torch.Tensor,
        items: torch.Tensor,
        device: torch.device | str | None = None,
    ) -> None:
        self.n_users, self.n_items = n_users, n_items
        self.device = users.device if device is None else torch.device(device)
        users, items = users.to(self.device), items.to(self.device)
        order = torch.argsort(users * n_items + items)
        self.users, self.items = users[order], items[order]
        self.starts = torch.searchsorted(self.users, torch.arange(n_users + 1, device=self.device))

    @property
    def pairs_by_user(self) -> SortedPairs:
        """The pairs sorted by user: users, items, and where each user begins."""
        return self.users, self.items, self.starts

    def pairs_by_item(self) -> SortedPairs:
        """The pairs sorted by item: items, users, and where each item begins."""
        order = torch.argsort(self.items, stable=True)
        items, users = self.items[order], self.users[order]
        return items, users, torch.searchsorted(items, torch.arange(self.n_items + 1, device=self.device))

    def item_counts(self) -> torch.Tensor:
        """How many training pairs each item has, int64, shape [n_items]."""
        return torch.bincount(self.items, minlength=self.n_items)

    def user_counts(self) -> torch.Tensor:
        """How many training pairs each user has, int64, shape [n_users]."""
        return self.starts.diff()

    def seen_pairs(self, users: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The training items of chosen users.

        Args:
            users: ids, shape [n].

        Returns:
            (row, item), int64: ``row`` is an index into ``users``.
        """
        counts = self.starts[users + 1] - self.starts[users]
        row = torch.arange(len(users), device=self.device).repeat_interleave(counts)
        before = (counts.cumsum(0) - counts)[row]
        index = self.starts[users][row] + torch.arange(len(row), device=self.device) - before
        return row, self.items[index]

    def mask_of(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        """Set the scores of padding and of training items to -inf, in place.

        Args:
            scores: shape [b, n_items].
            users: any ids, shape [b].
        """
        scores[:, 0] = -torch.inf
        scores[self.seen_pairs(users)] = -torch.inf

    def mask(self, scores: torch.Tensor, users: torch.Tensor) -> None:
        """Set the scores of training items to -inf, in place.

        Args:
            scores: shape [b, n_items].
            users: consecutive ids, shape [b].
        """
        mask_pairs(scores, users, self.pairs_by_user)

    def top_unseen_of_scores(
        self, score_all: Callable[[torch.Tensor], torch.Tensor], k: int, seen: bool = False
    ) -> TopList:
        """The best items of each user among those that the user has not seen in training.

        Args:
            score_all: a function ``score_all(users [b]) -> [b, n_items]``; its result is overwritten.
            k: length of a list; clipped to the number of items.
            seen: whether seen items are ranked as well.
        """
        return top_k_rows(score_all, self._clip(k), self.n_users, self.n_items, self._masked(seen), self.device)

    def top_unseen_of_vectors(
        self,
        user_vectors: Callable[[torch.Tensor], torch.Tensor],
        item_table: torch.Tensor,
        k: int,
        seen: bool = False,
    ) -> TopList:
        """As ``top_unseen_of_scores``, where the scores are inner products; a long item table is read in blocks.

        Args:
            user_vectors: a function ``user_vectors(users [b]) -> [b, d]``.
            item_table: the items' vectors, shape [n_items, d].
            k: length of a list; clipped to the number of items.
            seen: whether seen items are ranked as well.
        """
        return top_inner_products(user_vectors, item_table, self._clip(k), self.n_users, self._masked(seen))

    def _clip(self, k: int) -> int:
        return min(k, self.n_items - 1)

    def _masked(self, seen: bool) -> SortedPairs | None:
        return None if seen else self.pairs_by_user

    def excluded_from_sampling(self, *top_lists: TopList) -> ExcludedIds:
        """For each user the items that a uniform draw skips: those seen in training and those of ``top_lists``."""
        return _exclude(self.pairs_by_user, [top.ids for top in top_lists], self.n_users, self.n_items, self.device)

    def excluded_of(self, users: torch.Tensor, *top_lists: TopList) -> ExcludedIds:
        """As ``excluded_from_sampling``, for chosen users, ids of shape [n], and their lists, of n rows each."""
        rows, items = ([ids] for ids in self.seen_pairs(users))
        for top in top_lists:
            listed_rows, columns = (top.ids > 0).nonzero(as_tuple=True)
            rows.append(listed_rows)
            items.append(top.ids[listed_rows, columns].long())
        return ExcludedIds.from_pairs(torch.cat(rows), torch.cat(items), len(users), self.n_items)

    def users_excluded_from_sampling(self, top_users: TopList) -> ExcludedIds:
        """For each item the users that a uniform draw skips: those who have seen it, and those of ``top_users``."""
        return _exclude(self.pairs_by_item(), [top_users.ids], self.n_items, self.n_users, self.device)


def _exclude(
    pairs: SortedPairs, lists: list[torch.Tensor], n: int, size: int, device: torch.device | str
) -> ExcludedIds:
    """Sorted pairs and lists of ids as sets.

    The sets are made in blocks of rows, because sorting all of them at once needs many copies in memory.
    """
    rows, ids, starts = pairs
    capacity = len(rows) + sum(int((listed > 0).sum()) for listed in lists) + n

    def blocks() -> Iterator[ExcludedIds]:
        # each block is sorted as eight-byte numbers, in eight copies
        step = block_rows(8 * (1 + sum(listed.shape[1] for listed in lists)))
        for first in range(0, n, step):
            last = min(first + step, n)
            block = slice(int(starts[first]), int(starts[last]))
            listed = [row_ids[first:last] for row_ids in lists]
            filled = [(row_ids > 0).nonzero(as_tuple=True) for row_ids in listed]
            all_rows = torch.cat([rows[block] - first, *(index[0] for index in filled)])
            all_ids = torch.cat(
                [ids[block], *(row_ids[index].long() for row_ids, index in zip(listed, filled, strict=True))]
            )
            yield ExcludedIds.from_pairs(all_rows, all_ids, last - first, size)

    return ExcludedIds.concat(blocks(), capacity, size, device)
