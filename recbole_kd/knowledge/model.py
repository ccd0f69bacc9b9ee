"""Knowledge read from a frozen teacher: factors, top-K lists, neighbours, and scores of chosen pairs on demand.

Lists are computed once, in blocks of users, and stored for the next run.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone, View
from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.knowledge.array_checks import ArrayForm, list_forms, trajectory_forms
from recbole_kd.knowledge.base import TRAJECTORY_K, ScoreAll, ignore_log
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
        store: folder to keep what was computed, or None. Its name must identify the teacher and the split.
        log: called with one sentence about what is computed.
        states: functions that give the teacher's backbone at earlier moments of its training, earliest first; None if
            they are not available.
        trajectory: the name in the store of its lists at these moments; None if it has no earlier moments.
        neighbours: beta of ``with_neighbours``, whose scores and lists are read if it is above 0; needs a teacher
            with factors. 0: the teacher's scores.

    Attributes:
        capabilities: what the teacher can give.
        width: d_T, or None for a teacher without factors.
    """

    def __init__(
        self,
        backbone: Backbone,
        positives: tuple[torch.Tensor, torch.Tensor],
        store: Path | str | None = None,
        log: Callable[[str], None] = ignore_log,
        states: Sequence[Callable[[], Backbone]] | None = None,
        trajectory: str | None = None,
        neighbours: float = 0.0,
    ) -> None:
        model = backbone.model.eval()
        super().__init__(model.n_users, model.n_items, positives, model.device, store, log)
        self.backbone: Any = backbone  # some families score pairs, which others cannot
        self.capabilities, self.states = backbone.capabilities, states
        self.trajectory, self.neighbour_weight = trajectory, neighbours
        self._factors = backbone.snapshot() if FACTORS in self.capabilities else None
        self._view = self._with_neighbours(self._factors) if self._factors else None
        self.width = self._factors.width if self._factors else None

    def factors(self, side: str) -> torch.Tensor:
        """The factors of ``user`` or ``item``, shape [n + 1, d_T]; inner products are scores without neighbours."""
        return getattr(self._factors, f"{side}_table")

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """The teacher's scores of all items for ``users`` [b], shape [b, n_items]."""
        if self._view:
            return self._view.score_all(users)
        with self._isolated_model():
            return self.backbone.score_all(users)

    def score(self, items: torch.Tensor) -> torch.Tensor:
        """The teacher's scores of chosen items, one row a user: items [n_users, c], result float32 of that shape."""
        result = torch.zeros(items.shape, device=self.device)
        numbers = items.shape[1] * (self._view.width if self._view else 1)
        for users in self._user_blocks(numbers if self._view or self.backbone.by_pairs else self.n_items):
            chosen = items[users].long()
            if self._view:
                result[users] = self._view.score(users, chosen)
            else:
                with self._isolated_model():
                    result[users] = self.backbone.score_pairs(users, chosen).float()
        return result

    @contextmanager
    def _isolated_model(self) -> Iterator[None]:
        """Run the teacher's model inside a student's step without side effects.

        It does not follow the student's half precision, and the global random generators are left as they were
        (ADMMSLIM adds random numbers to its scores).
        """
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False), preserve_rng():
            yield

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The teacher's best items of each user; arguments as for BaseKnowledge."""
        k = self._clip(k, self.n_items - 1)
        name, what = (f"all-top-{k}", "of all") if seen else (f"top-{k}", "not seen in training")
        what = f"each user's top {k} items {what}, as the teacher ranks them"
        forms = list_forms(self.n_users, k, self.n_items)
        return self._cached_list(name, lambda: self._top_arrays(k, seen), what, forms)

    def top_seen(self, k: int) -> torch.Tensor:
        """Each user's training items, at most k, the teacher's best first: ids, int32, shape [n_users, K]."""
        k = self._clip(k, self.n_items - 1)
        what = f"each user's top {k} items of those seen in training, as the teacher ranks them"
        forms = {"ids": ArrayForm((self.n_users, k), self.n_items)}
        return self._cached(f"seen-top-{k}", lambda: {"ids": self._top_seen(k)}, what, forms)["ids"]

    def trajectories(self, states: int, k: int = 1) -> list[torch.Tensor]:
        """The teacher's lists at several moments of its training, as for BaseKnowledge; of 100 items whatever k is."""
        last = self.top_items(TRAJECTORY_K).ids
        if states < 2 or self.trajectory is None:
            return [last[None]]
        size = len(self.states or ()) * last.numel() * last.element_size() / 2**20
        what = (
            f"each user's top {last.shape[1]} items at {len(self.states or ())} earlier moments of the teacher's "
            f"training, {size:,.1f} MiB"
        )
        moments, longest = (None, states - 1) if self.states is None else (len(self.states), None)
        forms = trajectory_forms(self.n_users, self.n_items, last.shape[1], moments, longest)
        earlier = self._cached(self.trajectory, lambda: {"ids": self._earlier(last)}, what, forms)["ids"]
        return [torch.cat([earlier, last[None]])]

    def neighbours(self, side: str, k: int, components: int) -> torch.Tensor:
        """The k nearest other entities of each in the teacher's space, by Euclidean distance.

        Args:
            side: ``user`` or ``item``.
            k: number of neighbours; clipped.
            components: leading principal components that distances are measured in.

        Returns:
            Ids, int32, shape [n + 1, k]; row 0 is 0.
        """
        size = (self.n_users if side == "user" else self.n_items) - 1
        k = self._clip(k, size - 1)
        what = f"the {k} nearest {side}s of each {side}"
        name = f"near-{side}-{k}-{components}"
        forms = {"ids": ArrayForm((size + 1, k), size + 1)}
        return self._cached(name, lambda: {"ids": self._near(side, k, components)}, what, forms)["ids"]

    def _near(self, side: str, k: int, components: int) -> torch.Tensor:
        table = self.factors(side).float()
        table = table - table[1:].mean(0)
        if components < table.shape[1]:
            covariance = table[1:].T @ table[1:]
            table = table @ torch.linalg.eigh(covariance).eigenvectors[:, -components:]
        # the nearest y of x have the largest 2 x.y - y.y
        twice = torch.nn.functional.pad(2 * table, (0, 1), value=-1.0)
        table = torch.cat([table, table.square().sum(1, keepdim=True)], 1)
        ids = torch.arange(len(table) + 1, device=self.device)
        itself = ids[:-1], ids[:-1], ids
        return top_inner_products(lambda rows: twice[rows], table, k, len(table), itself).ids

    def _top_arrays(self, k: int, seen: bool) -> dict[str, torch.Tensor]:
        top = self.top_unseen(self._view or self.score_all, k, seen)
        return {"ids": top.ids, "scores": top.scores}

    def _top_users(self, k: int) -> dict[str, torch.Tensor]:
        if not self._view:
            return super()._top_users(k)
        known = self.interactions.pairs_by_item()
        top = top_inner_products(self._view.items, self._view.user_table, k, self.n_items, known)
        return {"ids": top.ids, "scores": top.scores}

    def _top_seen(self, k: int) -> torch.Tensor:
        users, items = self.positive_users, self.positive_items
        scores = self._score_positives()
        order = torch.argsort(scores, descending=True, stable=True)
        order = order[torch.argsort(users[order], stable=True)]
        rank = torch.arange(len(users), device=self.device) - self.interactions.starts[users[order]]
        within_k = rank < k
        ids = torch.zeros(self.n_users, k, dtype=torch.int32, device=self.device)
        ids[users[order][within_k], rank[within_k]] = items[order][within_k].int()
        ids[0] = 0
        return ids

    def _score_positives(self) -> torch.Tensor:
        """The teacher's score of each training pair, in their order."""
        scores = []
        if self._view:
            pairs = torch.arange(len(self.positive_users), device=self.device)
            for rows in pairs.split(block_rows(self._view.width)):
                user, item = self._view.users(self.positive_users[rows]), self._view.items(self.positive_items[rows])
                scores.append((user * item).sum(1))
            return torch.cat(scores)
        for users in self._user_blocks(self.n_items):
            start, stop = int(self.interactions.starts[users[0]]), int(self.interactions.starts[users[-1] + 1])
            block = self.positive_users[start:stop] - users[0], self.positive_items[start:stop]
            scores.append(self.score_all(users)[block].float())
        return torch.cat(scores)

    def _earlier(self, last: torch.Tensor) -> torch.Tensor:
        """The lists at the earlier moments, shape [V - 1, n_users, K]."""
        lists = [torch.zeros_like(last[None][:0])]
        for state in self.states or ():  # one at a time in memory
            lists.append(self.top_unseen(self._scorer(state()), last.shape[1]).ids[None])
        return torch.cat(lists)

    def _scorer(self, backbone: Backbone) -> View | ScoreAll:
        """A backbone's scores as ``top_unseen`` reads them."""
        if FACTORS in backbone.capabilities:
            return self._with_neighbours(backbone.snapshot())
        return torch.no_grad()(backbone.score_all)

    def _with_neighbours(self, view: View) -> View:
        if not self.neighbour_weight:
            return view
        return with_neighbours(view, (self.positive_users, self.positive_items), self.neighbour_weight)
