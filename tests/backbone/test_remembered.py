"""A step's forward passes are recorded for the terms, and their reads leave no trace."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from recbole_kd.backbone.remembered import KEPT, remembered_forward, without_trace

ROWS, OTHERS = torch.ones(2, 8), torch.zeros(2, 8)


class Noisy(nn.Module):
    """A model whose passes differ by their dropout."""

    device = torch.device("cpu")

    def __init__(self):
        super().__init__()
        self.dropout, self.passes, self.table = nn.Dropout(), 0, None

    def forward(self, rows, scale=1.0):
        self.passes += 1
        return self.dropout(rows) * scale


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Noisy()


def test_the_models_own_passes_are_all_made(model):
    """A contrastive model counts on two draws for the same rows."""
    with remembered_forward(model):
        first, second = model.forward(ROWS), model.forward(ROWS)
    assert model.passes == 2
    assert not torch.equal(first, second)


def test_a_read_gets_the_first_pass_with_its_arguments(model):
    with remembered_forward(model) as memory:
        first, _, other = model.forward(ROWS), model.forward(ROWS), model.forward(ROWS, scale=2.0)
        memory.replays = True
        assert model.forward(ROWS.clone()) is first  # equal values will do
        assert model.forward(ROWS, scale=2.0) is other
    assert model.passes == 3


@pytest.mark.parametrize("arguments", [(OTHERS,), (ROWS[:1],), (ROWS.double(),), (ROWS, 3.0), ("rows",)])
def test_a_read_with_other_arguments_gets_a_pass_of_its_own(model, arguments):
    with remembered_forward(model) as memory:
        model.forward(ROWS)
        memory.replays = True
        try:
            model.forward(*arguments)
        except TypeError:
            assert arguments == ("rows",)
    assert model.passes == 2


def test_reads_are_not_recorded(model):
    with remembered_forward(model) as memory:
        memory.replays = True
        first, second = model.forward(ROWS), model.forward(ROWS)
    assert memory.recorded == []
    assert not torch.equal(first, second)


def test_no_more_than_a_few_passes_are_kept(model):
    with remembered_forward(model) as memory:
        for scale in range(KEPT + 2):
            model.forward(ROWS, scale=float(scale))
    assert [keywords["scale"] for (_, keywords), _ in memory.recorded] == [float(scale) for scale in range(KEPT)]


def test_the_forward_is_restored(model):
    with pytest.raises(RuntimeError), remembered_forward(model):
        raise RuntimeError
    assert "forward" not in vars(model)


def test_a_second_run_leaves_no_trace(model):
    state = torch.get_rng_state()
    with without_trace(model):
        model.forward(ROWS)
        torch.rand(3)
        model.table = torch.ones(2)
        model.found = 1
    assert torch.equal(torch.get_rng_state(), state)
    assert (model.passes, model.table, hasattr(model, "found")) == (0, None, False)


def test_attributes_and_draws_are_restored_after_an_error():
    model, state = SimpleNamespace(device=torch.device("cpu"), counter=1), torch.get_rng_state()
    with pytest.raises(RuntimeError), without_trace(model):
        model.counter = 2
        torch.rand(3)
        raise RuntimeError
    assert model.counter == 1
    assert torch.equal(torch.get_rng_state(), state)
