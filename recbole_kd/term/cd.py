"""CD: collaborative distillation, at the output layer."""

from functools import partial
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.losses import soft_binary_loss
from recbole_kd.ops.sampling import sample_outside, sample_ranks_tournament
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.candidates import CandidateTable, distinct_ids
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
        if knowledge.per_row:
            return
        if self.key("guide") == "teacher":
            self.top = knowledge.top_items(self.key("max_k"))
        if self.key("guide") == "random":
            self.excluded = knowledge.excluded_from_sampling()
        self.candidates = CandidateTable(knowledge.n_queries, self.key("k"), config["device"])
        self.register_buffer("labels", torch.zeros_like(self.candidates.ids, dtype=torch.float32))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if not self.knowledge.per_row and is_refresh_epoch(epoch, self.key("refresh")):
            self._fill(student)

    def loss(self, batch: Batch) -> torch.Tensor:
        queries = self.subsample(batch.queries)
        if self.knowledge.per_row:
            items, labels = self._draw_rows(batch.student, queries)
        else:
            items, labels = self.candidates.ids[queries], self.labels[queries]
        loss = soft_binary_loss(batch.student.score(queries, items), labels, items > 0)
        return self.reduce_users(loss, queries, batch, self.key("k"))

    def _fill(self, student: Backbone) -> None:
        """Draw the candidates of all users anew, and make labels from the teacher's scores of them."""
        guide = self.key("guide")
        if guide == "random":
            self.candidates.fill(*sample_outside(self.excluded, self.key("k"), self.generator))
            scores = self.knowledge.score(self.candidates.ids)
        else:
            top = self.top if guide == "teacher" else self._student_top(student)
            ids, mask, ranks = self._draw_listed(top)
            self.candidates.fill(ids, mask)
            known = guide == "teacher"
            scores = torch.gather(top.scores, 1, ranks) if known else self.knowledge.score(self.candidates.ids)
        self.labels.copy_(self._soft_labels(scores))

    def _draw_rows(self, student: View, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The candidates of these queries, drawn now, and their labels, shape [n, K] each."""
        guide, k = self.key("guide"), self.key("max_k")
        if guide == "random":
            excluded = self.knowledge.excluded_of(queries)
            ids = distinct_ids(*sample_outside(excluded, self.key("k"), self.generator))
        else:
            read = self.knowledge.top_items_of if guide == "teacher" else partial(self.knowledge.top_unseen_of, student)
            ids = distinct_ids(*self._draw_listed(read(queries, k))[:2])
        return ids, self._soft_labels(self.knowledge.score_of(queries, ids))

    def _draw_listed(self, top: TopList) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw K items of each list: the items, which slots are filled, and the ranks."""
        temperature = top.ids.shape[1] * self.key("temperature")
        ranks, mask = sample_ranks_tournament(top.length, self.key("k"), temperature, self.generator)
        return torch.gather(top.ids, 1, ranks), mask, ranks

    def _soft_labels(self, scores: torch.Tensor) -> torch.Tensor:
        return ((scores + self.key("t2")) / self.key("t1")).sigmoid()

    def _student_top(self, student: Backbone) -> TopList:
        with student.eval_view() as view:
            return self.knowledge.top_unseen(view, self.key("max_k"))
