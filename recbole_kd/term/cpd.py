"""CPD: distillation with consistent preference, at the intermediate layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import normalize, pad

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import VECTORS, Capability
from recbole_kd.backbone.views import FactorView
from recbole_kd.config.configurator import Config
from recbole_kd.losses import at_least_float32, cosine_loss, pair_consistency, soft_label_loss
from recbole_kd.ops.pair_scores import pair_scores
from recbole_kd.ops.sampling import sample_ranks, sample_subset
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Term, combine_sides
from recbole_kd.term.batch import Batch
from recbole_kd.term.projectors import ProjectorPair


class CPD(Term):
    r"""An alignment through projectors, and regularisers that train the projectors alone to keep the student's order.

    With :math:`a_{ui} = e^S_u \cdot e^S_i` before the projectors and :math:`b_{ui} = p_U(e^S_u) \cdot p_I(e^S_i)` after
    them, the student's vectors detached in both:

    .. math:: L = L_{cos} + \alpha R_{pair} + \beta R_{list}

    R_pair compares two items of a row, its positive and negative one unless ``cpd_pair_items`` says otherwise; R_list
    is the cross entropy of the softmax of b against that of a over Q items of the teacher's list, drawn anew each
    epoch (those of a sequence student's rows each step), training positives excluded unless ``cpd_seen``. The mean
    takes each query of the batch once; the sum, as the authors', once a row.

    Source: Zhu & Zhang, arXiv 2311.04549 v1.

    Fidelity: medium to high, after the authors' first commit; the ``logistic`` pair is that of v2. Over gated experts,
    as PCKD has them, the regularisers project each user and each item once in a step, so that all of its pairs share
    one draw of the gates' noise; the authors draw it anew for each pair. Over the steps the mean is the same, and the
    spread is larger: a standard deviation of 0.97 against 0.60 where it was measured.
    """

    layer = "intermediate"
    teacher_needs = VECTORS | Capability.RANKS
    student_needs = VECTORS
    needs_negatives = True
    items: torch.Tensor
    pairs: torch.Tensor

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.projectors = ProjectorPair.of_experts(
            width, knowledge.width, self.key("hidden_ratio"), self.key("experts"), self.key("dropout")
        )
        self.aligns, self.through = True, self.project
        if not knowledge.per_row:
            self.top = knowledge.top_items(self.key("max_k"), self.key("seen"))
        for name in ("items", "pairs"):
            self.register_buffer(name, torch.zeros(1, 0, dtype=torch.int64), persistent=False)

    def share(self, term: Any) -> None:
        """Regularise the projectors of another term, which aligns them itself."""
        del self.projectors
        self.aligns, self.through = False, term.project

    def project(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Project the student's vectors, shape [n, d_S], into the teacher's space, [n, d_T]."""
        return self.projectors.project(side, vectors, self.generator)

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if self.knowledge.per_row:
            return
        self.items = self._draw(self.top, self.key("k"))
        if self.key("pair_weight") and self.key("pair_items") == "rank":
            self.pairs = self._draw(self.top, 2)

    def _draw(self, top: TopList, k: int) -> torch.Tensor:
        """Draw k items of each list by rank; 0 in an unfilled slot."""
        ranks, mask = sample_ranks(top.length, k, self.key("temperature"), self.generator)
        return torch.where(mask, torch.gather(top.ids, 1, ranks), 0)

    def _listed(self, table: torch.Tensor, queries: torch.Tensor, k: int) -> torch.Tensor:
        """k drawn items of the lists of these queries: the epoch's, or for a sequence student's rows drawn now."""
        if not self.knowledge.per_row:
            return table[queries]
        return self._draw(self.knowledge.top_items_of(queries, self.key("max_k"), self.key("seen")), k)

    def loss(self, batch: Batch) -> torch.Tensor:
        regulariser = self._regulariser(batch)
        return self._alignment(batch) + regulariser if self.aligns else regulariser

    def _alignment(self, batch: Batch) -> torch.Tensor:
        def side_loss(side: str, ids: torch.Tensor, vectors: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
            drawn = self.subsample(ids)
            projected, target = self.through(side, drawn, vectors(drawn)), self.knowledge.factors(side)[drawn]
            return self.reduce(cosine_loss(projected, target), len(ids))

        student = batch.student
        user = side_loss("user", batch.queries, student.query_vectors)
        pos, neg = (side_loss("item", ids, student.item_vectors) for ids in (batch.pos_items, batch.neg_items))
        return combine_sides(user, pos, neg)

    def _regulariser(self, batch: Batch) -> torch.Tensor:
        alpha, beta, most = self.key("pair_weight"), self.key("list_weight"), self.key("rows")
        # what has no weight is not drawn
        rows = sample_subset(batch.row_order, most, self.generator) if alpha else batch.row_order[:0]
        users = sample_subset(batch.queries, most, self.generator) if beta else batch.queries[:0]
        pairs, lists = self._pairs(batch, rows), self._listed(self.items, users, self.key("k"))
        # both in one pass through the projectors: the shorter rows are padded, and the padding is never read
        longest = max(2, lists.shape[1])
        items = torch.cat([pad(ids, (0, longest - ids.shape[1])) for ids in (pairs, lists)])
        scores = self._scores(batch.student, torch.cat([batch.query[rows], users]), items)
        before, after = (score[len(rows) :, : lists.shape[1]] for score in scores)
        loss = after.new_zeros(())
        if alpha:
            delta_a, delta_b = (score[: len(rows), 0] - score[: len(rows), 1] for score in scores)
            pair = pair_consistency(delta_a, delta_b, self.key("pair"))
            pair = torch.where((pairs > 0).all(1), pair, 0.0)  # a list of fewer than two items makes no pair
            loss = loss + alpha * self.reduce(pair, self.positives(batch))
        if beta:
            listed = soft_label_loss(after, before, self.key("tau"), lists > 0)
            loss = loss + beta * self.reduce_users(listed, users, batch)
        return loss

    def _pairs(self, batch: Batch, rows: torch.Tensor) -> torch.Tensor:
        """Two items for each of these rows of the batch, shape [n, 2]."""
        if self.key("pair_items") == "rank":
            return self._listed(self.pairs, batch.query[rows], 2)
        if self.key("pair_items") == "uniform":
            size = (len(rows), 2)
            return torch.randint(1, self.knowledge.n_items, size, generator=self.generator, device=rows.device)
        return torch.stack([batch.pos_item[rows], batch.neg_item[rows]], 1)

    def _scores(self, student: FactorView, users: torch.Tensor, items: torch.Tensor) -> list[torch.Tensor]:
        """The detached student's scores before and after the projectors, shape [n, c] each."""
        distinct, column = items.unique(return_inverse=True)
        user, item = student.query_vectors(users).detach(), student.item_vectors(distinct).detach()
        projected = self.projection("user", users, user), self.projection("item", distinct, item)
        return [pair_scores(u, i, column) for u, i in ((user, item), projected)]

    def projection(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """The projected vectors as the regularisers read them, shape [n, d]: at unit length under ``cpd_unit``."""
        projected = at_least_float32(self.through(side, ids, vectors))
        return normalize(projected, dim=-1) if self.key("unit") else projected
