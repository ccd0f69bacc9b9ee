"""Vectors that are added to a model's table of items while it is trained."""

import pytest
import torch
from torch import nn

from recbole_kd.backbone.item_table import add_vectors, item_embedding, make_plain, plain_state


class Model(nn.Module):
    """A model with a row after its items, as BERT4Rec has for its mask."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.user_embedding, self.item_embedding = (
            nn.Embedding(3, 2),
            nn.Embedding(6, 2, padding_idx=0),
        )
        self.other = nn.Linear(2, 2)


@pytest.fixture
def attached():
    """A model, its own table, and what is added to it."""
    model, added = Model(), nn.Parameter(torch.arange(10.0).view(5, 2) * torch.tensor([[0.0], *[[1.0]] * 4]))
    own = model.item_embedding.weight.detach().clone()
    add_vectors(model.item_embedding, lambda: added)
    return model, own, added


def test_the_model_reads_the_sum_and_its_last_row_its_own(attached):
    model, own, added = attached
    assert torch.equal(model.item_embedding.weight[:5], own[:5] + added)
    assert torch.equal(model.item_embedding(torch.tensor([5, 2])), torch.stack([own[5], own[2] + added[2]]))


def test_what_is_added_is_no_parameter_of_the_model(attached):
    model, _, added = attached
    plain = Model()
    assert [weight.shape for weight in model.parameters()] == [weight.shape for weight in plain.parameters()]
    assert all(weight is not added for weight in model.parameters())


def test_the_gradient_reaches_both(attached):
    model, _, added = attached
    weight = torch.randn(6, 2)
    (model.item_embedding.weight * weight).sum().backward()
    assert torch.equal(model.item_embedding.parametrizations.weight.original.grad, weight)
    assert torch.equal(added.grad, weight[:5])


def test_the_saved_state_is_that_of_a_plain_model(attached):
    model, own, added = attached
    state, plain = plain_state(model), Model()
    assert list(state) == list(plain.state_dict())
    plain.load_state_dict(state)
    assert torch.equal(plain.item_embedding.weight[:5], own[:5] + added)
    assert torch.equal(model.item_embedding.parametrizations.weight.original, own)  # the training goes on


def test_a_model_made_plain_keeps_the_sum_and_adds_no_more(attached):
    model, _, added = attached
    expected = plain_state(model)["item_embedding.weight"].clone()
    make_plain(model)
    with torch.no_grad():
        added += 1
    assert torch.equal(model.item_embedding.weight, expected)
    assert type(model.item_embedding) is nn.Embedding and list(model.state_dict()) == list(Model().state_dict())


def test_a_model_without_added_vectors_is_left_as_it_is():
    model = Model()
    before = model.item_embedding.weight
    make_plain(model)
    assert model.item_embedding.weight is before
    assert list(plain_state(model)) == list(model.state_dict())


def test_the_table_of_items_is_found_by_its_name_and_size():
    model = Model()
    assert item_embedding(model, 5) is model.item_embedding
    assert item_embedding(model, 7) is None
    assert item_embedding(nn.Linear(2, 2), 5) is None
