"""Sparse graphs over users and items, for the terms that smooth vectors along them.

Nodes are table rows: the user's id is the user's node, and an item's node is its id behind all users, n_users + id.
The padding rows are nodes without edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.sparse import block_array, block_diag, csr_array, diags_array

from recbole_kd.data.interactions import Interactions

COUNTS_AT_ONCE = 4_000_000  # counts in memory at once


class HasInteractions(Protocol):
    """An object that knows the training pairs, as the knowledge of a teacher does."""

    interactions: Interactions


class HasNeighbours(Protocol):
    """An object that gives ``neighbours(side, k, components)``, as the knowledge of a teacher with factors does."""

    device: torch.device

    def neighbours(self, side: str, k: int, components: int) -> torch.Tensor:
        """The k nearest entities of each: ids, shape [n + 1, k]."""


@dataclass(frozen=True)
class Graph:
    r"""The normalised adjacency matrix :math:`D^{-1/2} A D^{-1/2}` of a graph, stored row after row.

    Attributes:
        starts: where each row begins, shape [nodes + 1].
        columns: the other end of each edge, int64, ascending in a row.
        weights: float32, the same shape.
    """

    starts: torch.Tensor
    columns: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def from_adjacency(cls, adjacency: csr_array, device: torch.device) -> "Graph":
        """The graph of a symmetric scipy array of weights that are not negative."""
        degree = np.asarray(adjacency.sum(1)).ravel()
        scale = diags_array(np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
        matrix = csr_array(scale @ adjacency @ scale)
        matrix.sort_indices()
        starts, columns = (torch.from_numpy(array.astype(np.int64)) for array in (matrix.indptr, matrix.indices))
        weights = torch.from_numpy(matrix.data).float()
        return cls(starts.to(device), columns.to(device), weights.to(device))

    def rows(self, nodes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The edges of chosen nodes, one node after the other.

        Args:
            nodes: int64, shape [n].

        Returns:
            (offsets, columns, weights): ``offsets``, shape [n], says where the edges of each node begin.
        """
        counts = self.starts[nodes + 1] - self.starts[nodes]
        offsets = counts.cumsum(0) - counts
        index = torch.repeat_interleave(self.starts[nodes] - offsets, counts)
        index += torch.arange(len(index), device=index.device)
        return offsets, self.columns[index], self.weights[index]


def bipartite_graph(source: Interactions | HasInteractions) -> Graph:
    """An edge between each user and each item that the user has seen in training."""
    interactions = _interactions_of(source)
    relation = _interaction_matrix(interactions)
    return Graph.from_adjacency(block_array([[None, relation], [relation.T, None]]), interactions.device)


def cooccurrence_graph(source: Interactions | HasInteractions, k: int, counts: bool = True) -> Graph:
    """Edges from each user to the k users who share most items with it, and from each item to the k items that share
    most users with it, in both directions.

    Args:
        source: the training pairs.
        k: edges of an entity before the other direction is added.
        counts: whether an edge weighs the number of shared entities; else all edges weigh 1.
    """
    interactions = _interactions_of(source)
    relation = _interaction_matrix(interactions)
    sides = [_most_shared(side.tocsr(), k, counts) for side in (relation, relation.T)]
    return _symmetric(sides, interactions.device)


def nearest_graph(knowledge: HasNeighbours, k: int, components: int) -> Graph:
    """Edges from each user and each item to the k nearest of its kind in the teacher's space, in both directions.

    Args:
        knowledge: the teacher's, with factors.
        k: edges of an entity before the other direction is added.
        components: leading principal components that distances are measured in.
    """
    sides = []
    for side in ("user", "item"):
        near = knowledge.neighbours(side, k, components)[1:].cpu().numpy()
        rows = np.repeat(np.arange(1, len(near) + 1), near.shape[1])
        sides.append(csr_array((np.ones(near.size), (rows, near.ravel())), shape=(len(near) + 1, len(near) + 1)))
    return _symmetric(sides, knowledge.device)


def _symmetric(sides: Sequence[csr_array], device: torch.device) -> Graph:
    # the sum of both directions stands for their mean: the normalisation removes the factor of 2
    return Graph.from_adjacency(block_diag([edges + edges.T for edges in sides]), device)


def _interactions_of(source: Interactions | HasInteractions) -> Interactions:
    return source if isinstance(source, Interactions) else source.interactions


def _interaction_matrix(interactions: Interactions) -> csr_array:
    """The training pairs, a scipy array of ones of users x items."""
    users, items = interactions.users.cpu().numpy(), interactions.items.cpu().numpy()
    shape = interactions.n_users, interactions.n_items
    relation = csr_array((np.ones(len(users)), (users, items)), shape=shape)
    relation.data[:] = 1.0  # a pair that comes twice counts once
    return relation


def _most_shared(relation: csr_array, k: int, counts: bool) -> csr_array:
    """The k columns of ``relation @ relation.T`` with the highest counts in each row, without the row itself; of
    equal counts those with lower ids.
    """
    size, across = relation.shape[0], relation.T.tocsr()
    step = max(1, COUNTS_AT_ONCE // size)
    chunks = []
    for start in range(0, size, step):
        shared = (relation[start : start + step] @ across).tocoo()
        rows, columns, weights = shared.row.astype(np.int64) + start, shared.col.astype(np.int64), shared.data
        order = np.lexsort((columns, -weights, rows))
        order = order[rows[order] != columns[order]]
        rows = rows[order]
        best = np.arange(len(rows)) - np.searchsorted(rows, rows) < k
        chunks.append((rows[best], columns[order][best], weights[order][best]))
    rows, columns, weights = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    return csr_array((weights if counts else np.ones(len(rows)), (rows, columns)), shape=(size, size))
