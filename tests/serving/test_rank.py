"""The best items of blocks of scores."""

import numpy as np
import pytest
import torch

from recbole_kd.errors import KDError
from recbole_kd.serving import ranking
from recbole_kd.serving.ranking import best_columns, inner_products
from recbole_kd.serving.recommendations import items_left
from recbole_kd.serving.recommender import rank
from recbole_kd.serving.scorers import Queries, VectorScorer, as_ids
from recbole_kd.serving.user_items import UserItems

# two users and four items, padding before them; the products are written out below
USERS = torch.tensor([[9.0, 9.0], [1.0, 0.0], [1.0, 2.0]])
ITEMS = torch.tensor([[9.0, 9.0], [3.0, 0.0], [2.0, 2.0], [1.0, 3.0], [0.0, 1.0]])
PRODUCTS = {1: {1: 3.0, 2: 2.0, 3: 1.0, 4: 0.0}, 2: {1: 3.0, 2: 6.0, 3: 7.0, 4: 2.0}}
NOBODY = UserItems.empty(3)


def ranked(k, candidates=(1, 2, 3, 4), hidden=NOBODY):
    scorer = VectorScorer(USERS, ITEMS)
    (batch,) = rank(scorer, iter([Queries(as_ids(np.array([1, 2])))]), k, np.array(candidates), hidden)
    return batch.items.tolist(), batch.scores.tolist()


def test_by_hand():
    assert ranked(3) == ([[1, 2, 3], [3, 2, 1]], [[3.0, 2.0, 1.0], [7.0, 6.0, 3.0]])


def test_by_hand_with_items_left_out():
    hidden = UserItems.of_pairs(np.array([1, 2, 2]), np.array([1, 3, 2]), 3, 5)
    assert ranked(2, hidden=hidden) == ([[2, 3], [1, 4]], [[2.0, 1.0], [3.0, 2.0]])


def test_by_hand_with_few_candidates():
    hidden = UserItems.of_pairs(np.array([1, 2]), np.array([1, 4]), 3, 5)
    items, scores = ranked(2, candidates=(2, 4), hidden=hidden)
    assert (items[0], scores[0]) == ([2, 4], [2.0, 0.0])
    assert (items[1][0], scores[1]) == (2, [6.0, -np.inf])  # one is left


def test_how_many_items_are_left():
    hidden = UserItems.of_pairs(np.array([1, 2]), np.array([1, 4]), 3, 5)
    assert items_left(np.array([1, 2]), np.array([2, 4]), hidden, 5).tolist() == [2, 1]


def test_blocks_give_what_a_sort_of_all_gives(monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK", 640)  # ten columns a block
    draw = torch.Generator().manual_seed(0)
    users, items = torch.randn(30, 5, generator=draw), torch.randn(95, 5, generator=draw)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 30, 400), rng.integers(0, 95, 400)
    scores = users @ items.T
    scores[torch.from_numpy(rows), torch.from_numpy(columns)] = -torch.inf
    values, best = best_columns(inner_products(users, items, 7), 7, rows, columns)
    torch.testing.assert_close(values, scores.sort(dim=1, descending=True).values[:, :7])
    torch.testing.assert_close(scores.gather(1, best), values)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(KDError, match="NaN"):
        list(
            rank(
                VectorScorer(USERS * torch.nan, ITEMS),
                iter([Queries(as_ids(np.array([1])))]),
                2,
                np.array([1, 2]),
                NOBODY,
            )
        )
