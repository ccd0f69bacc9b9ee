"""A RecBole model as the terms read it; a family of models says what it can give and how a step's view is made."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.capabilities import FACTOR_MODEL, Capability
from recbole_kd.backbone.queries import Queries, user_queries
from recbole_kd.backbone.remembered import without_trace
from recbole_kd.backbone.views import FactorView, View

SNAPSHOT_ROWS = 2048  # queries whose vectors are made at once
CACHES = ("restore_user_e", "restore_item_e", "restore_entity_e")  # propagated tables that RecBole's models keep


@dataclass(frozen=True)
class Step:
    """The rows of one training step.

    Attributes:
        ids: the query of each row, shape [b]; a query may have several rows.
        interaction: the batch as RecBole made it, with as many rows.
    """

    ids: torch.Tensor
    interaction: Interaction


class Backbone:
    """A RecBole model as the terms read it. A family says what it can give and how a step's view is made.

    Args:
        model: the RecBole model.
        queries: who is asked for items; the model's users where None.

    Attributes:
        capabilities: what the model can give.
    """

    capabilities: Capability = FACTOR_MODEL

    def __init__(self, model: Any, queries: Queries | None = None) -> None:
        self.model = model
        self.queries = user_queries(model) if queries is None else queries

    @property
    def item_count(self) -> int:
        """Number of items, padding included."""
        return self.model.n_items

    @classmethod
    def adapt(cls, model: Any, queries: Queries | None = None) -> "Backbone | None":
        """An adapter, or None where this family cannot read the model; arguments as of the class."""
        backbone = cls(model, queries) if cls.matches(model) else None
        return backbone if backbone is not None and backbone.scores_match() else None

    @classmethod
    def matches(cls, model: Any) -> bool:
        """Whether the model looks like one of this family."""
        raise NotImplementedError

    def view(self, step: Step | None = None) -> AbstractContextManager[Any]:
        """The View of one step. Inside, the model's own loss and the terms share one propagation.

        Args:
            step: the rows of a training step; None to read any queries.
        """
        raise NotImplementedError

    @contextmanager
    def eval_view(self) -> Iterator[Any]:
        """The view in evaluation mode, without gradients. The model's mode is restored afterwards."""
        with eval_mode(self.model), self.view() as view:
            yield view

    def snapshot(self) -> FactorView:
        """A FactorView that holds all current factors, in evaluation mode and without gradients."""
        with self.eval_view() as view:
            ids = torch.arange(self.queries.size, device=self.model.device)
            queries = torch.cat([view.query_vectors(block) for block in ids.split(SNAPSHOT_ROWS)])
            return FactorView(queries, view.item_table.detach().clone())

    def score_all(self, queries: torch.Tensor) -> torch.Tensor:
        """The scores of all items by the model's ``full_sort_predict``: ids [n], result [n, m + 1]."""
        return self.score_interaction(self.queries.interaction(queries))

    def score_interaction(self, interaction: Interaction) -> torch.Tensor:
        """The scores of all items for each row of an interaction, shape [rows, m + 1]."""
        scores = self.model.full_sort_predict(interaction)
        return scores.reshape(len(interaction), -1).to(self.model.device)  # EASE computes on the CPU

    def scores_match(self) -> bool:
        """Whether the view's inner products are the scores of ``full_sort_predict``, tried on a few queries."""
        ids = sample_queries(self)
        try:
            with without_trace(self.model), self.eval_view() as view:
                expected, read = self.score_all(ids), view.score_all(ids)
        except NotImplementedError:  # ConvNCF: factors, and no full_sort_predict
            return False
        return agree(expected, read)


@contextmanager
def eval_mode(model: Any) -> Iterator[None]:
    """A model in evaluation mode, without gradients. Its mode is restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:  # a model's own train() may do more, as SGL's, which draws new graphs
            module.training = training


def sample_queries(backbone: Backbone, count: int = 8) -> torch.Tensor:
    """The first few queries of a backbone, without padding."""
    return torch.arange(1, min(backbone.queries.size, count + 1), device=backbone.model.device)


def agree(expected: torch.Tensor, read: torch.Tensor) -> bool:
    """Whether two tensors of scores are equal but for rounding."""
    tolerance = 1e-4 * float(expected.abs().max())
    return expected.shape == read.shape and torch.allclose(expected, read.to(expected.dtype), rtol=1e-3, atol=tolerance)


__all__ = ["CACHES", "Backbone", "FactorView", "Step", "View", "agree", "eval_mode", "sample_queries"]
