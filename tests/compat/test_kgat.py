"""KGAT's first attention matrix, made without dgl."""

from types import SimpleNamespace

import torch

from recbole_kd.compat.kgat import _init_graph


def test_each_relation_has_rows_that_sum_to_one():
    model = SimpleNamespace(
        all_hs=torch.tensor([0, 0, 0, 2, 0]),
        all_ts=torch.tensor([1, 2, 2, 0, 2]),
        all_rs=torch.tensor([1, 1, 2, 1, 1]),  # the pair (0, 2) twice under relation 1, once under relation 2
        n_relations=3,
        matrix_size=torch.Size([3, 3]),
        device="cpu",
    )
    expected = torch.tensor([[0, 1 / 3, 2 / 3 + 1], [0, 0, 0], [1, 0, 0]])
    assert torch.allclose(_init_graph(model).to_dense(), expected)
