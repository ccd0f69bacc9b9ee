"""LightGCN's graph by rows: the products and gradients of RecBole's, without its sorting."""

import copy
import sys

import pytest
import torch
from recbole.model.general_recommender import NGCF, LightGCN
from recbole.trainer import Trainer
from recbole.utils import init_seed

from recbole_kd.backbone.sparse_graph import RowAdjacency, use_row_product
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.trainer.model_builder import build_seeded_model


def stock_and_ours(settings, kind=LightGCN):
    """The same model, untrained, as its class makes it and as this package does, with its config and data."""
    name = kind.__name__
    config = make_config("SLD", config_dict={**settings, "student_model": "BPR", "teacher_model": name}).teacher
    data = prepare_split(config)
    dataset = data.train._dataset
    init_seed(config["seed"], config["reproducibility"])
    return kind(config, dataset), build_seeded_model(config, dataset), config, data


def symmetric(*entries, size):
    """A symmetric sparse float64 matrix, an entry named twice being the sum of both."""
    both = [*entries, *((column, row, value) for row, column, value in entries)]
    rows, columns, values = zip(*both, strict=True)
    return torch.sparse_coo_tensor([rows, columns], values, (size, size), dtype=torch.float64)


def test_a_product_by_hand():
    graph = RowAdjacency(symmetric((0, 1, 2.0), (1, 2, 0.5), (0, 1, 1.0), size=3))
    table = torch.tensor([[1.0, -1.0], [10.0, 0.0], [0.0, 4.0]], dtype=torch.float64, requires_grad=True)
    product = torch.sparse.mm(graph, table)
    assert torch.equal(product, torch.tensor([[30.0, 0.0], [3.0, -1.0], [5.0, 0.0]], dtype=torch.float64))
    (product * torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])).sum().backward()
    assert torch.equal(table.grad, torch.tensor([[0.0, 0.0], [3.0, 1.0], [0.0, 0.0]], dtype=torch.float64))


def test_the_gradient_and_its_own():
    graph = RowAdjacency(symmetric((0, 1, 2.0), (1, 2, 0.5), (0, 3, -1.0), size=4))
    table = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda table: torch.sparse.mm(graph, table), table)
    assert torch.autograd.gradgradcheck(lambda table: torch.sparse.mm(graph, table) ** 2, table)


def test_recboles_graph_is_its_own_transpose_to_the_last_bit(settings):
    stock, ours, *_ = stock_and_ours(settings)
    dense = stock.norm_adj_matrix.to_dense()
    assert torch.equal(dense, dense.T) and torch.equal(ours.norm_adj_matrix.rows.to_dense(), dense)


def test_a_lightgcn_has_recboles_losses_and_gradients(settings):
    stock, ours, _, data = stock_and_ours(settings)
    batch, found = next(iter(data.train)), []
    for model in (stock, ours):
        assert all(torch.equal(a, b) for a, b in zip(stock.parameters(), model.parameters(), strict=True))
        loss = model.train().calculate_loss(batch)
        sum(loss).backward() if isinstance(loss, tuple) else loss.backward()
        found.append([weight.grad for weight in model.parameters()])
    assert len(found[0]) == 2 and all(grad.any() for grad in found[0])
    for grad, other in zip(*found, strict=True):
        torch.testing.assert_close(other, grad, rtol=1e-5, atol=1e-8)
    assert stock.state_dict().keys() == ours.state_dict().keys()


def test_a_lightgcn_trains_as_recboles_does(settings):
    losses = []
    *models, config, _ = stock_and_ours(settings)
    for model in models:
        data, trainer = prepare_split(config), Trainer(config, model)
        losses.append([trainer._train_epoch(data.train, epoch) for epoch in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4) and losses[0][0] > losses[0][2]


def test_nothing_else_is_done_with_it(settings):
    _, ours, *_ = stock_and_ours(settings)
    graph, table = ours.norm_adj_matrix, ours.user_embedding.weight
    for wrong in (
        lambda: torch.mm(graph, table),
        lambda: torch.sparse.mm(table, graph),
        lambda: torch.sparse.mm(graph, table, reduce="sum"),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_a_copy_propagates_too(settings):
    _, ours, *_ = stock_and_ours(settings)
    for table, other in zip(copy.deepcopy(ours)(), ours(), strict=True):
        assert torch.equal(table, other)


def test_where_it_was_not_measured_the_graph_stays(settings, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    stock, ours, *_ = stock_and_ours(settings)
    assert isinstance(ours.norm_adj_matrix, torch.Tensor)
    assert all(torch.equal(a, b) for a, b in zip(stock(), ours(), strict=True))


def test_other_models_keep_theirs(settings):
    assert isinstance(stock_and_ours(settings, NGCF)[1].norm_adj_matrix, torch.Tensor)


def test_a_class_derived_from_lightgcn_keeps_its_own(settings):
    _, _, config, data = stock_and_ours(settings)
    derived = type("Derived", (LightGCN,), {})(config, data.train._dataset)
    assert isinstance(use_row_product(derived).norm_adj_matrix, torch.Tensor)
