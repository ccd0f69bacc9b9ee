"""Vectors that are added to a model's own table of items while it is trained, and the plain model without them.

The sum takes the place of the table's weights, so that the model's loss, its scores and the terms read it alike.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad
from torch.nn.utils import parametrize

PARAMETRIZED = ".parametrizations.weight.original"  # how torch names the table's own weights


class AddedVectors(nn.Module):
    """The parametrization ``own + added()``; padding and what follows the last added vector stay the table's own.

    Args:
        added: gives the vectors that are added, shape [m, d]; row 0 has to be 0. Their parameters belong to whoever
            gives them, and not to the table.
    """

    def __init__(self, added: Callable[[], torch.Tensor]) -> None:
        super().__init__()
        self._added = added

    def forward(self, student_table: torch.Tensor) -> torch.Tensor:
        """The sum, of the shape of the table's own weights."""
        with torch.autocast(student_table.device.type, enabled=False):
            added = self._added()
            return student_table + pad(added, (0, 0, 0, len(student_table) - len(added)))


def item_embedding(model: Any, n_items: int) -> nn.Embedding | None:
    """The table of items that a model's loss and scores read; None where it has none by RecBole's usual name.

    Args:
        model: the RecBole model.
        n_items: number of items, padding included.
    """
    table = getattr(model, "item_embedding", None)
    return table if isinstance(table, nn.Embedding) and table.num_embeddings >= n_items else None


def add_vectors(table: nn.Embedding, added: Callable[[], torch.Tensor]) -> None:
    """Add vectors to a table from now on; arguments as of AddedVectors."""
    parametrize.register_parametrization(table, "weight", AddedVectors(added))


def plain_state(model: nn.Module) -> dict[str, Any]:
    """The ``state_dict`` of the model without added vectors: a table has the sum as its weights."""
    state = model.state_dict()
    tables = {name + PARAMETRIZED: (name, module) for name, module in _tables(model)}
    plain = {}
    for key, value in state.items():
        if key in tables:
            name, module = tables[key]
            plain[f"{name}.weight"] = module.weight.detach()
        else:
            plain[key] = value
    return plain


def make_plain(model: nn.Module) -> None:
    """Turn every table with added vectors into a plain one that has the sum as its weights."""
    for _, table in _tables(model):
        parametrize.remove_parametrizations(table, "weight", leave_parametrized=True)


def _tables(model: nn.Module) -> list[tuple[str, Any]]:
    """The tables with added vectors, by name."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if parametrize.is_parametrized(module, "weight")
        and isinstance(module.parametrizations["weight"][0], AddedVectors)  # type: ignore[index]
    ]
