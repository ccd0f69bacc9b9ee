"""DLLM2Rec: a language model's lists, confidences and item vectors, at the output layer and in the item table."""

from typing import Any

import torch
from torch import nn

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.item_table import add_vectors, item_embedding
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.errors import KDError
from recbole_kd.losses import list_weights, weighted_pairs
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch

GAMMAS = ("gamma_position", "gamma_confidence", "gamma_consistency")


class DLLM2Rec(Term):
    r"""The entries of the teacher's list are weighted positives, and its item vectors a part of the student's.

    Ranking part: of a query's list c the first K, and one item n that is drawn uniformly from outside it,

    .. math:: \ell(u) = \sum_{k=1}^{K} w_k \big(-\log \sigma(s_{u c_k}) - \log(1 - \sigma(s_{un}))\big),

    where :math:`w_k \propto \gamma_p w^{pos}_k + \gamma_c w^{conf}_k + \gamma_o w^{com}_k` sums to 1 (see
    ``losses.list_weights``): by the position, by the teacher's confidence, 0 for a teacher without one, and by whether
    c_k is among the student's current top K. Averaged over the batch's unique queries.

    Embedding part: while the student is trained its item table is :math:`E_i + \epsilon \, M e^T_i`, for its own loss
    and all terms, with :math:`\epsilon` = ``ed_weight`` and a learned linear map M. What is saved is the sum, in a
    plain student. A teacher of item vectors alone gives this part only, with ``dllm2rec_weight: 0``.

    Source: Cui et al., RecSys 2024, arXiv 2405.00338.

    Fidelity: high, after the authors' code, which gives the vectors to the input of the student alone, takes BCE and
    DROS as its base loss, and has :math:`\sigma(1 - s_{un})` in the place of :math:`1 - \sigma(s_{un})`:
    ``dllm2rec_negative: code``. In a list and among the student's top K here, a training row's target is left out.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.ITEM_VECTORS
    student_needs = Capability.SCORES | Capability.ALL_SCORES

    @classmethod
    def needs_of_teacher(cls, config: Config) -> Capability:
        lists = Capability.RANKS if config["dllm2rec_weight"] else Capability(0)
        return lists | (Capability.ITEM_VECTORS if config["dllm2rec_ed_weight"] else Capability(0))

    @classmethod
    def needs_of_student(cls, config: Config) -> Capability:
        return cls.student_needs if config["dllm2rec_gamma_consistency"] else Capability.SCORES

    @classmethod
    def list_length(cls, config: Config, n_items: int) -> int:
        return config["dllm2rec_k"]

    @classmethod
    def check(cls, config: Config) -> None:
        if not any(config[f"dllm2rec_{name}"] for name in GAMMAS):
            raise KDError("one of dllm2rec_gamma_position, _confidence and _consistency has to be above 0")

    @classmethod
    def check_student(cls, config: Config, student: Backbone) -> None:
        if config["dllm2rec_ed_weight"] and item_embedding(student.model, student.item_count) is None:
            raise KDError(
                f"DLLM2Rec adds the teacher's vectors to the student's table of items, item_embedding, and "
                f"{config['model']} has none of this name: set dllm2rec_ed_weight=0, or use GRU4Rec or SASRec"
            )

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.ranks = Capability.RANKS in knowledge.capabilities
        self.gammas = self.key(GAMMAS[0]), self.key(GAMMAS[1]), self.key(GAMMAS[2])
        if self.ranks and not knowledge.per_row:
            self.top = knowledge.top_items(self.key("k"))

    def attach(self, student: Backbone) -> None:
        if not self.key("ed_weight"):
            return
        table = item_embedding(student.model, student.item_count)
        assert table is not None  # check_student
        self.map = nn.Linear(self.knowledge.width, table.embedding_dim, bias=False)
        add_vectors(table, self.added_vectors)

    def added_vectors(self) -> torch.Tensor:
        """What is added to the vectors of all items, shape [n_items, d]; 0 for the padding."""
        vectors = self.knowledge.factors("item").float()
        present = (torch.arange(len(vectors), device=vectors.device) > 0)[:, None]
        return self.key("ed_weight") * self.map(torch.where(present, vectors, 0.0))

    def loss(self, batch: Batch) -> torch.Tensor:
        if not self.ranks:
            return torch.zeros((), device=batch.query.device)
        queries, k = self.subsample(batch.queries), self.key("k")
        top = self.knowledge.top_items_of(queries, k) if self.knowledge.per_row else self.top.take(queries)
        negative, drawn = sample_outside(self.knowledge.excluded_of(queries, top), 1, self.generator)
        weights = self._weights(batch.student, queries, top)
        scores = batch.student.score(queries, torch.cat([top.ids.long(), negative], 1))
        margin = self.key("negative") == "code"
        losses = weighted_pairs(scores[:, :-1], scores[:, -1], weights, drawn[:, 0], margin)
        return self.reduce(losses, len(batch.queries))

    def _weights(self, student: View, queries: torch.Tensor, top: TopList) -> torch.Tensor:
        """The weights of the entries of these queries' lists, shape [n, K]."""
        k, distances, common = top.ids.shape[1], None, None
        if self.knowledge.has_distances:
            distances = self.knowledge.distances_of(queries, k)
        if self.key("gamma_consistency"):
            student_top = self.knowledge.top_unseen_of(student, queries, k).ids
            common = (top.ids[:, :, None] == student_top[:, None, :]).any(2)
        return list_weights(top.ids > 0, distances, common, self.gammas, self.key("lambda"))
