"""RD: ranking distillation, at the output layer."""

from typing import Any

import torch
from torch.nn.functional import normalize

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import rank_discrepancy, weighted_positives
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch


class RD(Term):
    r"""The teacher's best K unseen items :math:`\pi_u` are positives too, weighted by their position in its list and,
    later on, by how far below it the student ranks them.

    .. math:: L = \mathrm{mean}_u \sum_{k=0}^{K-1} -w_{uk} \log \sigma(s_{u,\pi_{uk}}), \quad
        w_{uk} = \frac{e^{-k / \lambda}}{\sum_j e^{-j / \lambda}} \cdot \max(0, \tanh(\mu (\hat r_{uk} - k)))

    The second factor comes in after the first epochs: :math:`\hat r` is the student's rank of the item, estimated in
    each step by D unseen items a user that are drawn anew each epoch. No gradient flows into the weights;
    ``rd_normalise`` makes those of a user sum to 1, as ports have it. The mean takes each user of the batch once,
    the sum once a row.

    Source: Tang & Wang, KDD 2018.

    Fidelity: high, after the authors' code.
    """

    layer = "output"
    teacher_needs = Capability.RANKS
    student_needs = Capability.SCORES
    negatives: torch.Tensor
    static: torch.Tensor

    @classmethod
    def list_length(cls, config: Config, n_items: int) -> int:
        return config["rd_k"]

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.dynamic = False
        k = min(self.key("k"), knowledge.n_items - 1)
        positions = torch.arange(k, device=config["device"])
        self.register_buffer("static", (-positions / self.key("lambda")).softmax(0), persistent=False)
        if knowledge.per_row:
            return
        self.ids = knowledge.top_items(self.key("k")).ids
        self.excluded = knowledge.excluded_from_sampling()
        self.register_buffer("negatives", torch.zeros(0, dtype=torch.int64), persistent=False)

    @property
    def last_phase(self) -> int:
        return self.key("start")

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        self.dynamic = epoch >= self.key("start")
        if self.dynamic and not self.knowledge.per_row:
            self.negatives = sample_outside(self.excluded, self.key("negatives"), self.generator)[0]

    def loss(self, batch: Batch) -> torch.Tensor:
        queries = self.subsample(batch.queries)
        items = self._listed(queries)
        scores = batch.student.score(queries, items)
        weights = torch.where(items > 0, self.static, 0.0)
        if self.dynamic:
            with torch.no_grad():
                sampled = batch.student.score(queries, self._sampled(queries))
            weights = weights * rank_discrepancy(scores, sampled, self.knowledge.n_items - 1, self.key("mu"))
        if self.key("normalise"):
            weights = normalize(weights, p=1.0, dim=-1)
        return self.reduce_users(weighted_positives(scores, weights), queries, batch)

    def _listed(self, queries: torch.Tensor) -> torch.Tensor:
        """The teacher's best unseen items of these queries, shape [n, K]."""
        if self.knowledge.per_row:
            return self.knowledge.top_items_of(queries, self.key("k")).ids
        return self.ids[queries]

    def _sampled(self, queries: torch.Tensor) -> torch.Tensor:
        """Unseen items of these queries, by which the student's ranks are estimated, shape [n, D]."""
        if not self.knowledge.per_row:
            return self.negatives[queries]
        excluded = self.knowledge.excluded_of(queries)
        return sample_outside(excluded, self.key("negatives"), self.generator)[0]
