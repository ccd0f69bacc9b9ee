"""Models whose embedding tables are the factors, such as BPR; SimpleX, whose user vector is an aggregation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import normalize

from recbole_kd.backbone.base import Backbone, View
from recbole_kd.ops.pair_scores import pair_scores


class FactorBackbone(Backbone):
    """user_embedding and item_embedding, scored by their inner product."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        tables = [getattr(getattr(model, side + "_embedding", None), "weight", None) for side in ("user", "item")]
        shapes = [tuple(table.shape) for table in tables if table is not None]
        if len(shapes) != 2 or any(len(shape) != 2 for shape in shapes):
            return False
        return (shapes[0][0], shapes[1][0]) == (model.n_users, model.n_items) and shapes[0][1] == shapes[1][1]

    @contextmanager
    def view(self) -> Iterator[View]:
        yield View(self.model.user_embedding.weight, self.model.item_embedding.weight)


class SimpleXBackbone(Backbone):
    """SimpleX scores by a cosine: the factors are unit vectors, the user's an aggregation of the user's history."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return all(hasattr(model, name) for name in ("user_emb", "item_emb", "get_UI_aggregation", "history_item_id"))

    @contextmanager
    def view(self) -> Iterator[View]:
        yield _SimpleXView(self.model)


class _SimpleXView(View):
    def __init__(self, model: Any) -> None:
        super().__init__(None, normalize(model.item_emb.weight, dim=1))
        self.model = model

    def users(self, ids: torch.Tensor) -> torch.Tensor:
        model, flat = self.model, ids.reshape(-1)
        history = model.item_emb(model.history_item_id[flat])
        vectors = model.get_UI_aggregation(model.user_emb(flat), history, model.history_item_len[flat])
        return normalize(vectors, dim=1).view(*ids.shape, -1)

    def score_items(self, items: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
        distinct, index = users.unique(return_inverse=True)  # without a table of users each is aggregated once
        return pair_scores(self.items(items), self.users(distinct.long()), index)
