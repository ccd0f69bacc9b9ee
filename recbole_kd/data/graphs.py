"""Sparse graphs over users and items, for the terms that smooth vectors along them.

Nodes are table rows: the user's id is the user's node, and an item's node is its id behind all users, n_users + id.
The padding rows are nodes without edges.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import block_array, block_diag, csr_array, diags_array

COUNTS_AT_ONCE = 4_000_000  # counts in memory at once


@dataclass(frozen=True)
class Graph:
    r"""An adjacency matrix with :math:`D^{-1/2} A D^{-1/2}` for weights, row after row.

    Attributes:
        starts: where each row begins, shape [nodes + 1].
        columns: the other end of each edge, int64, ascending in a row.
        weights: float32, the same shape.
    """

    starts: torch.Tensor
    columns: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def from_adjacency(cls, adjacency, device):
        """From a symmetric scipy array of weights that are not negative."""
        degree = np.asarray(adjacency.sum(1)).ravel()
        scale = diags_array(np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
        matrix = csr_array(scale @ adjacency @ scale)
        matrix.sort_indices()
        starts, columns = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
        return cls(*(part.to(device) for part in (starts, columns, torch.from_numpy(matrix.data).float())))

    def rows(self, nodes):
        """The edges of some nodes, one node's after the other's: nodes [n], result (offsets [n], columns, weights)."""
        counts = self.starts[nodes + 1] - self.starts[nodes]
        offsets = counts.cumsum(0) - counts
        places = torch.repeat_interleave(self.starts[nodes] - offsets, counts)
        places += torch.arange(len(places), device=places.device)
        return offsets, self.columns[places], self.weights[places]


def bipartite_graph(knowledge):
    """An edge between each user and each item that the user has seen in training."""
    relation = _interaction_matrix(knowledge)
    return Graph.from_adjacency(block_array([[None, relation], [relation.T, None]]), knowledge.device)


def cooccurrence_graph(knowledge, k, counts=True):
    """Edges from each user to the k who share most items with it, and from each item to the k that share most users,
    and back. They weigh how many that is where ``counts``, else all the same.
    """
    relation = _interaction_matrix(knowledge)
    sides = [_most_shared(side.tocsr(), k, counts) for side in (relation, relation.T)]
    return _symmetric(sides, knowledge.device)


def nearest_graph(knowledge, k, components):
    """Edges from each user and each item to the k nearest of its kind in the teacher's space, and back."""
    sides = []
    for side in ("user", "item"):
        near = knowledge.neighbours(side, k, components)[1:].cpu().numpy()
        rows = np.repeat(np.arange(1, len(near) + 1), near.shape[1])
        sides.append(csr_array((np.ones(near.size), (rows, near.ravel())), shape=(len(near) + 1, len(near) + 1)))
    return _symmetric(sides, knowledge.device)


def _symmetric(sides, device):
    # halved, it would be the mean of both directions: normalised, it is the same
    return Graph.from_adjacency(block_diag([edges + edges.T for edges in sides]), device)


def _interaction_matrix(knowledge):
    """The training pairs, a scipy array of ones of users x items."""
    users, items = knowledge.positive_users.cpu().numpy(), knowledge.positive_items.cpu().numpy()
    relation = csr_array((np.ones(len(users)), (users, items)), shape=(knowledge.n_users, knowledge.n_items))
    relation.data[:] = 1.0  # a pair that comes twice counts once
    return relation


def _most_shared(relation, k, counts):
    """The k columns of ``relation @ relation.T`` with the highest counts in each row, the row itself left out; among
    equal ones the lower ids.
    """
    size, across = relation.shape[0], relation.T.tocsr()
    step = max(1, COUNTS_AT_ONCE // size)
    found = []
    for start in range(0, size, step):
        shared = (relation[start : start + step] @ across).tocoo()
        rows, columns, weights = shared.row.astype(np.int64) + start, shared.col.astype(np.int64), shared.data
        order = np.lexsort((columns, -weights, rows))
        order = order[rows[order] != columns[order]]
        rows = rows[order]
        best = np.arange(len(rows)) - np.searchsorted(rows, rows) < k
        found.append((rows[best], columns[order][best], weights[order][best]))
    rows, columns, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return csr_array((weights if counts else np.ones(len(rows)), (rows, columns)), shape=(size, size))
