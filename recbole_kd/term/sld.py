"""SLD: distillation with soft labels made from both models' predictions, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import mixed_logits, soft_label_loss
from recbole_kd.ops.sampling import sample_outside, sample_ranks
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Batch, Term
from recbole_kd.term.candidates import CandidateTable
from recbole_kd.term.schedule import is_refresh_epoch, ramp


class SLD(Term):
    r"""The student's softmax over candidates of both models is pulled to labels from both models' logits.

    Candidates of a user, unseen in training: drawn by rank from the teacher's list, by rank from the student's current
    list, and uniformly from the rest. With share :math:`\gamma_e` growing from 0 over the first epochs,

    .. math:: q_{ui} = \mathrm{softmax}_i\big(((1 - \gamma_e) t_{ui} + \gamma_e s_{ui}) / \tau\big), \quad
        \ell(u) = -\sum_i q_{ui} \log \mathrm{softmax}_i(s_{ui} / \tau),

    averaged over the batch's unique users; no gradient flows into the label.

    Source: Zhu & Zhang, arXiv 2311.04549 v1.

    Fidelity: low, a reconstruction. The abstract says that the labels consider the predictions of both models; no
    formula was available. ``sld_mode`` selects the reading.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.top = knowledge.top_items(self.key("max_k"))
        self.student_k = 0 if self.key("mode") == "teacher" else self.key("student_k")
        # the student's candidates are not excluded from the uniform draw: duplicates are left out afterwards
        self.excluded = knowledge.excluded_from_sampling(self.top)
        self.gamma = 0.0
        columns = self.key("k") + self.student_k + self.key("uniform_k")
        self.candidates = CandidateTable(knowledge.n_users, columns, config["device"], with_scores=True)

    @property
    def last_phase(self) -> int:
        return self.key("warmup") if self.key("mode") == "logitmix" else 0

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if self.key("mode") == "logitmix":
            self.gamma = self.key("gamma") * ramp(epoch, self.key("warmup"))
        if is_refresh_epoch(epoch, self.key("refresh")):
            self._draw(student)

    def loss(self, batch: Batch) -> torch.Tensor:
        users = self.subsample(batch.users)
        items = self.candidates.ids[users]
        scores = batch.student.score(users, items)
        labels = mixed_logits(self.candidates.scores[users], scores, self.gamma)
        loss = soft_label_loss(scores, labels, self.key("tau"), items > 0)
        return self.reduce(loss, len(batch.users))

    def _draw(self, student: Backbone) -> None:
        """Draw the candidates anew, and read the teacher's scores of them."""
        k = self.key("k")
        items, mask, ranks = self._draw_listed(self.top, k)
        draws = [(items, mask)]
        if self.student_k:
            with student.eval_view() as view:
                student_top = self.knowledge.top_unseen(view, self.key("student_max_k"))
            draws.append(self._draw_listed(student_top, self.student_k)[:2])
        if self.key("uniform_k"):
            draws.append(sample_outside(self.excluded, self.key("uniform_k"), self.generator))
        self.candidates.fill(*(torch.cat(columns, dim=1) for columns in zip(*draws, strict=True)))
        # the scores of the teacher's list are known; only the others are computed
        listed = self.candidates.mask[:, :k]
        self.candidates.scores[:, :k] = torch.where(listed, torch.gather(self.top.scores, 1, ranks), 0.0)
        self.candidates.scores[:, k:] = self.knowledge.score(self.candidates.ids[:, k:])

    def _draw_listed(self, top: TopList, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw k items of each list by rank: the items, which slots are filled, and the ranks."""
        ranks, mask = sample_ranks(top.length, k, self.key("temperature"), self.generator)
        return torch.gather(top.ids, 1, ranks).long(), mask, ranks
