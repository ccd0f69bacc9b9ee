"""RCEKD: rejuvenated cross-entropy distillation, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.losses import soft_label_loss
from recbole_kd.ops.ranking import membership
from recbole_kd.ops.sampling import sample_without_replacement
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.candidates import CandidateTable
from recbole_kd.term.schedule import is_refresh_epoch

MAX_COUNT = 50  # the authors' bound on c_r


class RCEKD(Term):
    r"""Cross entropies over two sets of a query's items: the student's own best, and those of the teacher's best that
    the student does not rank yet, together with items that the student ranks above many of them.

    :math:`Q^S, Q^T` are the first K of the student's and the teacher's list. Each refresh draws L items A from the
    student's list without replacement, position r with weight :math:`\exp(c_r / T)`, where :math:`c_r` is how many of
    :math:`Q^T` are at r or further down in that list (the authors' :math:`c_r + 1` is the same law). With

    .. math:: \ell_C(u) = -\sum_{i \in C} \mathrm{softmax}_C(t_u / \tau)_i \log \mathrm{softmax}_C(s_u / \tau)_i,
        \quad W = A \cup (Q^T \setminus A \setminus Q^S), \quad w_u = e^{-\beta |Q^T \cap A| / K},

    .. math:: L = \mathrm{mean}_u \; (1 - w_u) \, \ell_{Q^S}(u) + w_u \, \ell_W(u).

    Training positives stay in both lists, as the authors have it, unless ``rcekd_seen`` says otherwise. The mean takes
    each query of the batch once; the sum, as the authors', once a row. The lists of users are read every few epochs,
    those of a sequence student's rows in each step.

    Source: Zhu & Zhang, arXiv 2509.20989.

    Fidelity: very high, after the authors' code.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    share: torch.Tensor

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.k = min(self.key("k"), knowledge.n_items - 1)
        if knowledge.per_row:
            return
        self.top = knowledge.top_items(self.key("k"), self.key("seen"))
        columns = self.k + self.key("sample_k") + self.k  # Q^S, A, the rest of Q^T
        self.candidates = CandidateTable(knowledge.n_queries, columns, config["device"], with_scores=True)
        self.register_buffer("share", torch.zeros(knowledge.n_queries, device=config["device"]))

    @property
    def student_k(self) -> int:
        """The length of the student's list."""
        return max(self.k, self.key("max_k"))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if not self.knowledge.per_row and is_refresh_epoch(epoch, self.key("refresh")):
            self._fill(student)

    def loss(self, batch: Batch) -> torch.Tensor:
        queries = self.subsample(batch.queries)
        if self.knowledge.per_row:
            items, labels, share = self._draw_rows(batch.student, queries)
        else:
            items, labels, share = (
                table[queries] for table in (self.candidates.ids, self.candidates.scores, self.share)
            )
        scores = batch.student.score(queries, items)
        of_student, of_both = (
            soft_label_loss(scores[:, columns], labels[:, columns], self.key("tau"), items[:, columns] > 0)
            for columns in (slice(self.k), slice(self.k, None))
        )
        return self.reduce_users((1 - share) * of_student + share * of_both, queries, batch)

    def _fill(self, student: Backbone) -> None:
        """Draw the candidates of all users anew, and read the teacher's scores of them."""
        with student.eval_view() as view:
            student_ids = self.knowledge.top_unseen(view, self.student_k, self.key("seen")).ids
        ids, share = self._draw(self.top, student_ids)
        self.candidates.ids.copy_(ids)
        # the scores of the teacher's list are known; only the others are computed
        computed = self.knowledge.score(ids[:, : -self.k])
        self.candidates.scores.copy_(torch.cat([computed, _known_scores(self.top, ids[:, -self.k :])], 1))
        self.share.copy_(share)

    def _draw_rows(self, student: View, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The candidates of these queries, drawn now, the teacher's scores of them, and the shares w."""
        top = self.knowledge.top_items_of(queries, self.k, self.key("seen"))
        student_ids = self.knowledge.top_unseen_of(student, queries, self.student_k, self.key("seen")).ids
        ids, share = self._draw(top, student_ids)
        computed = self.knowledge.score_of(queries, ids[:, : -self.k])
        return ids, torch.cat([computed, _known_scores(top, ids[:, -self.k :])], 1), share

    def _draw(self, top: TopList, student_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates of each row, int32, from the student's lists of shape [n, L], and the shares w, shape [n]."""
        logits, k = self._logits(top, student_ids), self.key("sample_k")
        columns, mask = sample_without_replacement(logits, student_ids > 0, k, self.generator)
        best, drawn = student_ids[:, : self.k], torch.where(mask, torch.gather(student_ids, 1, columns), 0)
        in_draw = membership(top.ids, drawn)
        rest = torch.where(in_draw | membership(top.ids, best), 0, top.ids)
        return torch.cat([best, drawn, rest], 1), (-self.key("beta") * in_draw.sum(1) / self.k).exp()

    def _logits(self, top: TopList, student_ids: torch.Tensor) -> torch.Tensor:
        """The logarithms of the weights of the student's positions."""
        if self.key("sampling") == "rank":
            return -torch.arange(student_ids.shape[1], device=student_ids.device) / self.key("temperature")
        count = membership(student_ids, top.ids).flip(1).cumsum(1).flip(1).clamp(max=MAX_COUNT)
        return count / self.key("temperature")


def _known_scores(top: TopList, ids: torch.Tensor) -> torch.Tensor:
    """The teacher's scores of its list where ``ids``, of the list's shape, keeps them; else 0."""
    return torch.where(ids > 0, top.scores, 0.0)
