"""FreqD: distillation by graph frequencies, at the intermediate layer."""

import torch
from torch.nn.functional import embedding, embedding_bag

from recbole_kd.data.graphs import bipartite_graph, cooccurrence_graph, nearest_graph
from recbole_kd.losses import at_least_float32
from recbole_kd.losses.feature import cosine_loss, squared_distance
from recbole_kd.term.alignment import Alignment
from recbole_kd.term.projectors import Projector


class FreqD(Alignment):
    r"""Both sides' vectors pass a low-pass filter on a graph before they are compared, so what varies slowly along the
    edges weighs more.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell), \quad
        \ell(x) = 1 - \cos([H Z]_x, [H E^T]_x), \quad H = (1 - \alpha) I + \alpha D^{-1/2} A D^{-1/2}

    with :math:`Z = p(E^S)`, or the squared distance without ``freqd_unit``; ``quadratic`` takes H twice. On the
    ``bipartite`` graph of the training pairs the filter mixes users with items, so it comes before the projectors,
    :math:`p([H E^S]_x)`. Dropped edges are the same ones for both sides.

    Source: Zhu & Zhang, KDD 2025 (arXiv 2411.10676), after the authors' code at several dates; which of the graphs the
    paper prints is not known. Their co-occurrence edges lose their counts: ``freqd_counts: False`` does so too.
    A LightGCN goes in as it scores, after its layers, where they take its tables before them. One projector of
    ``freqd_hidden_ratio`` times the teacher's width makes Z, where an early date of their code has five experts.
    """

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        hidden = max(1, round(self.key("hidden_ratio") * knowledge.width))
        shape = (width, knowledge.width, hidden, 1, self.key("dropout"))
        self.user_projector, self.item_projector = Projector(*shape), Projector(*shape)
        self.parts = 1 if self.key("unit") else knowledge.width
        self.graph = self._graph()
        self.filter_first = self.key("graph") == "bipartite"
        teacher = torch.cat([knowledge.factors("user"), knowledge.factors("item")])
        self.tables = {"teacher": teacher}  # in a dict: not what a resume point has to hold
        if self.key("keep") == 1.0:
            everything = torch.arange(len(teacher), device=teacher.device)
            self.tables["target"] = self._filtered(everything, teacher.__getitem__)

    def _graph(self):
        k = self.key("k")
        if self.key("graph") == "bipartite":
            return bipartite_graph(self.knowledge)
        if self.key("graph") == "cooc":
            return cooccurrence_graph(self.knowledge, k, self.key("counts"))
        return nearest_graph(self.knowledge, k, self.key("pca"))

    def values(self, student, users, items):
        nodes = torch.cat([users, items + self.knowledge.n_users])

        def own(needed):
            users, items = self._apart(needed)
            vectors = torch.cat([student.users(users), student.items(items)])
            return vectors if self.filter_first else self._projected(needed, vectors)

        if self.key("keep") == 1.0:
            vectors, target = self._filtered(nodes, own), self.tables["target"][nodes]
        else:  # both at once, so that the same edges are dropped
            both = self._filtered(nodes, lambda needed: torch.cat([own(needed), self.tables["teacher"][needed]], 1))
            vectors, target = both.split([both.shape[1] - self.knowledge.width, self.knowledge.width], 1)
        projected = self._projected(nodes, vectors) if self.filter_first else vectors
        return (cosine_loss if self.key("unit") else squared_distance)(projected, target)

    def _filtered(self, nodes, vectors, times=None):
        """Rows of the filtered table, shape [n, d]; ``vectors`` gives those rows of the table that are asked for, each
        once, ascending.
        """
        times = {"linear": 1, "quadratic": 2}[self.key("filter")] if times is None else times
        if times == 0:
            return at_least_float32(vectors(nodes))
        offsets, columns, weights = self.graph.rows(nodes)
        needed, place = torch.cat([nodes, columns]).unique(return_inverse=True)
        table, keep, alpha = self._filtered(needed, vectors, times - 1), self.key("keep"), self.key("alpha")
        if keep < 1.0:
            weights = weights * torch.empty_like(weights).bernoulli_(keep, generator=self.generator).div_(keep)
        own, near = place.split([len(nodes), len(columns)])
        smooth = embedding_bag(near, table, offsets, mode="sum", per_sample_weights=weights)
        return (1.0 - alpha) * embedding(own, table) + alpha * smooth

    def _projected(self, nodes, vectors):
        users, items = self._apart(nodes)
        user, item = vectors.split([len(users), len(items)])
        return torch.cat([self.project("user", users, user), self.project("item", items, item)])

    def _apart(self, nodes):
        """The ids of users and of items; users come first."""
        users = nodes < self.knowledge.n_users
        return nodes[users], nodes[~users] - self.knowledge.n_users
