"""Knowledge read from a frozen teacher: factors, top-K lists, neighbours, and scores of chosen pairs on demand.

Lists are computed once, in blocks of users, and stored for the next run.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch

from recbole_kd.backbone.base import Backbone, eval_mode
from recbole_kd.backbone.capabilities import VECTORS, Capability
from recbole_kd.backbone.views import FactorView
from recbole_kd.knowledge.array_checks import ArrayForm, list_forms, trajectory_forms
from recbole_kd.knowledge.base import TRAJECTORY_K, ScoreAll, ignore_log
from recbole_kd.knowledge.neighbour_scores import with_neighbours
from recbole_kd.knowledge.scoring import ScoringKnowledge
from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.top_lists import TopList, top_inner_products
from recbole_kd.trainer.rng import preserve_rng

STORED_BYTES = 2**30  # of the lists of a sequence student's rows
LIST_ENTRY_BYTES = 8  # an id and a score


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
        reading: how the lists of a sequence student's rows are read: ``stored``, all of them ranked once; ``online``,
            those of a step ranked in the step; ``auto``: online where the teacher has vectors, and else stored where
            the lists take at most ``STORED_BYTES``.

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
        reading: str = "auto",
    ) -> None:
        model = backbone.model.eval()
        super().__init__(backbone.queries.size, backbone.item_count, positives, model.device, store, log)
        self.backbone: Any = backbone  # some families score pairs, which others cannot
        self.capabilities, self.states = backbone.capabilities, states
        self.per_row, self.reading = backbone.queries.per_row, reading
        self.trajectory, self.neighbour_weight = trajectory, neighbours
        self._reading_logged = False
        self._factors = self._read_factors() if VECTORS in self.capabilities else None
        self._view = self._with_neighbours(self._factors) if self._factors else None
        self.width = self._factors.width if self._factors else None

    def _read_factors(self) -> FactorView:
        """The vectors of all queries, which are stored where the teacher's pass over its sequences makes them."""
        if Capability.USER_TABLE in self.capabilities:
            return self.backbone.snapshot()
        if not self.per_row:
            self.capabilities |= Capability.USER_TABLE  # a vector for each user: that of the latest sequence
        forms = {"queries": ArrayForm((self.n_queries, None)), "items": ArrayForm((self.n_items, None))}
        what = f"the teacher's vectors of {self.n_queries - 1:,} sequences"
        arrays = self._cached("vectors", self._vectors, what, forms)
        return FactorView(arrays["queries"], arrays["items"])

    def _vectors(self) -> dict[str, torch.Tensor]:
        self.log(f"about {self._seconds_of_all():,.0f} s for {self.n_queries - 1:,} sequences")
        view = self.backbone.snapshot()
        return {"queries": view.query_table, "items": view.item_table}

    def _seconds_of_all(self) -> float:
        """An estimate of the time of the teacher's pass over all queries, from a few of them."""
        ids = torch.arange(1, min(self.n_queries, 257), device=self.device)
        started = time.perf_counter()
        with self._isolated_model(), self.backbone.view() as view:
            view.query_vectors(ids)
        return (time.perf_counter() - started) * self.n_queries / max(len(ids), 1)

    def factors(self, side: str) -> torch.Tensor:
        """The factors of ``user`` or ``item``, shape [n + 1, d_T]; inner products are scores without neighbours."""
        factors = cast(FactorView, self._factors)  # checked before: the terms that read it need vectors
        return factors.query_table if side == "user" else factors.item_table

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """The teacher's scores of all items for ``users`` [b], shape [b, n_items]."""
        if self._view:
            return self._view.score_all(users)
        with self._isolated_model():
            return self.backbone.score_all(users)

    def score(self, items: torch.Tensor) -> torch.Tensor:
        """The teacher's scores of chosen items, one row a user: items [n_queries, c], result float32 of that shape."""
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

    def score_of(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The teacher's scores of chosen items of chosen queries; arguments as of ScoringKnowledge."""
        if self._view:
            return self._view.score(queries, items).float()
        with self._isolated_model():
            return self.backbone.score_pairs(queries, items.long()).float()

    @contextmanager
    def _isolated_model(self) -> Iterator[None]:
        """Run the teacher's model inside a student's step without side effects.

        It does not follow the student's half precision, and the global random generators are left as they were
        (ADMMSLIM adds random numbers to its scores).
        """
        with torch.autocast(self.device.type, enabled=False), preserve_rng(), eval_mode(self.backbone.model):
            yield

    def top_items_of(self, queries: torch.Tensor, k: int, seen: bool = False) -> TopList:
        """As ``top_items``, of chosen queries: from the stored lists, or ranked now, as ``reading`` says."""
        if not self.per_row or self._stores_lists(k):
            return super().top_items_of(queries, k, seen)
        scores = self.score_all(queries).detach().float().clone()
        if seen:
            scores[:, 0] = -torch.inf
        else:
            self.hide_seen(scores, queries)
        return TopList.from_scores(scores, self._clip(k, self.n_items - 1))

    def _stores_lists(self, k: int) -> bool:
        """Whether the lists of all rows are stored; said in the log at the first list."""
        if self.reading != "auto":
            return self.reading == "stored"
        nbytes = self.n_queries * min(k, self.n_items - 1) * LIST_ENTRY_BYTES
        stored = self._view is None and nbytes <= STORED_BYTES
        if not self._reading_logged:
            self._reading_logged = True
            size = f"{self.n_queries - 1:,} rows x {k}, {nbytes / 2**20:,.0f} MiB"
            how = "are ranked once and stored" if stored else "are ranked in each step, from the teacher's scores"
            self.log(f"the teacher's lists ({size}) {how}: kd_knowledge sets it")
        return stored

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The teacher's best items of each user; arguments as for BaseKnowledge."""
        k = self._clip(k, self.n_items - 1)
        name, what = (f"all-top-{k}", "of all") if seen else (f"top-{k}", "not seen in training")
        what = f"each user's top {k} items {what}, as the teacher ranks them"
        forms = list_forms(self.n_queries, k, self.n_items)
        return self._cached_list(name, lambda: self._top_arrays(k, seen), what, forms)

    def top_seen(self, k: int) -> torch.Tensor:
        """Each user's training items, at most k, the teacher's best first: ids, int32, shape [n_queries, K]."""
        k = self._clip(k, self.n_items - 1)
        what = f"each user's top {k} items of those seen in training, as the teacher ranks them"
        forms = {"ids": ArrayForm((self.n_queries, k), self.n_items)}
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
        forms = trajectory_forms(self.n_queries, self.n_items, last.shape[1], moments, longest)
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
        size = (self.n_queries if side == "user" else self.n_items) - 1
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
        top = top_inner_products(self._view.item_vectors, self._view.query_table, k, self.n_items, known)
        return {"ids": top.ids, "scores": top.scores}

    def _top_seen(self, k: int) -> torch.Tensor:
        users, items = self.positive_users, self.positive_items
        scores = self._score_positives()
        order = torch.argsort(scores, descending=True, stable=True)
        order = order[torch.argsort(users[order], stable=True)]
        rank = torch.arange(len(users), device=self.device) - self.interactions.starts[users[order]]
        within_k = rank < k
        ids = torch.zeros(self.n_queries, k, dtype=torch.int32, device=self.device)
        ids[users[order][within_k], rank[within_k]] = items[order][within_k].int()
        ids[0] = 0
        return ids

    def _score_positives(self) -> torch.Tensor:
        """The teacher's score of each training pair, in their order."""
        scores = []
        if self._view:
            pairs = torch.arange(len(self.positive_users), device=self.device)
            for rows in pairs.split(block_rows(self._view.width)):
                user, item = (
                    self._view.query_vectors(self.positive_users[rows]),
                    self._view.item_vectors(self.positive_items[rows]),
                )
                scores.append((user * item).sum(1))
            return torch.cat(scores)
        for users in self._user_blocks(self.n_items):
            start, stop = int(self.interactions.starts[users[0]]), int(self.interactions.starts[users[-1] + 1])
            block = self.positive_users[start:stop] - users[0], self.positive_items[start:stop]
            scores.append(self.score_all(users)[block].float())
        return torch.cat(scores)

    def _earlier(self, last: torch.Tensor) -> torch.Tensor:
        """The lists at the earlier moments, shape [V - 1, n_queries, K]."""
        lists = [torch.zeros_like(last[None][:0])]
        for state in self.states or ():  # one at a time in memory
            lists.append(self.top_unseen(self._scorer(state()), last.shape[1]).ids[None])
        return torch.cat(lists)

    def _scorer(self, backbone: Backbone) -> FactorView | ScoreAll:
        """A backbone's scores as ``top_unseen`` reads them."""
        if VECTORS in backbone.capabilities:
            return self._with_neighbours(backbone.snapshot())
        return torch.no_grad()(backbone.score_all)

    def _with_neighbours(self, view: FactorView) -> FactorView:
        if not self.neighbour_weight:
            return view
        return with_neighbours(view, (self.positive_users, self.positive_items), self.neighbour_weight)
