"""DLLM2Rec's weights and loss: by hand, against plain Python, by numerical derivatives, at extremes."""

import math

import pytest
import torch

from recbole_kd.losses.weighted_lists import list_weights, weighted_pairs

LN2, LN3 = math.log(2.0), math.log(3.0)


def draw(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_weights_by_hand():
    mask = torch.tensor([[True, True, False]])
    distances = torch.tensor([[LN3, 0.0, math.inf]])  # confidences 1/4 and 3/4
    common = torch.tensor([[True, False, True]])
    one = math.exp(-1 / 0.5) / (math.exp(-1 / 0.5) + math.exp(-2 / 0.5))
    raw = [0.3 * one + 0.5 * 0.25 + 0.1, 0.3 * (1 - one) + 0.5 * 0.75]
    expected = [raw[0] / sum(raw), raw[1] / sum(raw), 0.0]
    weights = list_weights(mask, distances, common, (0.3, 0.5, 0.1), decay=0.5)
    assert weights.tolist() == [pytest.approx(expected)]


def test_a_part_that_is_unknown_has_no_weight():
    mask = torch.tensor([[True, True]])
    assert list_weights(mask, None, None, (0.0, 0.7, 0.2)).tolist() == [[0.0, 0.0]]
    by_position = list_weights(mask, None, None, (0.4, 0.7, 0.2))
    torch.testing.assert_close(by_position, list_weights(mask, None, None, (1.0, 0.0, 0.0)))


@pytest.mark.parametrize("distance", [0.0, 1e4, 1e30])
def test_weights_of_far_and_empty_lists_are_finite(distance):
    mask = torch.tensor([[True, True], [False, False]])
    distances = torch.tensor([[distance, distance], [math.inf, math.inf]])
    assert list_weights(mask, distances, None, (0.0, 1.0, 0.0)).tolist() == [[0.5, 0.5], [0.0, 0.0]]


def test_the_loss_by_hand():
    # of the list chances 1/2 and 3/4, of the negative items 1/4 and one that was not drawn
    scores, negatives = torch.tensor([[0.0, LN3], [0.0, 0.0]]), torch.tensor([-LN3, 5.0])
    weights, drawn = torch.tensor([[0.25, 0.75], [1.0, 0.0]]), torch.tensor([True, False])
    first = 0.25 * LN2 + 0.75 * math.log(4 / 3) + math.log(4 / 3)
    assert weighted_pairs(scores, negatives, weights, drawn).tolist() == pytest.approx([first, LN2])


def test_the_authors_code_takes_the_margin_to_1():
    arguments = torch.tensor([[0.0]]), torch.tensor([3.0]), torch.tensor([[1.0]]), torch.tensor([True])
    assert weighted_pairs(*arguments, margin=True).item() == pytest.approx(LN2 - math.log(1 / (1 + math.exp(2))))


@pytest.mark.parametrize("margin", [False, True])
def test_the_gradient_is_the_numerical_one(margin):
    scores, negatives = draw(3, 4, scale=2).requires_grad_(), draw(3, seed=1).requires_grad_()
    weights = draw(3, 4, seed=2).softmax(1)
    drawn = torch.tensor([True, False, True])
    assert torch.autograd.gradcheck(lambda s, n: weighted_pairs(s, n, weights, drawn, margin), (scores, negatives))


def test_extreme_scores_keep_value_and_gradient_finite():
    scores = torch.tensor([[1e4, -1e4, math.inf]]).requires_grad_()
    negatives = torch.tensor([1e4]).requires_grad_()
    loss = weighted_pairs(scores, negatives, torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([True]))
    loss.sum().backward()
    assert loss.tolist() == [1.5e4]
    assert scores.grad.tolist() == [[0.0, -0.5, 0.0]] and negatives.grad.tolist() == [1.0]
