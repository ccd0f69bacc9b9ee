"""Models whose embedding tables make the factors without propagation: BPR, ENMF, CKE, SimpleX."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import normalize

from recbole_kd.backbone.base import Backbone, Step
from recbole_kd.backbone.views import FactorView
from recbole_kd.ops.pair_scores import pair_scores


class FactorBackbone(Backbone):
    """user_embedding and item_embedding, scored by their inner product."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        tables = [getattr(getattr(model, side + "_embedding", None), "weight", None) for side in ("user", "item")]
        shapes = [tuple(table.shape) for table in tables if table is not None]
        if len(shapes) != 2 or any(len(shape) != 2 for shape in shapes) or not hasattr(model, "n_users"):
            return False  # sequence models do not count their users
        return (shapes[0][0], shapes[1][0]) == (model.n_users, model.n_items) and shapes[0][1] == shapes[1][1]

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[FactorView]:
        yield FactorView(self.model.user_embedding.weight, self.model.item_embedding.weight)


class ENMFBackbone(FactorBackbone):
    """ENMF weights each coordinate of the inner product: the weights go to the user's side."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and isinstance(getattr(model, "H_i", None), torch.nn.Linear)

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[FactorView]:
        yield FactorView(self.model.user_embedding.weight * self.model.H_i.weight, self.model.item_embedding.weight)


class CKEBackbone(FactorBackbone):
    """CKE adds an item's vector as an entity of the knowledge graph to its vector as an item."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return super().matches(model) and hasattr(model, "entity_embedding")

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[FactorView]:
        model = self.model
        items = model.item_embedding.weight + model.entity_embedding.weight[: model.n_items]
        yield FactorView(model.user_embedding.weight, items)


class SimpleXBackbone(Backbone):
    """SimpleX scores by a cosine: the factors are unit vectors, the user's an aggregation of the user's history."""

    @classmethod
    def matches(cls, model: Any) -> bool:
        return all(hasattr(model, name) for name in ("user_emb", "item_emb", "get_UI_aggregation", "history_item_id"))

    @contextmanager
    def view(self, step: Step | None = None) -> Iterator[FactorView]:
        yield _SimpleXView(self.model)


class _SimpleXView(FactorView):
    def __init__(self, model: Any) -> None:
        super().__init__(None, normalize(model.item_emb.weight, dim=1))
        self.model = model

    def query_vectors(self, ids: torch.Tensor) -> torch.Tensor:
        model, flat = self.model, ids.reshape(-1)
        history = model.item_emb(model.history_item_id[flat])
        vectors = model.get_UI_aggregation(model.user_emb(flat), history, model.history_item_len[flat])
        return normalize(vectors, dim=1).view(*ids.shape, -1)

    def score_items(self, items: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        distinct, index = queries.unique(return_inverse=True)  # without a table of users each is aggregated once
        return pair_scores(self.item_vectors(items), self.query_vectors(distinct.long()), index)
