"""CD: collaborative distillation, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import soft_binary_loss
from recbole_kd.ops.sampling import sample_outside, sample_ranks_tournament
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Batch, Term
from recbole_kd.term.candidates import CandidateTable
from recbole_kd.term.schedule import is_refresh_epoch


class CD(Term):
    r"""The student's probability of each of K unseen items is pulled to the teacher's softened one.

    .. math:: L = \mathrm{mean}_u \frac1K \sum_{i \in D_u} -y_{ui} \log \sigma(s_{ui})
        - (1 - y_{ui}) \log (1 - \sigma(s_{ui})), \quad y_{ui} = \sigma((t_{ui} + t_2) / t_1)

    :math:`D_u`: K times the better of two ranks of the guide's list, each drawn with weight
    :math:`\exp(-r / (M T))`, where M is the list's length; ``random``: uniformly. An item that is drawn again counts
    once; the ports mean to draw K distinct ones, and count duplicates. The mean takes each user of the batch
    once; the sum, as theirs, once a row.

    Source: Lee et al., ICDM 2019, arXiv 1911.05276.

    Fidelity: medium, after ports by others. With their T the weights are nearly even, so that a rank's chance falls
    about linearly to 0 at M; the paper's may be sharper.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    labels: torch.Tensor

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        if self.key("guide") == "teacher":
            self.top = knowledge.top_items(self.key("max_k"))
        if self.key("guide") == "random":
            self.excluded = knowledge.excluded_from_sampling()
        self.candidates = CandidateTable(knowledge.n_users, self.key("k"), config["device"])
        self.register_buffer("labels", torch.zeros_like(self.candidates.ids, dtype=torch.float32))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if is_refresh_epoch(epoch, self.key("refresh")):
            self._draw(student)

    def loss(self, batch: Batch) -> torch.Tensor:
        users = self.subsample(batch.users)
        items = self.candidates.ids[users]
        loss = soft_binary_loss(batch.student.score(users, items), self.labels[users], items > 0)
        return self.reduce_users(loss, users, batch, self.key("k"))

    def _draw(self, student: Backbone) -> None:
        """Draw the candidates anew, and make labels from the teacher's scores of them."""
        guide, k = self.key("guide"), self.key("k")
        if guide == "random":
            self.candidates.fill(*sample_outside(self.excluded, k, self.generator))
        else:
            top = self.top if guide == "teacher" else self._student_top(student)
            temperature = top.ids.shape[1] * self.key("temperature")
            ranks, mask = sample_ranks_tournament(top.length, k, temperature, self.generator)
            self.candidates.fill(torch.gather(top.ids, 1, ranks), mask)
        known = guide == "teacher"
        scores = torch.gather(top.scores, 1, ranks) if known else self.knowledge.score(self.candidates.ids)
        self.labels.copy_(((scores + self.key("t2")) / self.key("t1")).sigmoid())

    def _student_top(self, student: Backbone) -> TopList:
        with student.eval_view() as view:
            return self.knowledge.top_unseen(view, self.key("max_k"))
