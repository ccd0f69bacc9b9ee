"""SLD: distillation with soft labels made from both models' predictions, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.losses import mixed_logits, soft_label_loss
from recbole_kd.ops.sampling import ExcludedIds, sample_outside, sample_ranks
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.candidates import CandidateTable, distinct_ids
from recbole_kd.term.schedule import is_refresh_epoch, ramp


class SLD(Term):
    r"""The student's softmax over candidates of both models is pulled to labels from both models' logits.

    Candidates of a query, unseen in training: drawn by rank from the teacher's list, by rank from the student's current
    list, and uniformly from the rest. Those of users are drawn anew every few epochs, those of a sequence student's
    rows in each step. With share :math:`\gamma_e` growing from 0 over the first epochs,

    .. math:: q_{ui} = \mathrm{softmax}_i\big(((1 - \gamma_e) t_{ui} + \gamma_e s_{ui}) / \tau\big), \quad
        \ell(u) = -\sum_i q_{ui} \log \mathrm{softmax}_i(s_{ui} / \tau),

    averaged over the batch's unique queries; no gradient flows into the label.

    Source: Zhu & Zhang, arXiv 2311.04549 v1.

    Fidelity: low, a reconstruction. The abstract says that the labels consider the predictions of both models; no
    formula was available. ``sld_mode`` selects the reading.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.student_k = 0 if self.key("mode") == "teacher" else self.key("student_k")
        self.gamma = 0.0
        if knowledge.per_row:
            return
        self.top = knowledge.top_items(self.key("max_k"))
        # the student's candidates are not excluded from the uniform draw: duplicates are left out afterwards
        self.excluded = knowledge.excluded_from_sampling(self.top)
        columns = self.key("k") + self.student_k + self.key("uniform_k")
        self.candidates = CandidateTable(knowledge.n_queries, columns, config["device"], with_scores=True)

    @property
    def last_phase(self) -> int:
        return self.key("warmup") if self.key("mode") == "logitmix" else 0

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if self.key("mode") == "logitmix":
            self.gamma = self.key("gamma") * ramp(epoch, self.key("warmup"))
        if not self.knowledge.per_row and is_refresh_epoch(epoch, self.key("refresh")):
            self._fill(student)

    def loss(self, batch: Batch) -> torch.Tensor:
        queries = self.subsample(batch.queries)
        if self.knowledge.per_row:
            items, teacher_scores = self._draw_rows(batch.student, queries)
        else:
            items, teacher_scores = self.candidates.ids[queries], self.candidates.scores[queries]
        scores = batch.student.score(queries, items)
        labels = mixed_logits(teacher_scores, scores, self.gamma)
        loss = soft_label_loss(scores, labels, self.key("tau"), items > 0)
        return self.reduce(loss, len(batch.queries))

    def _fill(self, student: Backbone) -> None:
        """Draw the candidates of all users anew, and read the teacher's scores of them."""
        k, student_top = self.key("k"), None
        if self.student_k:
            with student.eval_view() as view:
                student_top = self.knowledge.top_unseen(view, self.key("student_max_k"))
        ids, mask, ranks = self._draw(self.top, student_top, self.excluded)
        self.candidates.fill(ids, mask)
        self.candidates.scores[:, :k] = _listed_scores(self.top, ranks, self.candidates.mask[:, :k])
        self.candidates.scores[:, k:] = self.knowledge.score(self.candidates.ids[:, k:])

    def _draw_rows(self, student: View, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates of these queries, drawn now, and the teacher's scores of them, shape [n, c] each."""
        k, student_top = self.key("k"), None
        top = self.knowledge.top_items_of(queries, self.key("max_k"))
        if self.student_k:
            student_top = self.knowledge.top_unseen_of(student, queries, self.key("student_max_k"))
        ids, mask, ranks = self._draw(top, student_top, self.knowledge.excluded_of(queries, top))
        ids = distinct_ids(ids, mask)
        others = self.knowledge.score_of(queries, ids[:, k:])
        return ids, torch.cat([_listed_scores(top, ranks, ids[:, :k] > 0), others], 1)

    def _draw(
        self, top: TopList, student_top: TopList | None, excluded: ExcludedIds
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Candidates of each row of the lists, which of them count, and the ranks of those from the teacher's list."""
        items, mask, ranks = self._draw_listed(top, self.key("k"))
        draws = [(items, mask)]
        if student_top is not None:
            draws.append(self._draw_listed(student_top, self.student_k)[:2])
        if self.key("uniform_k"):
            draws.append(sample_outside(excluded, self.key("uniform_k"), self.generator))
        ids, mask = (torch.cat(columns, dim=1) for columns in zip(*draws, strict=True))
        return ids, mask, ranks

    def _draw_listed(self, top: TopList, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw k items of each list by rank: the items, which slots are filled, and the ranks."""
        ranks, mask = sample_ranks(top.length, k, self.key("temperature"), self.generator)
        return torch.gather(top.ids, 1, ranks).long(), mask, ranks


def _listed_scores(top: TopList, ranks: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The teacher's known scores of entries of its list; 0 in an unfilled slot."""
    return torch.where(mask, torch.gather(top.scores, 1, ranks), 0.0)
