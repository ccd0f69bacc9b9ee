"""What is read out of a frozen teacher: factors, top-K lists, neighbours, and scores of chosen pairs on demand.

Read once, in blocks of users, and kept on disk for the next run.
"""

from contextlib import contextmanager

import torch

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.knowledge.base import TRAJECTORY_K
from recbole_kd.knowledge.neighbour_scores import with_neighbours
from recbole_kd.knowledge.scoring import ScoringKnowledge
from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.top_lists import TopList, top_inner_products
from recbole_kd.trainer.rng import preserve_rng


class ModelKnowledge(ScoringKnowledge):
    """A frozen teacher as the terms read it.

    Args:
        backbone: the teacher's backbone.
        positives: the training pairs, two int64 tensors (users, items); masked from every list.
        store: folder to keep what was computed, or None. Its name must tell teacher and split apart.
        log: called with one sentence about what is computed.
        states: the teacher at earlier moments of its training, in their order: functions that give its backbone then;
            None where they are not at hand.
        trajectory: the name that its lists at these moments are kept under; None where it has no earlier moments.
        neighbours: beta of ``with_neighbours``, which lists and scores are read with; 0: the teacher's own. Above 0
            for a teacher with factors alone.

    Attributes:
        capabilities: what the teacher can give.
        n_users, n_items: table sizes, padding included.
        width: d_T, or None for a teacher without factors.
    """

    def __init__(
        self, backbone, positives, store=None, log=lambda text: None, states=None, trajectory=None, neighbours=0.0
    ):
        model = backbone.model.eval()
        super().__init__(model.n_users, model.n_items, positives, model.device, store, log)
        self.backbone, self.capabilities, self.states = backbone, backbone.capabilities, states
        self.trajectory, self.neighbour_weight = trajectory, neighbours
        self._factors = backbone.snapshot() if FACTORS in self.capabilities else None
        self._view = self._with_neighbours(self._factors)
        self.width = self._factors.width if self._factors else None

    def factors(self, side):
        """The factors of ``user`` or ``item``, shape [n + 1, d_T]; their inner product is the teacher's own score."""
        return getattr(self._factors, f"{side}_table")

    def score_all(self, users):
        """The teacher's scores of all items, shape [b, m + 1]."""
        if self._view:
            return self._view.score_all(users)
        with self._asked():
            return self.backbone.score_all(users)

    def score(self, items):
        """The teacher's scores of chosen items, one row a user: items [n + 1, c], result float32 of that shape."""
        out = torch.zeros(items.shape, device=self.device)
        asked = items.shape[1] * (self._view.width if self._view else 1)
        for users in self._blocks(asked if self._view or self.backbone.by_pairs else self.n_items):
            chosen = items[users].long()
            if self._view:
                out[users] = self._view.score(users, chosen)
            else:
                with self._asked():
                    out[users] = self.backbone.score_pairs(users, chosen).float()
        return out

    @contextmanager
    def _asked(self):
        """The teacher's model is asked in the midst of a student's step: it neither follows the student's half
        precision nor moves RecBole's random numbers, of which ADMMSLIM adds some to its scores.
        """
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), preserve_rng():
            yield

    def top_items(self, k, seen=False):
        """The teacher's TopList over the items that each user has not seen in training, or over all of them where
        ``seen``; k is clipped, said once.
        """
        k = self._clip(k, self.n_items - 1)
        name, what = (f"all-top-{k}", "of all") if seen else (f"top-{k}", "not seen in training")
        parts = self._kept(
            name, lambda: self._top_arrays(k, seen), f"each user's top {k} items {what}, as the teacher ranks them"
        )
        return TopList(parts["ids"], parts["scores"], (parts["ids"] > 0).sum(1))

    def top_seen(self, k):
        k = self._clip(k, self.n_items - 1)
        what = f"each user's top {k} items of those seen in training, as the teacher ranks them"
        return self._kept(f"seen-top-{k}", lambda: {"ids": self._top_seen(k)}, what)["ids"]

    def trajectories(self, states, k=1):
        last = self.top_items(TRAJECTORY_K).ids
        if states < 2 or self.trajectory is None:
            return [last[None]]
        size = len(self.states or ()) * last.numel() * last.element_size() / 2**20
        what = (
            f"each user's top {last.shape[1]} items at {len(self.states or ())} earlier moments of the teacher's "
            f"training, {size:,.1f} MiB"
        )
        earlier = self._kept(self.trajectory, lambda: {"ids": self._earlier(last)}, what)["ids"]
        return [torch.cat([earlier, last[None]])]

    def neighbours(self, side, k, components):
        """The k nearest entities of each in the teacher's space: ids, int32, shape [n + 1, k]; row 0 is 0.

        By Euclidean distance among the leading principal components, self left out.
        """
        size = (self.n_users if side == "user" else self.n_items) - 1
        k = self._clip(k, size - 1)
        what = f"the {k} nearest {side}s of each {side}"
        name = f"near-{side}-{k}-{components}"
        return self._kept(name, lambda: {"ids": self._near(side, k, components)}, what)["ids"]

    def _near(self, side, k, components):
        table = self.factors(side).float()
        table = table - table[1:].mean(0)
        if components < table.shape[1]:
            covariance = table[1:].T @ table[1:]
            table = table @ torch.linalg.eigh(covariance).eigenvectors[:, -components:]
        # the nearest are those of the largest 2 x.y - y.y
        twice = torch.nn.functional.pad(2 * table, (0, 1), value=-1.0)
        table = torch.cat([table, table.square().sum(1, keepdim=True)], 1)
        everyone = torch.arange(len(table) + 1, device=self.device)
        itself = everyone[:-1], everyone[:-1], everyone
        return top_inner_products(lambda rows: twice[rows], table, k, len(table), itself).ids

    def _top_arrays(self, k, seen):
        top = self.top_unseen(self._view or self.score_all, k, seen)
        return {"ids": top.ids, "scores": top.scores}

    def _top_users(self, k):
        if not self._view:
            return super()._top_users(k)
        top = top_inner_products(self._view.items, self._view.user_table, k, self.n_items, self._pairs_by_item())
        return {"ids": top.ids, "scores": top.scores}

    def _top_seen(self, k):
        users, items = self.positive_users, self.positive_items
        scores = self._score_positives()
        order = torch.argsort(scores, descending=True, stable=True)
        order = order[torch.argsort(users[order], stable=True)]
        rank = torch.arange(len(users), device=self.device) - self._starts[users[order]]
        kept = rank < k
        ids = torch.zeros(self.n_users, k, dtype=torch.int32, device=self.device)
        ids[users[order][kept], rank[kept]] = items[order][kept].int()
        ids[0] = 0
        return ids

    def _score_positives(self):
        """The teacher's score of each training pair, in their order."""
        found = []
        if self._view:
            pairs = torch.arange(len(self.positive_users), device=self.device)
            for rows in pairs.split(block_rows(self._view.width)):
                user, item = self._view.users(self.positive_users[rows]), self._view.items(self.positive_items[rows])
                found.append((user * item).sum(1))
            return torch.cat(found)
        for users in self._blocks(self.n_items):
            start, stop = int(self._starts[users[0]]), int(self._starts[users[-1] + 1])
            places = self.positive_users[start:stop] - users[0], self.positive_items[start:stop]
            found.append(self.score_all(users)[places].float())
        return torch.cat(found)

    def _earlier(self, last):
        found = [torch.zeros_like(last[None][:0])]
        for state in self.states:  # one at a time in memory
            found.append(self.top_unseen(self._scorer(state()), last.shape[1]).ids[None])
        return torch.cat(found)

    def _scorer(self, backbone):
        """A backbone's scores as ``unseen_top`` reads them."""
        if FACTORS in backbone.capabilities:
            return self._with_neighbours(backbone.snapshot())
        return torch.no_grad()(backbone.score_all)

    def _with_neighbours(self, view):
        if not self.neighbour_weight:
            return view
        return with_neighbours(view, (self.positive_users, self.positive_items), self.neighbour_weight)
