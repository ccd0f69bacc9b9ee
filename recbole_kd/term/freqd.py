"""FreqD: distillation by graph frequencies, at the intermediate layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import embedding, embedding_bag

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.backbone.views import FactorView
from recbole_kd.config.configurator import Config
from recbole_kd.data.graphs import bipartite_graph, cooccurrence_graph, nearest_graph
from recbole_kd.losses import at_least_float32, cosine_loss, squared_distance
from recbole_kd.term.alignment import Alignment
from recbole_kd.term.projectors import ProjectorPair

Vectors = Callable[[torch.Tensor], torch.Tensor]
"""Rows of a table by their numbers: ``vectors(nodes [n]) -> [n, d]``."""


class FreqD(Alignment):
    r"""Both sides' vectors pass a low-pass filter on a graph before they are compared, so what varies slowly along the
    edges weighs more.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell), \quad
        \ell(x) = 1 - \cos([H Z]_x, [H E^T]_x), \quad H = (1 - \alpha) I + \alpha D^{-1/2} A D^{-1/2}

    with :math:`Z = p(E^S)`, or the squared distance without ``freqd_unit``; ``quadratic`` takes H twice. On the
    ``bipartite`` graph of the training pairs the filter mixes users with items, so it is applied before the projectors,
    :math:`p([H E^S]_x)`. Dropped edges are the same ones for both sides.

    Source: Zhu & Zhang, KDD 2025 (arXiv 2411.10676).

    Fidelity: medium, after the authors' code at several dates; which of the graphs the paper uses is not known. Their
    co-occurrence edges lose their counts: ``freqd_counts: False`` does so too. A LightGCN is read after its layers,
    where they take its tables before them. One projector of ``freqd_hidden_ratio`` times the teacher's width makes Z,
    where an early date of their code has five experts.
    """

    teacher_needs = FACTORS  # a graph joins users that are not in the batch
    student_needs = FACTORS

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        ratio, dropout = self.key("hidden_ratio"), self.key("dropout")
        self.projectors = ProjectorPair.of_experts(width, knowledge.width, ratio, dropout=dropout)
        self.coordinates = 1 if self.key("unit") else knowledge.width
        self.graph = self._graph()
        self.filter_first = self.key("graph") == "bipartite"
        teacher = torch.cat([knowledge.factors("user"), knowledge.factors("item")])
        self.tables = {"teacher": teacher}  # in a dict, so that resume points do not hold them
        if self.key("keep") == 1.0:
            everything = torch.arange(len(teacher), device=teacher.device)
            self.tables["target"] = self._filtered(everything, teacher.__getitem__)

    def _graph(self) -> Any:
        k = self.key("k")
        if self.key("graph") == "bipartite":
            return bipartite_graph(self.knowledge)
        if self.key("graph") == "cooc":
            return cooccurrence_graph(self.knowledge, k, self.key("counts"))
        return nearest_graph(self.knowledge, k, self.key("pca"))

    def values(self, student: FactorView, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        nodes = torch.cat([users, items + self.knowledge.n_queries])

        def student_rows(needed: torch.Tensor) -> torch.Tensor:
            user_ids, item_ids = self._split_nodes(needed)
            vectors = torch.cat([student.query_vectors(user_ids), student.item_vectors(item_ids)])
            return vectors if self.filter_first else self._projected(needed, vectors)

        def both_rows(needed: torch.Tensor) -> torch.Tensor:
            return torch.cat([student_rows(needed), self.tables["teacher"][needed]], 1)

        if self.key("keep") == 1.0:
            vectors, target = self._filtered(nodes, student_rows), self.tables["target"][nodes]
        else:  # both at once, so that the same edges are dropped
            both = self._filtered(nodes, both_rows)
            vectors, target = both.split([both.shape[1] - self.knowledge.width, self.knowledge.width], 1)
        projected = self._projected(nodes, vectors) if self.filter_first else vectors
        return (cosine_loss if self.key("unit") else squared_distance)(projected, target)

    def _filtered(self, nodes: torch.Tensor, vectors: Vectors, times: int | None = None) -> torch.Tensor:
        """Rows of the filtered table, shape [n, d].

        Args:
            nodes: the rows' numbers, users before items.
            vectors: gives rows of the unfiltered table; called with distinct numbers, ascending.
            times: how often the filter is applied; by default as ``freqd_filter`` says.
        """
        times = {"linear": 1, "quadratic": 2}[self.key("filter")] if times is None else times
        if times == 0:
            return at_least_float32(vectors(nodes))
        offsets, columns, weights = self.graph.rows(nodes)
        needed, position = torch.cat([nodes, columns]).unique(return_inverse=True)
        table, keep, alpha = self._filtered(needed, vectors, times - 1), self.key("keep"), self.key("alpha")
        if keep < 1.0:
            weights = weights * torch.empty_like(weights).bernoulli_(keep, generator=self.generator).div_(keep)
        center, near = position.split([len(nodes), len(columns)])
        smooth = embedding_bag(near, table, offsets, mode="sum", per_sample_weights=weights)
        return (1.0 - alpha) * embedding(center, table) + alpha * smooth

    def _projected(self, nodes: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        users, items = self._split_nodes(nodes)
        user, item = vectors.split([len(users), len(items)])
        return torch.cat([self.project("user", users, user), self.project("item", items, item)])

    def _split_nodes(self, nodes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids of users and of items among the nodes, of which users come first."""
        users = nodes < self.knowledge.n_queries
        return nodes[users], nodes[~users] - self.knowledge.n_queries
