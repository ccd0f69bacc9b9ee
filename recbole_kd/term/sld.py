"""SLD: distillation with soft labels made from both models' predictions, at the output layer."""

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.losses.soft_label import mixed_logits, soft_label_loss
from recbole_kd.ops.sampling import first_occurrence_mask, sample_outside, sample_ranks
from recbole_kd.term.base import Term
from recbole_kd.term.schedule import is_refresh_epoch, ramp


class SLD(Term):
    r"""The student's softmax over candidates of both models is pulled to labels from both models' logits.

    Candidates of a user, unseen in training: drawn by rank from the teacher's list, by rank from the student's current
    list, and uniformly from the rest. With share :math:`\gamma_e` growing from 0 over the first epochs,

    .. math:: q_{ui} = \mathrm{softmax}_i\big(((1 - \gamma_e) t_{ui} + \gamma_e s_{ui}) / \tau\big), \quad
        \ell(u) = -\sum_i q_{ui} \log \mathrm{softmax}_i(s_{ui} / \tau),

    averaged over the batch's unique users; no gradient flows into the label.

    Source: a reconstruction. Zhu & Zhang, arXiv 2311.04549 v1, say in the abstract that the labels consider the
    predictions of both; no formula could be had. The switch ``sld_mode`` holds the readings.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    items: torch.Tensor
    there: torch.Tensor
    labels: torch.Tensor

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.top = knowledge.top_items(self.key("max_k"))
        self.student_k = 0 if self.key("mode") == "teacher" else self.key("student_k")
        # the student's candidates are not excluded from the uniform draw: a double of theirs is masked afterwards
        self.outside = knowledge.excluded_from_sampling(self.top)
        self.gamma = 0.0
        columns = self.key("k") + self.student_k + self.key("uniform_k")
        shape = (knowledge.n_users, columns)
        device = config["device"]
        self.register_buffer("items", torch.zeros(shape, dtype=torch.int32, device=device))
        self.register_buffer("there", torch.zeros(shape, dtype=torch.bool, device=device))
        self.register_buffer("labels", torch.zeros(shape, device=device))

    @property
    def last_phase(self):
        return self.key("warmup") if self.key("mode") == "logitmix" else 0

    def start_epoch(self, epoch, student):
        if self.key("mode") == "logitmix":
            self.gamma = self.key("gamma") * ramp(epoch, self.key("warmup"))
        if is_refresh_epoch(epoch, self.key("refresh")):
            self._draw(student)

    def loss(self, batch):
        users = self.subsample(batch.users)
        scores = batch.student.score(users, self.items[users])
        labels = mixed_logits(self.labels[users], scores, self.gamma)
        loss = soft_label_loss(scores, labels, self.key("tau"), self.there[users])
        return self.reduce(loss, len(batch.users))

    def _draw(self, student):
        (listed, there, ranks), k = self._from_list(self.top, self.key("k")), self.key("k")
        drawn = [(listed, there)]
        if self.student_k:
            with student.eval_view() as view:
                own = self.knowledge.top_unseen(view, self.key("student_max_k"))
            drawn.append(self._from_list(own, self.student_k)[:2])
        if self.key("uniform_k"):
            drawn.append(sample_outside(self.outside, self.key("uniform_k"), self.generator))
        items, there = (torch.cat(part, dim=1) for part in zip(*drawn, strict=True))
        there[0] = False  # the padding user
        self.there.copy_(first_occurrence_mask(items, there))
        self.items.copy_(torch.where(self.there, items, 0))
        scores = torch.gather(self.top.scores, 1, ranks)  # known already; the others are asked for
        self.labels[:, :k] = torch.where(self.there[:, :k], scores, 0.0)
        self.labels[:, k:] = self.knowledge.score(self.items[:, k:])

    def _from_list(self, top, k):
        ranks, there = sample_ranks(top.length, k, self.key("temperature"), self.generator)
        return torch.gather(top.ids, 1, ranks).long(), there, ranks
