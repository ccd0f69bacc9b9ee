"""What every kind of knowledge shares: lists of a teacher, and where they are stored."""

from collections.abc import Sequence
from pathlib import Path

import torch

from recbole_kd.backbone.base import View
from recbole_kd.backbone.capabilities import RANK_LISTS, Capability
from recbole_kd.knowledge.store import read_arrays, write_arrays
from recbole_kd.ops.blocks import block_rows, row_blocks
from recbole_kd.ops.sampling import ExcludedIds
from recbole_kd.ops.top_lists import mask_pairs, top_inner_products, top_k_rows

TRAJECTORY_K = 100  # items in the lists of a trajectory


class BaseKnowledge:
    """What the terms read that takes no more than ranks. A subclass says where a list comes from.

    Args:
        n_users, n_items: table sizes, padding included.
        positives: the training pairs, two int64 tensors (users, items); masked from every list.
        device: where lists live.
        store: folder to keep what was computed, or None. Its name must tell teacher and split apart.
        log: called with one sentence about what is computed.

    Attributes:
        capabilities: what can be given.
        weights: how much each of the teachers counts; one, where there is one.
        positive_users, positive_items: the training pairs, sorted by user, then item.
    """

    capabilities: Capability = RANK_LISTS
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
    def max_list_length(self):
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

    def top_unseen(self, scores, k, seen=False):
        """A TopList over unseen items (over all where ``seen``).

        Args:
            scores: a View, which is read in parts where it is long, or a function ``score_all(users [b]) ->
                [b, m + 1]``, whose result is overwritten.
            k: length of a list; clipped.
        """
        known = None if seen else (self.positive_users, self.positive_items, self._starts)
        k = min(k, self.n_items - 1)
        if isinstance(scores, View):
            return top_inner_products(scores.users, scores.item_table, k, self.n_users, known)
        return top_k_rows(scores, k, self.n_users, self.n_items, known, self.device)

    def _mask(self, scores, users):
        """Training positives to -inf, in the scores of consecutive users."""
        mask_pairs(scores, users, (self.positive_users, self.positive_items, self._starts))

    def seen_pairs(self, users):
        """The training items of some users: (row, item), two int64 tensors; row is the place among ``users``."""
        counts = self._starts[users + 1] - self._starts[users]
        row = torch.arange(len(users), device=self.device).repeat_interleave(counts)
        before = (counts.cumsum(0) - counts)[row]
        at = self._starts[users][row] + torch.arange(len(row), device=self.device) - before
        return row, self.positive_items[at]

    def excluded_from_sampling(self, *besides):
        """What a uniform draw passes over: training positives and the items of TopLists. sampling.Excluded."""
        known = self.positive_users, self.positive_items, self._starts
        for top in besides:
            self._say_full(top, self._starts.diff(), self.n_items, "users")
        return self._excluded(known, [top.ids for top in besides], self.n_users, self.n_items)

    def users_excluded_from_sampling(self, besides):
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
            step = block_rows(8 * (1 + sum(own.shape[1] for own in lists)))
            for first in range(0, n, step):
                last = min(first + step, n)
                part = slice(int(starts[first]), int(starts[last]))
                listed = [own[first:last] for own in lists]
                places = [(own > 0).nonzero(as_tuple=True) for own in listed]
                all_rows = torch.cat([rows[part] - first, *(place[0] for place in places)])
                all_ids = torch.cat(
                    [ids[part], *(own[place].long() for own, place in zip(listed, places, strict=True))]
                )
                yield ExcludedIds.from_pairs(all_rows, all_ids, last - first, size)

        return ExcludedIds.concat(parts(), most, size, self.device)

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
        return row_blocks(self.n_users, scores_a_user, self.device)

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
