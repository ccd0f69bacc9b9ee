"""Consensus and discrepancy against plain Python."""

import math

import pytest
import torch

from recbole_kd.ops import ranking
from recbole_kd.ops.ranking import (
    argsort_descending,
    argsort_keys,
    consensus,
    list_discrepancy,
    membership,
    rank_weights,
    top_k,
    top_k_of_chunks,
)


def slow_consensus(ids, weights, k):
    total = {}
    for item, weight in zip(ids, weights, strict=True):
        if item:
            total[item] = total.get(item, 0.0) + weight
    best = sorted(total, key=lambda item: (-round(total[item], 9), item))[:k]
    return best + [0] * (k - len(best)), [total[item] for item in best] + [0.0] * (k - len(best))


@pytest.mark.parametrize(
    ("n", "m", "k"), [(3, 4, 1), (50, 900, 7), (7, 1003, 100), (2, 5, 5), (4, 33, 2), (3, 4097, 32)]
)
@pytest.mark.parametrize("masked", [0.0, 0.5, 0.999])
def test_top_k_is_the_head_of_a_sort(n, m, k, masked):
    generator = torch.Generator().manual_seed(m)
    scores = torch.randn(n, m, generator=generator)
    scores[torch.rand(n, m, generator=generator) < masked] = -torch.inf
    best, columns = top_k(scores, k)
    assert torch.equal(best, scores.sort(dim=1, descending=True).values[:, :k])
    assert torch.equal(scores.gather(1, columns), best)
    assert all(len(set(row)) == k for row in columns.tolist())


@pytest.mark.parametrize("k", [1, 7, 100])
@pytest.mark.parametrize("kind", ["as drawn", "ever better", "ever worse", "masked"])
def test_top_k_of_parts_is_that_of_the_whole(k, kind):
    scores = torch.randn(6, 3000, generator=torch.Generator().manual_seed(k))
    if kind == "masked":
        scores[:, 120:2900] = -torch.inf
    elif kind != "as drawn":
        scores = scores.sort(dim=1, descending=kind == "ever worse").values
    best, columns = top_k_of_chunks(scores.split(130, dim=1), k)
    assert torch.equal(best, scores.sort(dim=1, descending=True).values[:, :k])
    assert torch.equal(scores.gather(1, columns), best)
    assert all(len(set(row)) == k for row in columns.tolist())


@pytest.mark.parametrize("k", [1, 20, 120])
def test_of_equal_scores_the_first_columns_stand_first_whether_in_parts_or_not(k):
    scores = torch.randint(-300, 300, (6, 3000), generator=torch.Generator().manual_seed(k)).float() / 7
    scores = torch.where(scores.abs() < 10, 0.0 * scores, scores)  # both zeros
    scores[3:] -= 100  # and lists of nothing above 0
    wanted = scores.sort(dim=1, descending=True, stable=True)
    for values, columns in (top_k(scores, k), top_k_of_chunks(scores.split(130, dim=1), k)):
        assert torch.equal(values, wanted.values[:, :k]) and torch.equal(columns, wanted.indices[:, :k])


def test_top_k_of_equal_scores_of_nothing_and_of_no_number():
    assert len(top_k(torch.zeros(2, 500), 3)[1][1].unique()) == 3
    assert all(part.shape == (0, 3) for part in top_k(torch.zeros(0, 500), 3))
    assert top_k(torch.zeros(2, 500), 0)[1].shape == (2, 0)
    scores = torch.randn(2, 500).double()
    assert torch.equal(top_k(scores, 3)[0], scores.topk(3, dim=1).values)
    for place in (0, 7, 499):
        scores = torch.randn(20, 500, generator=torch.Generator().manual_seed(place))
        scores[:, place] = torch.nan
        values, columns = top_k(scores, 3)
        assert torch.equal(columns, scores.topk(3, dim=1).indices) and values[:, 0].isnan().all()


@pytest.mark.parametrize("marks", [4, 1000, 1_000_000])  # by searching, a few rows at a time, all at once
@pytest.mark.parametrize("kinds", [(torch.int32, torch.int32), (torch.int64, torch.int32)])
def test_what_stands_in_a_list(monkeypatch, marks, kinds):
    monkeypatch.setattr(ranking, "MAX_MARKS", marks)
    generator = torch.Generator().manual_seed(0)
    ids, lists = (torch.randint(0, 40, (50, c), generator=generator).to(k) for c, k in zip((9, 5), kinds, strict=True))
    wanted = [[bool(x) and x in row for x in own] for own, row in zip(ids.tolist(), lists.tolist(), strict=True)]
    assert membership(ids, lists).tolist() == wanted
    assert membership(ids[:0], lists[:0]).shape == (0, 9) and not membership(ids, lists * 0).any()


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
@pytest.mark.parametrize("m", [1, 300, (1 << 15) + 5])
def test_an_order_is_that_of_a_stable_sort(kind, m):
    keys = torch.randint(-3, 40, (3, m), generator=torch.Generator().manual_seed(m)).to(kind)
    keys[0] *= 50_000_000
    assert torch.equal(argsort_keys(keys), keys.argsort(dim=1, stable=True))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_best_come_first_and_equals_as_they_stand(kind):
    scores = torch.randn(4, 400, generator=torch.Generator().manual_seed(0)).to(kind)
    scores[0].round_()
    scores[1, 50:90] = -torch.inf
    scores[2, ::3] = 0.0
    scores[2, 1::3] = -0.0
    scores[3] = torch.tensor([torch.inf, 1e-45, -1e-45, -80.0]).to(kind).repeat(100)
    assert torch.equal(argsort_descending(scores), scores.argsort(dim=1, descending=True, stable=True))


def test_top_k_of_many_equal_scores_does_not_go_through_all_of_them(monkeypatch):
    scores = torch.full((20, 2000), -torch.inf)
    scores[:, 5:9] = torch.arange(4.0)
    monkeypatch.setattr("numpy.flatnonzero", None)  # lists them
    values, columns = top_k(scores, 10)
    assert columns[:, :4].tolist() == 20 * [[8, 7, 6, 5]] and values[:, 4:].eq(-torch.inf).all()


@pytest.mark.parametrize("k", [1, 4, 30])
def test_consensus_adds_up_and_keeps_the_heaviest(k):
    generator = torch.Generator().manual_seed(k)
    ids = torch.randint(0, 9, (50, 12), generator=generator).int()
    weights = torch.randint(1, 4, (50, 12), generator=generator).double() / 4  # many ties
    result, sums = consensus(ids, weights, k)
    assert result.dtype == torch.int32 and result.shape == (50, k)
    for row in range(50):
        expected = slow_consensus(ids[row].tolist(), weights[row].tolist(), k)
        assert result[row].tolist() == expected[0]
        assert sums[row].tolist() == pytest.approx(expected[1])


def test_a_hand_value():
    ids, weights = consensus(torch.tensor([[3, 1, 0, 2, 1]]), torch.tensor([1.0, 0.5, 9.0, 1.0, 0.6]), 3)
    assert ids.tolist() == [[1, 2, 3]]
    assert weights[0].tolist() == pytest.approx([1.1, 1.0, 1.0])


def test_where_two_teachers_agree_noise_does_not_decide():
    weights = rank_weights(3, 10.0)
    # 0.1 + 0.2 + 0.3 in another order: the same weight, so the smaller id comes first
    ids = torch.tensor([[7, 4, 5, 4, 5, 7, 5, 7, 4]])
    assert consensus(ids, weights.repeat(3), 3)[0].tolist() == [[4, 5, 7]]


@pytest.mark.parametrize(("length", "temperature"), [(500, 10.0), (100, 1.0), (2000, 1.0)])
def test_of_one_list_the_consensus_is_that_list(length, temperature):
    ids = torch.randperm(3000, generator=torch.Generator().manual_seed(0))[None, :length] + 1
    result = consensus(ids, rank_weights(length, temperature), length)[0]
    assert torch.equal(result[:, :600], ids[:, :600].int()) and set(result[0].tolist()) == set(ids[0].tolist())


def test_rank_weights_are_of_ranks_from_one():
    assert rank_weights(2, 10.0).tolist() == pytest.approx([math.exp(-0.1), math.exp(-0.2)])


def test_discrepancy_by_hand():
    own = torch.tensor([[5, 6], [5, 6], [5, 6], [0, 0], [5, 0]])
    wanted = torch.tensor([[6, 9, 5], [5, 6, 1], [1, 2, 5], [5, 6, 0], [5, 1, 0]])
    gain = [1.0, (2 ** math.exp(-0.1) - 1) / math.log2(3)]
    expected = [1 - gain[1] / sum(gain), 0.0, 1.0, 1.0, 0.0]  # what is wanted beyond the second does not count
    assert list_discrepancy(own, wanted).tolist() == pytest.approx([round(value, 4) for value in expected])
