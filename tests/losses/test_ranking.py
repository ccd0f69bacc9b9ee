"""The loss of an order above a tail: by hand, against plain Python, by numerical derivatives, by what has to hold."""

import math
from itertools import permutations

import pytest
import torch

from recbole_kd.losses.ranking import plackett_luce


def draw(*shape, seed=0, scale=1.0):
    """Normal numbers in double precision."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(values):
    """A copy that collects a gradient."""
    return values.detach().clone().requires_grad_()


def all_of(values):
    return torch.ones(values.shape, dtype=torch.bool)


def full(listed, tail):
    """The loss where everything counts."""
    return plackett_luce(listed, tail, all_of(listed), all_of(tail))


def holes(n, c, seed):
    """A mask whose first row has everything, whose last has nothing, with holes in the middle of the others."""
    mask = torch.rand(n, c, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[0], mask[-1] = True, False
    return mask


def example():
    """Scores and masks of 7 rows: one with all, one with a list only, one with a tail only, one with nothing."""
    there, tail_mask = holes(7, 5, 3), holes(7, 4, 4)
    tail_mask[1], there[1] = False, True
    there[2], tail_mask[2] = False, True
    return draw(7, 5, seed=1), draw(7, 4, seed=2), there, tail_mask


def slow(listed, tail, there, tail_mask):
    """Minus the log of the chance to draw the list first, one after the other, each in proportion to exp(score)."""
    result = []
    for x, y, xs, ys in zip(*(part.tolist() for part in (listed, tail, there, tail_mask)), strict=True):
        urn = [math.exp(score) for score, counts in zip(y, ys, strict=True) if counts]
        order = [math.exp(score) for score, counts in zip(x, xs, strict=True) if counts]
        chance = 1.0
        for place, weight in enumerate(order):
            chance *= weight / math.fsum(urn + order[place:])
        result.append(-math.log(chance))
    return result


def test_by_hand():
    listed, tail = torch.tensor([[2.0, 3.0]]).log(), torch.tensor([[1.0, 4.0]]).log()
    # 2 of 2 + 3 + 5, then 3 of 3 + 5
    assert full(listed, tail).item() == pytest.approx(-math.log(2 / 10 * 3 / 8))
    assert full(listed.flip(-1), tail).item() == pytest.approx(-math.log(3 / 10 * 2 / 7))
    assert full(listed, tail[:, :0]).item() == pytest.approx(-math.log(2 / 5))
    assert full(torch.zeros(1, 3), torch.zeros(1, 2)).item() == pytest.approx(math.log(5 * 4 * 3))


def test_it_equals_the_slow_reference():
    listed, tail, there, tail_mask = example()
    assert full(listed, tail).tolist() == pytest.approx(slow(listed, tail, all_of(listed), all_of(tail)))
    assert plackett_luce(*example()).tolist() == pytest.approx(slow(listed, tail, there, tail_mask))


def test_the_chances_of_all_orders_add_up_to_one():
    scores = draw(1, 4, seed=5, scale=2)
    orders = torch.cat([scores[:, list(order)] for order in permutations(range(4))])
    assert full(orders, torch.zeros(len(orders), 0)).neg().exp().sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_is_the_numerical_one(masked):
    listed, tail, there, tail_mask = example()
    if not masked:
        there, tail_mask = all_of(there), all_of(tail_mask)
    assert torch.autograd.gradcheck(lambda x, y: plackett_luce(x, y, there, tail_mask), (leaf(listed), leaf(tail)))


def test_the_gradient_raises_the_first_and_lowers_the_tail():
    listed, tail = leaf(draw(4, 5, seed=1)), leaf(draw(4, 3, seed=2))
    first, below = torch.autograd.grad(full(listed, tail).sum(), (listed, tail))
    assert (first[:, 0] < 0).all() and (below > 0).all()
    torch.testing.assert_close(first.sum(1) + below.sum(1), torch.zeros(4, dtype=torch.float64))


def test_a_shift_of_the_scores_changes_nothing():
    listed, tail, there, tail_mask = example()
    shift = draw(7, 1, seed=3, scale=1e4)
    torch.testing.assert_close(
        plackett_luce(listed + shift, tail + shift, there, tail_mask), plackett_luce(listed, tail, there, tail_mask)
    )


def test_the_lists_order_counts_and_the_tails_does_not():
    listed, tail = draw(6, 5, seed=1), draw(6, 4, seed=2)
    torch.testing.assert_close(full(listed, tail.flip(-1)), full(listed, tail))
    best = full(listed.sort(descending=True).values, tail)
    assert (best < full(listed.sort().values, tail)).all() and (best <= full(listed, tail)).all()


def test_a_mask_is_the_same_as_leaving_the_entries_out():
    listed, tail = draw(4, 7, seed=1), draw(4, 5, seed=2)
    there, tail_mask = (torch.zeros_like(part, dtype=torch.bool) for part in (listed, tail))
    there[:, [1, 2, 5]] = tail_mask[:, [0, 3]] = True
    torch.testing.assert_close(
        plackett_luce(listed, tail, there, tail_mask), full(listed[:, [1, 2, 5]], tail[:, [0, 3]])
    )


@pytest.mark.parametrize("junk", [3.0, 1e30, math.inf, math.nan])
def test_masked_entries_change_nothing_and_get_no_gradient(junk):
    listed, tail, there, tail_mask = example()
    spoiled = leaf(listed.masked_fill(~there, junk)), leaf(tail.masked_fill(~tail_mask, -junk))
    loss = plackett_luce(*spoiled, there, tail_mask)
    torch.testing.assert_close(loss, plackett_luce(listed, tail, there, tail_mask))
    of_listed, of_tail = torch.autograd.grad(loss.sum(), spoiled)
    assert (of_listed[~there] == 0).all() and (of_tail[~tail_mask] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_without_a_list_counts_zero(dtype):
    listed, tail, there, tail_mask = example()
    listed, tail = leaf(listed.to(dtype)), leaf(tail.to(dtype))
    with torch.autograd.set_detect_anomaly(True):  # nor is there a NaN on the way that someone would search for
        loss = plackett_luce(listed, tail, there, tail_mask)
        grads = torch.autograd.grad(loss.sum(), (listed, tail))
    assert loss.dtype == dtype and not there[2].any() and not there[-1].any()
    for row in (2, -1):
        assert loss[row] == 0 and not grads[0][row].any() and not grads[1][row].any()
    assert (loss[[0, 1]] > 0).all() and all(torch.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("lengths", [(0, 3), (3, 0), (0, 0)])
def test_no_columns_are_as_good_as_masked_ones(lengths):
    listed, tail = draw(2, lengths[0], seed=1), draw(2, lengths[1], seed=2)
    assert full(listed, tail).tolist() == pytest.approx(slow(listed, tail, all_of(listed), all_of(tail)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_stays_finite_at_extreme_scores(dtype):
    listed = leaf(torch.tensor([[80.0, -80.0, 80.0], [-80.0, 0.0, 80.0]], dtype=dtype))
    tail = leaf(torch.tensor([[-80.0, -80.0], [80.0, -80.0]], dtype=dtype))
    loss = full(listed, tail)
    # 80 of two 80s; -80 beside 80; 80 alone  |  -80 beside two 80s; 0 beside them; 80 of two
    assert loss.tolist() == pytest.approx([math.log(2) + 160, 160 + 80 + 3 * math.log(2)], rel=1e-6)
    grads = torch.autograd.grad(loss.sum(), (listed, tail))
    for grad, wanted in zip(grads, ([[-0.5, -1.0, 1.5], [-1.0, -1.0, 0.5]], [[0.0, 0.0], [1.5, 0.0]]), strict=True):
        torch.testing.assert_close(grad, torch.tensor(wanted, dtype=dtype), rtol=0, atol=1e-5)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(half):
    listed, tail = draw(3, 4, seed=1).to(half), draw(3, 2, seed=2).to(half)
    assert full(listed, tail).dtype == torch.float32
    torch.testing.assert_close(full(listed, tail), full(listed.float(), tail.float()))
