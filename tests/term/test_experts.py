"""The gated experts, each computed on its own, and their gates."""

import pytest
import torch

from recbole_kd.term.projectors import Experts, Projector

D_IN, D_OUT, HIDDEN, EXPERTS = 3, 5, 4, 6


def experts(number=EXPERTS):
    """Experts of double precision, always the same ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Experts(D_IN, D_OUT, HIDDEN, number).double()


def draw(n=7, width=D_IN, seed=1):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def expert(part, k, x):
    """The k-th expert, Linear - ReLU - Linear, from its slice of the weights."""
    rows = slice(k * HIDDEN, (k + 1) * HIDDEN)
    inner = torch.nn.functional.linear(x, part.inner.weight[rows], part.inner.bias[rows])
    return torch.nn.functional.linear(inner.clamp(min=0), part.outer.weight[:, rows], part.outer.bias[k])


def by_hand(opened):
    """Two experts of one hidden unit each; which of the two is opened by the sign of the teacher's number."""
    part = Experts(2, 1, hidden=1, experts=2)
    with torch.no_grad():
        part.inner.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
        part.inner.bias.copy_(torch.tensor([1.0, 5.0]))
        part.outer.weight.copy_(torch.tensor([[10.0, 100.0]]))
        part.outer.bias.copy_(torch.tensor([[7.0], [-4.0]]))
        part.selector.weight.copy_(torch.tensor([[opened], [-opened]]))
        part.selector.bias.zero_()
    return part


def test_an_opened_gate_lets_its_expert_through_by_hand():
    x, teacher = torch.tensor([[3.0, 4.0], [3.0, 4.0]]), torch.tensor([[1.0], [-1.0]])
    # 10 relu(3 + 8 + 1) + 7 = 127, and 100 relu(-3 + 5) - 4 = 196
    assert by_hand(1e6)(x, teacher, 1.0, seeded()).flatten().tolist() == [127.0, 196.0]


def test_the_gates_weigh_separate_experts():
    part, x, teacher = experts(), draw(), draw(width=D_OUT, seed=2)
    gates = part.gates(teacher, 0.7, seeded())
    slow = sum(gates[:, k : k + 1] * expert(part, k, x) for k in range(EXPERTS))
    torch.testing.assert_close(part(x, teacher, 0.7, seeded()), slow)
    assert gates.shape == (7, EXPERTS) and (gates > 1e-6).all()


def test_one_expert_has_no_gate():
    part, x = experts(1), draw()
    assert not hasattr(part, "selector")
    torch.testing.assert_close(part(x, draw(width=D_OUT), 0.1, seeded()), expert(part, 0, x))


def test_the_gates_equal_the_slow_reference():
    part, teacher, tau = experts(), draw(width=D_OUT, seed=2), 0.4
    noise = torch.empty(7, EXPERTS, dtype=torch.float64).exponential_(generator=seeded()).tolist()
    for row, exponential, gates in zip(teacher, noise, part.gates(teacher, tau, seeded()).tolist(), strict=True):
        alphas = part.selector(row).exp().tolist()
        # exp((log alpha + g) / tau) with g = -log(an exponential)
        likes = [(a / sum(alphas) / e) ** (1 / tau) for a, e in zip(alphas, exponential, strict=True)]
        assert gates == pytest.approx([like / sum(likes) for like in likes])


def test_an_expert_is_chosen_as_often_as_it_is_likely():
    part, n = experts(3), 20000
    teacher = draw(1, D_OUT, seed=2).expand(n, D_OUT)
    shares = part.gates(teacher, 1e-10, seeded()).mean(0)
    torch.testing.assert_close(shares, part.log_gates(teacher[:1])[0].exp(), atol=0.012, rtol=0)


def test_the_gates_harden_as_the_temperature_falls():
    part, teacher = experts(), draw(50, D_OUT, seed=2)
    largest = [part.gates(teacher, tau, seeded()).amax(1).mean().item() for tau in (1e3, 1.0, 0.1, 1e-10)]
    assert largest == sorted(largest) and largest[0] == pytest.approx(1 / EXPERTS, abs=1e-2) and largest[-1] == 1.0


@pytest.mark.parametrize("tau", [1.0, 1e-10])
@pytest.mark.parametrize("scale", [1.0, 80.0, 1e4])
def test_gates_and_gradients_stay_finite_in_single_precision(tau, scale):
    part = experts().float()
    x, teacher = draw().float().requires_grad_(), scale * draw(width=D_OUT, seed=2).float()
    gates = part.gates(teacher, tau, seeded())
    assert torch.isfinite(gates).all() and torch.allclose(gates.sum(1), torch.ones(7))
    part(x, teacher, tau, seeded()).square().sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in (x, *part.parameters()))


def test_a_noise_of_zero_is_no_infinity(monkeypatch):
    part = experts()
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.zero_())
    assert torch.isfinite(part.gates(draw(width=D_OUT), 1e-10, seeded())).all()


def test_the_gates_are_of_single_precision_under_autocast():
    part, teacher = experts().float(), draw(width=D_OUT).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gates = part.gates(teacher, 0.5, seeded())
        assert part(draw().float(), teacher, 0.5, seeded()).dtype in (torch.float32, torch.bfloat16)
    assert gates.dtype == torch.float32
    assert torch.equal(gates, part.gates(teacher, 0.5, seeded()))


def test_gradient_is_the_numerical_one():
    part, x, teacher = experts(), draw(3).requires_grad_(), draw(3, D_OUT, seed=2)
    weights = dict(part.named_parameters())

    def function(x, *values):
        named = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(part, named, (x, teacher, 0.6, seeded()))

    assert torch.autograd.gradcheck(function, (x, *weights.values()))


def test_every_part_learns():
    part = experts()
    part(draw(30), draw(30, D_OUT, seed=2), 1.0, seeded()).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in part.parameters())


def test_noise_comes_from_the_generator_alone():
    part, teacher = experts(), draw(width=D_OUT)
    state = torch.get_rng_state()
    one = part.gates(teacher, 0.5, seeded(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(part.gates(teacher, 0.5, seeded(4)), one)
    assert not torch.equal(part.gates(teacher, 0.5, seeded(5)), one)


def test_an_expert_starts_as_a_linear_layer_of_its_own_would():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        part = Experts(D_IN, 40, 16, 8)
    bound = 16**-0.5  # not that of the 128 hidden units together
    for weight in (part.outer.weight, part.outer.bias):
        assert 0.9 * bound < weight.abs().max() <= bound
    assert part.outer.bias.shape == (8, 40) and part.inner.weight.abs().max() <= D_IN**-0.5


def test_no_tensor_holds_every_experts_answer():
    from recbole_kd.testing import AllocationCounter

    n, d_out, number = 50, 40, 10
    part = Experts(D_IN, d_out, 4, number)
    with AllocationCounter() as seen:
        part(torch.randn(n, D_IN), torch.randn(n, d_out), 1.0, seeded()).sum().backward()
    assert seen.largest < n * d_out * number / 4


def test_equal_gates_are_the_projectors_mean():
    part, x = experts(), draw()
    mean = Projector(D_IN, D_OUT, HIDDEN, EXPERTS).double()
    with torch.no_grad():
        mean.inner.load_state_dict(part.inner.state_dict())
        mean.outer.weight.copy_(part.outer.weight), mean.outer.bias.copy_(part.outer.bias.mean(0))
    torch.testing.assert_close(part(x, draw(width=D_OUT), 1e12, seeded()), mean(x))


def test_one_mask_of_the_inputs_serves_all_experts_and_each_has_its_own_of_the_hidden_units():
    part = Projector(D_IN, D_OUT, HIDDEN, EXPERTS, dropout=0.5).double().train()
    with torch.no_grad():
        part.inner.weight.fill_(1.0)
        part.inner.bias.zero_()
    hidden = part.hidden(torch.ones(2000, D_IN, dtype=torch.float64), seeded()).unflatten(1, (EXPERTS, HIDDEN))
    silent = (hidden.sum(2) == 0).all(1)  # no input is left: 0.5 ** 3 of the rows under one mask, 0.5 ** 18 under six
    assert 0.08 < silent.double().mean() < 0.17
    dropped = (hidden == 0)[~silent].double()
    assert dropped.mean((0, 2)) == pytest.approx(torch.full((EXPERTS,), 0.5, dtype=torch.float64), abs=0.05)
    assert torch.corrcoef(dropped[:, :, 0].T).fill_diagonal_(0).abs().max() < 0.1
