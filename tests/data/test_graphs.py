"""The graphs that vectors are smoothed along, against dense matrices."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from recbole_kd.data import graphs
from recbole_kd.data.graphs import Graph, bipartite_graph, cooccurrence_graph, nearest_graph
from recbole_kd.data.interactions import Interactions
from recbole_kd.term.ftd import FTD
from recbole_kd.testing.toy import ITEMS, SEEN, USERS, World

N = USERS + 1 + ITEMS + 1


@pytest.fixture
def knowledge():
    class Any(World):
        common = {"ftd_weight": 1.0}

    return Any(FTD).knowledge


def dense(graph):
    """The matrix of a graph, read row by row in a mixed order."""
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    offsets, columns, weights = graph.rows(order)
    ends = [*offsets.tolist()[1:], len(columns)]
    matrix = np.zeros((N, N))
    for row, start, stop in zip(order.tolist(), offsets.tolist(), ends, strict=True):
        assert columns[start:stop].tolist() == sorted(columns[start:stop].tolist())
        matrix[row, columns[start:stop]] = weights[start:stop]
    return matrix


def normalised(adjacency):
    result = np.zeros_like(adjacency)
    for x, y in zip(*np.nonzero(adjacency), strict=True):
        result[x, y] = adjacency[x, y] / np.sqrt(adjacency[x].sum() * adjacency[y].sum())
    return result


def test_weights_by_hand():
    graph = Graph.from_adjacency(
        csr_array(np.array([[0.0, 4.0, 0.0], [4.0, 0.0, 12.0], [0.0, 12.0, 0.0]])), torch.device("cpu")
    )
    # degrees 4, 16 and 12
    assert graph.columns.tolist() == [1, 0, 2, 1]
    assert graph.weights.tolist() == pytest.approx([0.5, 0.5, 12**0.5 / 4, 12**0.5 / 4])
    offsets, columns, weights = graph.rows(torch.tensor([2, 0, 2]))
    assert (offsets.tolist(), columns.tolist()) == ([0, 1, 2], [1, 1, 1])
    assert weights.tolist() == pytest.approx([12**0.5 / 4, 0.5, 12**0.5 / 4])


def test_the_training_pairs_are_the_bipartite_graph(knowledge):
    expected = np.zeros((N, N))
    for user, items in SEEN.items():
        for item in items:
            expected[user, USERS + 1 + item] = expected[USERS + 1 + item, user] = 1.0
    np.testing.assert_allclose(dense(bipartite_graph(knowledge)), normalised(expected), rtol=1e-6)


def test_a_pair_that_comes_twice_is_one_edge(knowledge):
    once = dense(bipartite_graph(knowledge))
    pairs = (torch.cat([side, side[:3]]) for side in (knowledge.positive_users, knowledge.positive_items))
    twice = Interactions(knowledge.n_queries, knowledge.n_items, *pairs)
    assert len(twice.users) == len(knowledge.positive_users) + 3
    np.testing.assert_array_equal(dense(bipartite_graph(twice)), once)


def strongest(k, counts):
    """Both sides' co-occurrence edges, entity by entity."""
    takers = {item: {user for user, items in SEEN.items() if item in items} for item in range(1, ITEMS + 1)}
    result = np.zeros((N, N))
    for sets, first in ((SEEN, 0), (takers, USERS + 1)):
        for x in sets:
            shared = {y: len(sets[x] & sets[y]) for y in sets if y != x and sets[x] & sets[y]}
            for y in sorted(shared, key=lambda y: (-shared[y], y))[:k]:
                result[first + x, first + y] = shared[y] if counts else 1.0
    return result + result.T


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("k", [1, 2, 10])
@pytest.mark.parametrize("block", [1, 20, 10**6])
def test_those_who_share_most_are_neighbours(knowledge, monkeypatch, k, counts, block):
    monkeypatch.setattr(graphs, "COUNTS_AT_ONCE", block)
    np.testing.assert_allclose(
        dense(cooccurrence_graph(knowledge, k, counts)), normalised(strongest(k, counts)), rtol=1e-6
    )


@pytest.mark.parametrize("k", [1, 3])
def test_the_teachers_nearest_are_neighbours_both_ways(knowledge, k):
    expected = np.zeros((N, N))
    for side, first in (("user", 0), ("item", USERS + 1)):
        table = knowledge.factors(side).double()
        for x in range(1, len(table)):
            others = [y for y in range(1, len(table)) if y != x]
            for y in sorted(others, key=lambda y: torch.dist(table[x], table[y]).item())[:k]:
                expected[first + x, first + y] += 1.0
    np.testing.assert_allclose(dense(nearest_graph(knowledge, k, 150)), normalised(expected + expected.T), rtol=1e-6)


@pytest.mark.parametrize(
    "make", [bipartite_graph, lambda knowledge: cooccurrence_graph(knowledge, 3), lambda k: nearest_graph(k, 2, 150)]
)
def test_a_graph_is_symmetric_without_loops_and_without_padding(knowledge, make):
    matrix = dense(make(knowledge))
    np.testing.assert_allclose(matrix, matrix.T)
    assert not matrix.diagonal().any()
    assert not matrix[[0, USERS + 1]].any()
    assert np.abs(np.linalg.eigvalsh(matrix)).max() <= 1 + 1e-6
