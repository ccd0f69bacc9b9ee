"""What the conformance checks compare and measure: weights, tables of users and items, allocated bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def same_weights(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    """Whether two state dicts have the same names and bit-equal tensors."""
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


def id_tables(model: nn.Module, n_users: int, n_items: int) -> dict[str, nn.Parameter]:
    """The parameters of a model that are indexed by user or item.

    These are the weights of all ``nn.Embedding`` modules, and all parameters of two or more dimensions whose first
    dimension is the number of users, of items, or of both together.

    Args:
        model: the model.
        n_users: number of users, the padding user included.
        n_items: number of items, the padding item included.

    Returns:
        The parameters by name.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    sizes = (n_users, n_items, n_users + n_items)
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if id(parameter) in embeddings or (parameter.dim() >= 2 and len(parameter) in sizes)
    }


def scaled_tables(model: Any) -> dict[str, nn.Parameter]:
    """The parameters of a RecBole model that scale its scores, by name: its tables of users and items.

    Those of a model without such tables, as DMF, are all its matrices.
    """
    tables = id_tables(model, getattr(model, "n_users", 0), model.n_items)
    return tables or {name: weight for name, weight in model.named_parameters() if weight.dim() >= 2}


def total(losses: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of some losses; RecBole's graph models give theirs with shape [1]."""
    return torch.cat([loss.reshape(1) for loss in losses]).sum()


def padding_gradients(model: nn.Module, recommender: GeneralRecommender) -> dict[str, float]:
    """The largest absolute gradient in the padding rows of each table of users or items.

    Args:
        model: the model whose tables are looked at, after ``backward``.
        recommender: the RecBole model that says how many users and items there are.

    Returns:
        One number for each table that has a gradient, by the table's name. Empty where no table has one.
    """
    n_users, n_items = getattr(recommender, "n_users", 0), recommender.n_items  # sequence models count no users
    result = {}
    for name, table in id_tables(model, n_users, n_items).items():
        if table.grad is not None:
            grad = table.grad.to_dense() if table.grad.is_sparse else table.grad
            rows = [0, n_users] if len(table) == n_users + n_items else [0]  # one table of both: two padding rows
            result[name] = float(grad[rows].abs().max())
    return result


class AllocationCounter(TorchDispatchMode):
    """Counts what torch operations return while it is active.

    Attributes:
        bytes: bytes of all tensors together.
        largest: number of elements of the largest tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided:
                self.bytes += leaf.numel() * leaf.element_size()
                self.largest = max(self.largest, leaf.numel())
        return out
