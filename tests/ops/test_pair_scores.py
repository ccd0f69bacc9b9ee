"""Scores of chosen pairs: value and gradient are those of gathering and multiplying."""

import pytest
import torch

from recbole_kd.ops import pair_scores as pair_scores_module
from recbole_kd.ops.pair_scores import pair_scores

N, M, D, C = 5, 9, 3, 6


@pytest.fixture(autouse=True, params=["a CPU's ways", "a GPU's ways"])
def ways(request, monkeypatch):
    """Every test holds both ways."""
    if request.param == "a GPU's ways":
        monkeypatch.setattr(pair_scores_module, "_on_host", lambda values: False)


def draw(*shape, seed, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.fixture
def tensors():
    """Users, an item table and ids: some repeated within a row and across rows, some never named, some padding."""
    users, table = draw(N, D, seed=1), draw(M, D, seed=2)
    items = torch.randint(0, M - 2, (N, C), generator=torch.Generator().manual_seed(3))
    items[0] = 4  # one item all along a row
    items[1, :3] = 0
    items[2] = items[3]
    return users.requires_grad_(), table.requires_grad_(), items


def gathered(users, table, items):
    """The plain way."""
    return (users[:, None, :] * table[items.long()]).sum(-1)


def gradients(function, users, table, items, weight):
    return torch.autograd.grad((function(users, table, items) * weight).sum(), (users, table))


def test_scores_by_hand():
    users = torch.tensor([[1.0, 2.0], [0.0, -1.0]], requires_grad=True)
    table = torch.tensor([[9.0, 9.0], [1.0, 0.0], [3.0, 4.0]], requires_grad=True)
    scores = pair_scores(users, table, torch.tensor([[1, 2], [2, 2]]))
    assert scores.tolist() == [[1.0, 11.0], [-4.0, -4.0]]
    (scores * torch.tensor([[1.0, 10.0], [2.0, 3.0]])).sum().backward()
    assert users.grad.tolist() == [[31.0, 40.0], [15.0, 20.0]]  # 1 (1, 0) + 10 (3, 4) and (2 + 3) (3, 4)
    assert table.grad.tolist() == [[0.0, 0.0], [1.0, 2.0], [10.0, 15.0]]  # 10 (1, 2) + (2 + 3) (0, -1)


def test_values_equal_gathering_and_multiplying(tensors):
    torch.testing.assert_close(pair_scores(*tensors), gathered(*tensors))


@pytest.mark.parametrize("c", [M - 1, M, M + 1, 3 * M])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_where_a_list_is_about_as_long_as_the_table(c, dtype):
    users, table = draw(N, D, seed=1, dtype=dtype), draw(M, D, seed=2, dtype=dtype)
    items = torch.randint(0, M, (N, c), generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(pair_scores(users, table, items), gathered(users, table, items))


@pytest.mark.parametrize("c", [2, 3 * M])
@pytest.mark.parametrize("wrong", [-1, M])
def test_an_id_that_is_not_in_the_table_is_refused(c, wrong):
    items = torch.zeros(N, c, dtype=torch.int64)
    items[1, 1] = wrong
    with pytest.raises(IndexError):
        pair_scores(draw(N, D, seed=1), draw(M, D, seed=2), items)


def test_a_table_that_is_a_part_or_a_transpose_of_another():
    users, table = draw(N, D, seed=1), draw(2 * D, M, seed=2)
    items = torch.randint(0, M, (N, C), generator=torch.Generator().manual_seed(3))
    for part in (table[:D].T, table[::2].T):
        torch.testing.assert_close(pair_scores(users, part, items), gathered(users, part, items))


@pytest.mark.parametrize("ids", [torch.int32, torch.int64])
def test_gradients_equal_gathering_and_multiplying(tensors, ids):
    users, table, items = tensors
    weight = draw(N, C, seed=4)
    ours = gradients(pair_scores, users, table, items.to(ids), weight)
    for one, other in zip(ours, gradients(gathered, users, table, items, weight), strict=True):
        torch.testing.assert_close(one, other)
    assert (ours[1][M - 2 :] == 0).all()  # never named


@pytest.mark.parametrize("ids", [torch.int32, torch.int64])
def test_gradients_are_the_numerical_ones(tensors, ids):
    users, table, items = tensors
    assert torch.autograd.gradcheck(lambda u, t: pair_scores(u, t, items.to(ids)), (users, table))


def test_gradients_do_not_depend_on_how_the_incoming_one_is_laid_out(tensors):
    users, table, items = tensors
    plain = gradients(pair_scores, users, table, items, torch.ones(N, C, dtype=torch.float64))
    summed = torch.autograd.grad(pair_scores(*tensors).sum(), (users, table))  # expanded, without strides
    turned = torch.autograd.grad(
        (pair_scores(*tensors).T @ torch.ones(N, 1, dtype=torch.float64)).sum(), (users, table)
    )
    for one, two, three in zip(plain, summed, turned, strict=True):
        torch.testing.assert_close(one, two)
        torch.testing.assert_close(one, three)


def test_one_side_alone_can_be_trained(tensors):
    users, table, items = tensors
    weight = draw(N, C, seed=4)
    both = gradients(pair_scores, users, table, items, weight)
    (pair_scores(users, table.detach(), items) * weight).sum().backward()
    torch.testing.assert_close(users.grad, both[0])
    assert table.grad is None
    (pair_scores(users.detach(), table, items) * weight).sum().backward()
    torch.testing.assert_close(table.grad, both[1])


def test_the_same_bits_when_repeated():
    users, table = draw(200, 16, seed=1, dtype=torch.float32), draw(50, 16, seed=2, dtype=torch.float32)
    items = torch.randint(0, 50, (200, 40), generator=torch.Generator().manual_seed(3))  # each item many times over
    weight = draw(200, 40, seed=4, dtype=torch.float32)
    users.requires_grad_(), table.requires_grad_()
    first = gradients(pair_scores, users, table, items, weight)
    for _ in range(5):
        again = gradients(pair_scores, users, table, items, weight)
        assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(tensors, rows):
    users, table, items = tensors
    scores = pair_scores(users[:rows], table, items[:rows])
    assert scores.shape == (rows, C)
    grads = torch.autograd.grad(scores.sum(), (users, table))
    plain = torch.autograd.grad(gathered(users[:rows], table, items[:rows]).sum(), (users, table))
    for one, other in zip(grads, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_float32_at_least_under_autocast(tensors):
    users, table, items = (part.detach() for part in tensors)
    users, table = users.float().requires_grad_(), table.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = pair_scores(users, table, items)
        cast = torch.autograd.grad(pair_scores(users, table, items).sum(), (users, table))
    torch.testing.assert_close(scores, gathered(users, table, items))
    for one, other in zip(cast, torch.autograd.grad(scores.sum(), (users, table)), strict=True):
        assert torch.equal(one, other)


def test_half_precision_comes_back_in_its_own_gradient(tensors):
    users, table, items = (part.detach() for part in tensors)
    users, table = users.bfloat16().requires_grad_(), table.bfloat16().requires_grad_()
    scores = pair_scores(users, table, items)
    assert scores.dtype == torch.float32
    scores.sum().backward()
    assert users.grad.dtype == table.grad.dtype == torch.bfloat16 and users.grad.abs().sum() > 0
