"""The losses on single scores and on pairs: by hand, against plain Python, by numerical derivatives, at extremes."""

import math

import pytest
import torch

from recbole_kd.losses.pointwise import pair_loss, rank_discrepancy, soft_binary_loss, weighted_positives

LN2, LN3 = math.log(2.0), math.log(3.0)


def draw(*shape, seed=0, scale=1.0):
    """Normal numbers in double precision."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def chances(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(values):
    """A copy that collects a gradient."""
    return values.detach().clone().requires_grad_()


def gradient(loss, of):
    return torch.autograd.grad(loss.sum(), of)[0]


def partial_mask(n, c):
    """Rows with all, some and none of their entries."""
    mask = chances(n, c, seed=9) < 0.6
    mask[0], mask[-1] = True, False
    return mask


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def by_row(function, *tables):
    """The sum over each row of a function of the tables' entries, all plain numbers."""
    rows = zip(*(table.tolist() for table in tables), strict=True)
    return [math.fsum(function(*entries) for entries in zip(*row, strict=True)) for row in rows]


# weighted positives


def test_weighted_positives_by_hand():
    scores, weights = torch.tensor([[0.0, LN3, -LN3]]), torch.tensor([[0.5, 1.0, 2.0]])  # chances 1/2, 3/4, 1/4
    expected = 0.5 * LN2 + math.log(4 / 3) + 2 * math.log(4)
    assert weighted_positives(scores, weights).tolist() == pytest.approx([expected])


def test_weighted_positives_equal_the_slow_reference():
    scores, weights = draw(5, 7, seed=1, scale=3), chances(5, 7, seed=2)
    slow = by_row(lambda s, w: w * math.log(1 + math.exp(-s)), scores, weights)
    assert weighted_positives(scores, weights).tolist() == pytest.approx(slow)


def test_weighted_positives_gradient_is_the_numerical_one():
    weights = torch.where(partial_mask(4, 5), chances(4, 5, seed=2), 0.0)
    assert torch.autograd.gradcheck(lambda scores: weighted_positives(scores, weights), leaf(draw(4, 5, seed=1)))


@pytest.mark.parametrize("junk", [3.0, 1e30, -math.inf, math.inf, math.nan])
def test_a_score_without_weight_is_not_looked_at(junk):
    mask, plain = partial_mask(5, 6), draw(5, 6, seed=1)
    weights = torch.where(mask, chances(5, 6, seed=2), 0.0)
    scores = leaf(plain.masked_fill(~mask, junk))
    loss = weighted_positives(scores, weights)
    torch.testing.assert_close(loss, weighted_positives(plain, weights))
    assert (gradient(loss, scores)[~mask] == 0).all() and loss[-1] == 0


def test_no_gradient_flows_into_the_weights():
    scores, weights = leaf(draw(3, 4)), leaf(chances(3, 4))
    weighted_positives(scores, weights).sum().backward()
    assert weights.grad is None and (scores.grad < 0).all()


def test_weighted_positives_stay_finite_at_extreme_scores():
    scores = leaf(torch.tensor([[80.0, -80.0, 1e4, -1e4]]))
    loss = weighted_positives(scores, torch.tensor([[1.0, 0.5, 1.0, 0.25]]))
    assert loss.item() == pytest.approx(40.0 + 2500.0)
    assert gradient(loss, scores).tolist() == [pytest.approx([0.0, -0.5, 0.0, -0.25])]


# how far the ranks lie apart


def test_rank_discrepancy_by_hand():
    scores, sampled = torch.tensor([[0.5, 9.0, -9.0, 2.5]]), torch.tensor([[1.0, 2.0, 3.0, 0.0]])
    # above: 3, 0, 4, 1 of 4; times 10: ranks 7, 0, 10, 2 at the places 0, 1, 2, 3
    expected = [math.tanh(0.7), 0.0, math.tanh(0.8), 0.0]
    assert rank_discrepancy(scores, sampled, 11, 0.1)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("size", "mu"), [(50, 0.1), (7, 1.0), (1000, 0.003)])
def test_rank_discrepancy_equals_the_slow_reference(size, mu):
    scores, sampled = draw(8, 6, seed=1), draw(8, 9, seed=2)
    slow = []
    for row, others in zip(scores.tolist(), sampled.tolist(), strict=True):
        ranks = [math.floor((size - 1) * len([x for x in others if x > score]) / 9) for score in row]
        slow.append([max(0.0, math.tanh(mu * (rank - place))) for place, rank in enumerate(ranks)])
    result = rank_discrepancy(scores, sampled, size, mu)
    torch.testing.assert_close(result, torch.tensor(slow, dtype=torch.float64))
    assert (result == 0).any() and (result > 0).any()


def test_an_equal_score_does_not_stand_above():
    assert rank_discrepancy(torch.tensor([[1.0]]), torch.tensor([[1.0, 1.0]]), 100, 1.0).item() == 0.0


def test_a_shift_of_the_scores_changes_no_rank():
    scores, sampled, shift = draw(5, 4, seed=1), draw(5, 9, seed=2), draw(5, 1, seed=3, scale=100)
    result = rank_discrepancy(scores + shift, sampled + shift, 50, 0.1)
    torch.testing.assert_close(result, rank_discrepancy(scores, sampled, 50, 0.1))


def test_rank_discrepancy_has_no_gradient_and_is_at_most_one():
    result = rank_discrepancy(leaf(draw(4, 5, seed=1, scale=80)), leaf(draw(4, 9, seed=2, scale=80)), 10**6, 5.0)
    assert not result.requires_grad and result.max() == 1.0 and result.min() == 0.0


# binary cross entropy


def test_soft_binary_loss_by_hand():
    scores, labels = torch.tensor([[LN3, 0.0]]), torch.tensor([[0.25, 1.0]])
    expected = 0.25 * math.log(4 / 3) + 0.75 * math.log(4) + LN2
    assert soft_binary_loss(scores, labels).tolist() == pytest.approx([expected])


def slow_binary(score, label, counts=True):
    chance = sigmoid(score)
    return -label * math.log(chance) - (1 - label) * math.log(1 - chance) if counts else 0.0


def test_soft_binary_loss_equals_the_slow_reference():
    scores, labels, mask = draw(6, 8, seed=1, scale=2), chances(6, 8, seed=2), partial_mask(6, 8)
    assert soft_binary_loss(scores, labels).tolist() == pytest.approx(by_row(slow_binary, scores, labels))
    assert soft_binary_loss(scores, labels, mask).tolist() == pytest.approx(by_row(slow_binary, scores, labels, mask))


@pytest.mark.parametrize("masked", [False, True])
def test_soft_binary_loss_gradient_is_the_numerical_one(masked):
    labels, mask = chances(4, 5, seed=2), partial_mask(4, 5) if masked else None
    assert torch.autograd.gradcheck(lambda scores: soft_binary_loss(scores, labels, mask), leaf(draw(4, 5, seed=1)))


def test_soft_binary_loss_is_least_at_the_label():
    labels = chances(3, 4, seed=2)
    scores = leaf(torch.logit(labels))
    torch.testing.assert_close(gradient(soft_binary_loss(scores, labels), scores), torch.zeros_like(scores))


def test_no_gradient_flows_into_the_binary_labels():
    scores, labels = leaf(draw(3, 4)), leaf(chances(3, 4))
    soft_binary_loss(scores, labels).sum().backward()
    assert labels.grad is None and (scores.grad != 0).all()


def test_soft_binary_loss_stays_finite_at_extreme_scores():
    scores = leaf(torch.tensor([[80.0, -80.0, 80.0, -80.0]]))
    loss = soft_binary_loss(scores, torch.tensor([[0.0, 1.0, 1.0, 0.25]]))
    assert loss.item() == pytest.approx(80.0 + 80.0 + 0.0 + 20.0)
    assert gradient(loss, scores).tolist() == [pytest.approx([1.0, -1.0, 0.0, -0.25])]


# pairs


def test_pair_loss_by_hand():
    better, worse = torch.tensor([[1.0 + LN3, 2.0]]), torch.tensor([[1.0, 2.0 + LN3]])  # chances 3/4 and 1/4
    assert pair_loss(better, worse).tolist() == pytest.approx([math.log(4 / 3) + math.log(4)])


def slow_pair(better, worse, counts=True):
    return math.log(math.exp(better) + math.exp(worse)) - better if counts else 0.0


def test_pair_loss_equals_the_slow_reference():
    better, worse, mask = draw(6, 5, seed=1, scale=3), draw(6, 5, seed=2, scale=3), partial_mask(6, 5)
    assert pair_loss(better, worse).tolist() == pytest.approx(by_row(slow_pair, better, worse))
    assert pair_loss(better, worse, mask).tolist() == pytest.approx(by_row(slow_pair, better, worse, mask))


@pytest.mark.parametrize("masked", [False, True])
def test_pair_loss_gradient_is_the_numerical_one(masked):
    mask = partial_mask(4, 5) if masked else None
    both = leaf(draw(4, 5, seed=1)), leaf(draw(4, 5, seed=2))
    assert torch.autograd.gradcheck(lambda better, worse: pair_loss(better, worse, mask), both)


def test_a_shift_of_both_scores_changes_no_pair():
    better, worse, shift = draw(4, 5, seed=1), draw(4, 5, seed=2), draw(4, 1, seed=3, scale=1e3)
    torch.testing.assert_close(pair_loss(better + shift, worse + shift), pair_loss(better, worse))


def test_pair_loss_stays_finite_at_extreme_scores():
    better, worse = leaf(torch.tensor([[80.0, -80.0]])), leaf(torch.tensor([[-80.0, 80.0]]))
    loss = pair_loss(better, worse)
    assert loss.item() == pytest.approx(160.0)
    assert gradient(loss, better).tolist() == [[0.0, -1.0]]
    assert gradient(pair_loss(better, worse), worse).tolist() == [[0.0, 1.0]]


# masks and precision


MASKED = [
    lambda scores, other, mask: soft_binary_loss(scores, torch.sigmoid(other), mask),
    lambda scores, other, mask: pair_loss(scores, other, mask),
    lambda scores, other, mask: pair_loss(other, scores, mask),
]


@pytest.mark.parametrize("loss", MASKED)
@pytest.mark.parametrize("junk", [3.0, 1e30, math.inf, math.nan])
def test_masked_entries_change_nothing_and_get_no_gradient(loss, junk):
    mask, plain, other = partial_mask(6, 8), draw(6, 8, seed=1), draw(6, 8, seed=2)
    scores = leaf(plain.masked_fill(~mask, junk))
    with torch.autograd.set_detect_anomaly(True):  # nor is there a NaN on the way
        result = loss(scores, other.masked_fill(~mask, junk), mask)
        grad = gradient(result, scores)
    torch.testing.assert_close(result, loss(plain, other, mask))
    assert (grad[~mask] == 0).all() and (grad[mask] != 0).all() and result[-1] == 0


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(half):
    scores, other = draw(3, 4, seed=1).to(half), chances(3, 4, seed=2).to(half)
    for loss in (weighted_positives, soft_binary_loss, pair_loss, lambda s, o: rank_discrepancy(s, o, 50, 0.1)):
        result = loss(scores, other)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, loss(scores.float(), other.float()))
