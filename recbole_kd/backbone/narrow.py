"""A model of factors by their first coordinates alone: Matryoshka representations.

Source: Kusupati et al., Matryoshka Representation Learning, NeurIPS 2022.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

from recbole_kd.backbone.base import Backbone, sample_queries
from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.backbone.remembered import without_trace

TABLES = ("user_embedding", "item_embedding")


def factor_tables(model: Any) -> list[nn.Embedding] | None:
    """The two embedding tables of a model that has no other weights; None for another model."""
    if {name for name, _ in model.named_parameters()} != {f"{table}.weight" for table in TABLES}:
        return None
    return [getattr(model, table) for table in TABLES]


@contextmanager
def first_coordinates(tables: Sequence[nn.Embedding], width: int) -> Iterator[None]:
    """Inside, the tables are 0 behind their first ``width`` coordinates; gradients reach these coordinates alone."""
    weights = [table._parameters.pop("weight") for table in tables]
    try:
        for table, weight in zip(tables, weights, strict=True):
            assert weight is not None
            object.__setattr__(table, "weight", pad(weight[:, :width], (0, weight.shape[1] - width)))
        yield
    finally:
        for table, weight in zip(tables, weights, strict=True):
            vars(table).pop("weight", None)
            table._parameters["weight"] = weight


def keeps_coordinates_apart(backbone: Backbone) -> bool:
    """Whether the first coordinates of the tables give the first coordinates of the factors, tried on a few queries.

    They do for BPR and LightGCN; NGCF mixes coordinates.
    """
    tables = factor_tables(backbone.model)
    if tables is None or FACTORS not in backbone.capabilities:
        return False
    width, ids = max(1, tables[0].embedding_dim // 2), sample_queries(backbone)
    with without_trace(backbone.model):
        with backbone.eval_view() as view:
            wide = view.query_vectors(ids), view.item_table
        with first_coordinates(tables, width), backbone.eval_view() as view:
            narrow = view.query_vectors(ids), view.item_table
    return all(
        torch.allclose(part[:, :width], full[:, :width], rtol=1e-4, atol=1e-6) and not part[:, width:].any()
        for part, full in zip(narrow, wide, strict=True)
    )
