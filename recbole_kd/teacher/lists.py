"""Users' lists and training pairs, and where lists are kept: what every kind of knowledge stands on.

Nothing of size users x items is ever there: lists are made in blocks of users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from recbole_kd.backbone.base import View
from recbole_kd.rankings import top_k, top_k_of_parts
from recbole_kd.sampling import BLOCK, Excluded
from recbole_kd.teacher.store import read_arrays, write_arrays

STATE_K = 100  # items in the lists of a trajectory
ROWS = 64  # rows at least whose scores are made together: a product of fewer is slower a row


@dataclass(frozen=True)
class TopList:
    """The best items of each user, best first; of ``top_users``, the best users of each item.

    Attributes:
        ids: int32, shape [n + 1, K]; 0 where a user has fewer than K unseen items.
        scores: float32, the same shape; -inf there.
        length: how many there are, shape [n + 1]; 0 for the padding user.
    """

    ids: torch.Tensor
    scores: torch.Tensor
    length: torch.Tensor


class Lists:
    """What the terms read that takes no more than ranks. A subclass says where a list comes from.

    Args:
        n_users, n_items: table sizes, padding included.
        positives: the training pairs, two int64 tensors (users, items); masked from every list.
        device: where lists live.
        store: folder to keep what was computed, or None. Its name must tell teacher and split apart.
        log: called with one sentence about what is computed.

    Attributes:
        offers: what can be given, one of OFFERS.
        weights: how much each of the teachers counts; one, where there is one.
        positive_users, positive_items: the training pairs, sorted by user, then item.
    """

    offers = "ranks"
    weights: Sequence[float] = (1.0,)

    def __init__(self, n_users, n_items, positives, device, store=None, log=lambda text: None):
        self.n_users, self.n_items, self.device = n_users, n_items, device
        self.store, self.log = Path(store) if store else None, log
        users, items = (part.to(device) for part in positives)
        order = torch.argsort(users * n_items + items)
        self.positive_users, self.positive_items = users[order], items[order]
        self._starts = torch.searchsorted(self.positive_users, torch.arange(n_users + 1, device=device))
        self._loaded = {}

    def __deepcopy__(self, memo):
        return self  # it never changes

    def top_items(self, k, seen=False):
        """The TopList over the items that each user has not seen in training, or over all of them where ``seen``; k is
        clipped, said once.
        """
        raise NotImplementedError

    def top_seen(self, k):
        """The other items: each user's training items, at most k, the teacher's best first; ids, int32, [n + 1, K]."""
        raise NotImplementedError

    @property
    def longest(self):
        """How many items ``top_items`` can be asked for."""
        return self.n_items - 1

    def trajectories(self, states, k):
        """For each teacher its lists of unseen items at up to ``states`` moments of its training, the last one the
        teacher as it is: a list of int32 tensors, shape [V, n + 1, K] each; K is 100, or what a teacher has from
        ``k`` on.
        """
        raise NotImplementedError

    def item_counts(self):
        """How many training pairs each item has, shape [m + 1]."""
        return torch.bincount(self.positive_items, minlength=self.n_items)

    def unseen_top(self, scores, k, seen=False):
        """A TopList over unseen items (over all where ``seen``).

        Args:
            scores: a View, which is read in parts where it is long, or a function ``score_all(users [b]) ->
                [b, m + 1]``, whose result is overwritten.
            k: length of a list; clipped.
        """
        known = None if seen else (self.positive_users, self.positive_items, self._starts)
        k = min(k, self.n_items - 1)
        if isinstance(scores, View):
            return best_inner(scores.users, scores.item_table, k, self.n_users, known)
        return best_of(scores, k, self.n_users, self.n_items, known, self.device)

    def _mask(self, scores, users):
        """Training positives to -inf, in the scores of consecutive users."""
        mask(scores, users, (self.positive_users, self.positive_items, self._starts))

    def seen_pairs(self, users):
        """The training items of some users: (row, item), two int64 tensors; row is the place among ``users``."""
        counts = self._starts[users + 1] - self._starts[users]
        row = torch.arange(len(users), device=self.device).repeat_interleave(counts)
        before = (counts.cumsum(0) - counts)[row]
        at = self._starts[users][row] + torch.arange(len(row), device=self.device) - before
        return row, self.positive_items[at]

    def unseen(self, *besides):
        """What a uniform draw passes over: training positives and the items of TopLists. sampling.Excluded."""
        known = self.positive_users, self.positive_items, self._starts
        for top in besides:
            self._say_full(top, self._starts.diff(), self.n_items, "users")
        return self._excluded(known, [top.ids for top in besides], self.n_users, self.n_items)

    def unseen_by(self, besides):
        """The other way round, for each item: its training users and those of a TopList of users. sampling.Excluded."""
        known = self._pairs_by_item()
        self._say_full(besides, known[2].diff(), self.n_users, "items")
        return self._excluded(known, [besides.ids], self.n_items, self.n_users)

    def _pairs_by_item(self):
        """The training pairs, sorted by item: items, users, and where each item begins."""
        order = torch.argsort(self.positive_items, stable=True)
        items, users = self.positive_items[order], self.positive_users[order]
        return items, users, torch.searchsorted(items, torch.arange(self.n_items + 1, device=self.device))

    def _excluded(self, known, lists, n, size):
        """Sorted pairs and lists of ids as sets, in blocks of rows: all at once they would be sorted in many copies."""
        rows, ids, starts = known
        most = len(rows) + sum(int((own > 0).sum()) for own in lists) + n

        def parts():
            # each block is sorted as eight-byte numbers, in eight copies
            step = max(1, BLOCK // 8 // (1 + sum(own.shape[1] for own in lists)))
            for first in range(0, n, step):
                last = min(first + step, n)
                part = slice(int(starts[first]), int(starts[last]))
                listed = [own[first:last] for own in lists]
                places = [(own > 0).nonzero(as_tuple=True) for own in listed]
                all_rows = torch.cat([rows[part] - first, *(place[0] for place in places)])
                all_ids = torch.cat(
                    [ids[part], *(own[place].long() for own, place in zip(listed, places, strict=True))]
                )
                yield Excluded.of(all_rows, all_ids, last - first, size)

        return Excluded.joined(parts(), most, size, self.device)

    def _say_full(self, top, seen, size, rows):
        """Name lists that leave nothing to draw from outside them, as those of a small catalogue do."""
        full = int((top.length + seen >= size - 1)[1:].sum())
        if full > len(seen) // 2:
            self.log(
                f"the teacher's list of {top.ids.shape[1]} holds all that is unseen for {full} of {len(seen) - 1} "
                f"{rows}: nothing is drawn from outside it, which a shorter one (the key …_max_k) leaves room for"
            )

    def _clip(self, k, most):
        if k > most and "clipped" not in self._loaded:
            self._loaded["clipped"] = {}
            self.log(f"a list of {k} is longer than there are entries: clipped to {most}")
        return min(k, most)

    def _blocks(self, scores_a_user):
        return blocks(self.n_users, scores_a_user, self.device)

    def _kept(self, name, compute, what):
        """Arrays by name: in memory, else from the store (memory-mapped), else computed and stored."""
        if name not in self._loaded:
            folder = self.store and self.store / name
            found = read_arrays(folder, self.device) if folder else None
            if found is None:
                self.log(f"reading {what}")
                found = compute()
                if folder:
                    write_arrays(folder, found)
                    found = read_arrays(folder, self.device)
            self._loaded[name] = found
        return self._loaded[name]


def blocks(n, numbers_a_row, device):
    """The ids from 0 to n - 1, so many at a time that BLOCK numbers are in memory at once."""
    return torch.arange(n, device=device).split(max(1, BLOCK // max(numbers_a_row, 1)))


def best_of(score, k, n, size, known, device):
    """The TopList of n rows: ``score(rows [b]) -> [b, size]``, overwritten; padding is in none.

    Args:
        score: where the scores come from.
        k: length of a list.
        n, size: rows and columns, padding included.
        known: pairs that are left out, sorted by row: rows, columns, and where each row begins; None for none.
        device: where the lists live.
    """

    def find(rows):
        scores = score(rows).detach().float()
        hide(scores, rows, known)
        return top_k(scores, k)

    return _listed(find, k, n, size, device)


def best_inner(vectors, table, k, n, known):
    """``best_of`` the inner products of row vectors and a table's; of a table too long for many of its columns to be
    in memory at once, in parts.

    Args:
        vectors: the rows' vectors, ``vectors(rows [b]) -> [b, d]``.
        table: the columns' vectors, shape [size, d].
    """
    size, device = len(table), table.device
    width = max(BLOCK // ROWS, k + 1)
    if size <= width or device.type != "cpu" or table.dtype != torch.float32:
        return best_of(lambda rows: vectors(rows) @ table.T, k, n, size, known, device)

    def parts(rows):
        own = vectors(rows).detach()
        for first in range(0, size, width):
            scores = own @ table[first : first + width].detach().T
            hide(scores, rows, known, first)
            yield scores

    return _listed(lambda rows: top_k_of_parts(parts(rows), k), k, n, width, device)


def _listed(find, k, n, width, device):
    """The TopList of n rows, from ``find(rows [b]) -> (scores, columns)``, of ``width`` numbers a row at once."""
    ids = torch.zeros(n, k, dtype=torch.int32, device=device)
    best = torch.full((n, k), -torch.inf, device=device)
    for rows in blocks(n, width, device):
        best[rows], columns = find(rows)
        ids[rows] = torch.where(best[rows] > -torch.inf, columns, 0).int()
    ids[0], best[0] = 0, -torch.inf
    return TopList(ids, best, (ids > 0).sum(1))


def hide(scores, rows, known, first=0):
    """Padding and known pairs, if any, to -inf, in the scores of consecutive rows, whose columns begin at ``first``."""
    scores[:, : int(first == 0)] = -torch.inf
    if known is not None:
        mask(scores, rows, known, first)


def mask(scores, rows, known, first=0):
    """Known pairs to -inf, in the scores of consecutive rows, whose columns begin at ``first``."""
    of_row, columns, starts = known
    start, stop = int(starts[rows[0]]), int(starts[rows[-1] + 1])
    row, column = of_row[start:stop] - rows[0], columns[start:stop] - first
    here = (column >= 0) & (column < scores.shape[1])
    scores[row[here], column[here]] = -torch.inf
