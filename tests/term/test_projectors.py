"""The projector is the mean of its experts, each computed on its own."""

import pytest
import torch

from recbole_kd.term.projectors import Projector, bernoulli_mask

D_IN, D_OUT, HIDDEN, EXPERTS = 3, 5, 4, 6


def projector(**keys):
    """A projector of double precision, always the same one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {"d_in": D_IN, "d_out": D_OUT, "hidden": HIDDEN, "experts": EXPERTS} | keys
        return Projector(**shape).double()


def vectors(n=7, width=D_IN):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def ones(dropout, d_in=1):
    """One expert that hands its input through, to see what dropout does to it."""
    part = Projector(d_in, 1, hidden=1, experts=1, dropout=dropout)
    with torch.no_grad():
        for weight in part.parameters():
            weight.fill_(1.0 if weight.dim() == 2 else 0.0)
    return part


def expert(part, k, x):
    """The k-th expert, Linear - ReLU - Linear, from its slice of the weights."""
    rows = slice(k * HIDDEN, (k + 1) * HIDDEN)
    inner = torch.nn.functional.linear(x, part.inner.weight[rows], part.inner.bias[rows])
    return torch.nn.functional.linear(inner.clamp(min=0), part.outer.weight[:, rows], part.outer.bias)


def test_a_projection_by_hand():
    part = Projector(2, 1, hidden=1, experts=2)
    with torch.no_grad():
        part.inner.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
        part.inner.bias.copy_(torch.tensor([1.0, 5.0]))
        part.outer.weight.copy_(torch.tensor([[10.0, 100.0]]))
        part.outer.bias.fill_(7.0)
    # experts: 10 relu(3 + 8 + 1) + 7 = 127 and 100 relu(-3 + 5) + 7 = 207; then 10 relu(-9) + 7 and 100 relu(14) + 7
    assert part(torch.tensor([[3.0, 4.0], [-9.0, -0.5]])).flatten().tolist() == [167.0, 707.0]


@pytest.mark.parametrize("experts", [1, EXPERTS])
def test_the_mean_of_separate_experts(experts):
    part, x = projector(experts=experts), vectors()
    torch.testing.assert_close(part(x), torch.stack([expert(part, k, x) for k in range(experts)]).mean(0))


def test_gradient_is_the_numerical_one():
    part, x = projector(), vectors(3).requires_grad_()
    weights = dict(part.named_parameters())

    def function(x, *values):
        return torch.func.functional_call(part, dict(zip(weights, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x, *weights.values()))


def test_an_expert_starts_as_a_linear_layer_of_its_own_would():
    part = projector(hidden=16, experts=8, d_out=40)
    bound = 16**-0.5  # not that of the 128 hidden units together
    for weight in (part.outer.weight, part.outer.bias):
        assert 0.9 * bound < weight.abs().max() <= bound
    assert part.inner.weight.abs().max() <= D_IN**-0.5


def test_dropout_acts_in_training_only():
    part, x = projector(dropout=0.5), vectors()
    plain = projector(dropout=0.0)
    assert not torch.equal(part(x, seeded(0)), plain(x))
    assert torch.equal(part.eval()(x, seeded(0)), plain(x))


def test_evaluation_and_no_dropout_draw_nothing():
    for part in (projector(dropout=0.5).eval(), projector(dropout=0.0)):
        generator = seeded(0)
        before = generator.get_state()
        part(vectors(), generator)
        assert torch.equal(generator.get_state(), before)


def test_dropout_comes_from_the_generator_alone():
    part, x = projector(dropout=0.5), vectors()
    state = torch.get_rng_state()
    one = part(x, seeded(4))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)  # the global stream moves on, the result does not
    assert torch.equal(part(x, seeded(4)), one)
    assert not torch.equal(part(x, seeded(5)), one)


def test_dropout_acts_before_both_layers_and_keeps_the_mean():
    # what survives both is scaled by (4 / 3)^2, and that is the case (3 / 4)^2 of the time
    out = ones(0.25)(torch.full((20000, 1), 9.0), seeded(2)).flatten()
    assert set(out.tolist()) == {0.0, 16.0}
    assert (out > 0).double().mean().item() == pytest.approx(9 / 16, abs=0.015)
    assert out.mean().item() == pytest.approx(9.0, abs=0.25)


def test_dropout_falls_on_each_number_apart():
    out = ones(0.5, d_in=2)(torch.tensor([[1.0, 10.0]]).expand(400, 2), seeded(3)).flatten()
    assert set(out.tolist()) == {0.0, 4.0, 40.0, 44.0}


def test_dropped_inputs_get_no_gradient():
    x = torch.full((50, 1), 2.0, requires_grad=True)
    out = ones(0.5)(x, seeded(6))
    out.sum().backward()
    assert torch.equal(x.grad, torch.where(out > 0, 4.0, 0.0)) and 0 < (out > 0).sum() < 50


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_coins_fall_by_their_probability_each_by_itself(p):
    drawn = bernoulli_mask((40_001, 5), p, torch.Generator().manual_seed(3), "cpu")
    assert drawn.shape == (40_001, 5) and drawn.dtype == torch.bool
    numbers = drawn.double()
    assert torch.allclose(numbers.mean(0), torch.full((5,), p).double(), atol=0.01)
    flat = numbers.flatten()
    for apart in range(1, 9):  # those of one random word, and of the next
        assert ((flat[apart:] - p) * (flat[:-apart] - p)).mean().abs() < 0.003
    assert torch.equal(drawn, bernoulli_mask((40_001, 5), p, torch.Generator().manual_seed(3), "cpu"))


def test_no_coins():
    assert bernoulli_mask((0, 5), 0.5, torch.Generator(), "cpu").shape == (0, 5)
