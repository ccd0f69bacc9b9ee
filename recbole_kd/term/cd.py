"""CD: collaborative distillation, at the output layer."""

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.losses.pointwise import soft_binary_loss
from recbole_kd.ops.sampling import first_occurrence_mask, sample_outside, sample_ranks_tournament
from recbole_kd.term.base import Term
from recbole_kd.term.schedule import is_refresh_epoch


class CD(Term):
    r"""The student's probability of each of K unseen items is pulled to the teacher's softened one.

    .. math:: L = \mathrm{mean}_u \frac1K \sum_{i \in D_u} -y_{ui} \log \sigma(s_{ui})
        - (1 - y_{ui}) \log (1 - \sigma(s_{ui})), \quad y_{ui} = \sigma((t_{ui} + t_2) / t_1)

    :math:`D_u`: K times the better of two ranks of the guide's list, each drawn with weight
    :math:`\exp(-r / (M T))`, where M is the list's length; ``random``: uniformly. An item that is drawn again counts
    once; the ports mean to draw K distinct ones, and count doubles. The mean takes each user of the batch
    once; the sum, as theirs, once a row.

    Source: Lee et al., ICDM 2019, arXiv 1911.05276, after ports by others: medium. With their T the weights are nearly
    even, so that a rank's chance falls about linearly to 0 at M; the paper's own may be sharper.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    items: torch.Tensor
    labels: torch.Tensor

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        if self.key("guide") == "teacher":
            self.top = knowledge.top_items(self.key("max_k"))
        if self.key("guide") == "random":
            self.outside = knowledge.excluded_from_sampling()
        shape, device = (knowledge.n_users, self.key("k")), config["device"]
        self.register_buffer("items", torch.zeros(shape, dtype=torch.int32, device=device))
        self.register_buffer("labels", torch.zeros(shape, device=device))

    def start_epoch(self, epoch, student):
        if is_refresh_epoch(epoch, self.key("refresh")):
            items, scores = self._draw(student)
            self.items.copy_(items)
            self.labels.copy_(((scores + self.key("t2")) / self.key("t1")).sigmoid())

    def loss(self, batch):
        users = self.subsample(batch.users)
        items = self.items[users]
        loss = soft_binary_loss(batch.student.score(users, items), self.labels[users], items > 0)
        return self.reduce_users(loss, users, batch, self.key("k"))

    def _draw(self, student):
        """Items, 0 for none, and the teacher's scores of them."""
        guide, k = self.key("guide"), self.key("k")
        if guide == "random":
            items, there = sample_outside(self.outside, k, self.generator)
            items[0] = 0  # the padding user
        else:
            top = self.top if guide == "teacher" else self._students(student)
            temperature = top.ids.shape[1] * self.key("temperature")
            ranks, there = sample_ranks_tournament(top.length, k, temperature, self.generator)
            items = torch.gather(top.ids, 1, ranks)
        items = torch.where(first_occurrence_mask(items, there), items, 0)
        return items, torch.gather(top.scores, 1, ranks) if guide == "teacher" else self.knowledge.score(items)

    def _students(self, student):
        with student.eval_view() as view:
            return self.knowledge.top_unseen(view, self.key("max_k"))
