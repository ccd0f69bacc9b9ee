"""What a term reads of a model: vectors of users and items whose inner product is the score."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch.nn.functional import embedding

from recbole_kd.backbone.capabilities import FACTOR_MODEL, Capability
from recbole_kd.losses import at_least_float32
from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.pair_scores import pair_scores

SNAPSHOT_ROWS = 2048  # users whose vectors are made at once


class View:
    """User and item factors of one step, after propagation; gradients flow where the step allows them.

    Args:
        user_table: shape [n + 1, d], row 0 is padding.
        item_table: shape [m + 1, d], row 0 is padding.
    """

    user_table: Any
    item_table: Any

    def __init__(self, user_table: torch.Tensor | None, item_table: torch.Tensor) -> None:
        self.user_table, self.item_table = user_table, item_table

    @property
    def width(self) -> int:
        """d, the factors' width; for NGCF that of all its layers together."""
        return self.item_table.shape[-1]

    def users(self, ids: torch.Tensor) -> torch.Tensor:
        """Factors of users, shape [..., d] for ids of shape [...]."""
        return embedding(ids, self.user_table)

    def items(self, ids: torch.Tensor) -> torch.Tensor:
        """Factors of items, shape [..., d] for ids of shape [...]."""
        return embedding(ids, self.item_table)

    def score(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Scores (logits) of chosen pairs: users [n], items [n, c], result [n, c]."""
        return pair_scores(self.users(users), self.item_table, items)

    def score_items(self, items: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
        """Scores of chosen users for each item: items [n], users [n, c], result [n, c]."""
        return pair_scores(self.items(items), self.user_table, users)

    def score_in_blocks(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """``score`` of many pairs without gradient, in blocks: vectors take more memory than scores.

        Args:
            users: shape [n].
            items: shape [n, c].

        Returns:
            shape [n, c].
        """
        scores = torch.empty(items.shape, device=items.device)  # made first: small results would pin large leftovers
        for rows in row_blocks(len(users), items.shape[1] * self.width, "cpu"):
            scores[rows] = self.score(users[rows], items[rows])
        return scores

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """Scores of all items, padding included: users [n], result [n, m + 1], in float32 at least."""
        return _inner_products(self.users(users), self.item_table)

    def score_cross(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Scores of the same items for each user: users [n], items [c], result [n, c], in float32 at least."""
        return _inner_products(self.users(users), self.items(items))


def _inner_products(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    with torch.autocast(users.device.type, enabled=False):
        return at_least_float32(users) @ at_least_float32(items).T


class Backbone:
    """A RecBole model as the terms read it. A family says what it can give and how a step's view is made.

    Args:
        model: the RecBole model.

    Attributes:
        capabilities: what the model can give.
    """

    capabilities: Capability = FACTOR_MODEL

    def __init__(self, model: Any) -> None:
        self.model = model

    @classmethod
    def adapt(cls, model: Any) -> "Backbone | None":
        """An adapter, or None where this family cannot read the model."""
        backbone = cls(model) if cls.matches(model) else None
        return backbone if backbone is not None and backbone.scores_match() else None

    @classmethod
    def matches(cls, model: Any) -> bool:
        """Whether the model looks like one of this family."""
        raise NotImplementedError

    def view(self) -> AbstractContextManager[View]:
        """The view of one step. Inside, the model's own loss and the terms share one propagation."""
        raise NotImplementedError

    @contextmanager
    def eval_view(self) -> Iterator[View]:
        """The view in evaluation mode, without gradients. The model's mode is restored afterwards."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), self.view() as view:
                yield view
        finally:
            self.model.train(training)

    def snapshot(self) -> View:
        """A View that holds all current factors, in evaluation mode and without gradients."""
        with self.eval_view() as view:
            ids = torch.arange(self.model.n_users, device=self.model.device)
            users = torch.cat([view.users(block) for block in ids.split(SNAPSHOT_ROWS)])
            return View(users, view.item_table.detach().clone())

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """The scores of all items by the model's ``full_sort_predict``: ids [n], result [n, m + 1]."""
        scores = self.model.full_sort_predict(Interaction({self.model.USER_ID: users}))
        return scores.reshape(len(users), -1).to(self.model.device)  # EASE computes on the CPU

    def scores_match(self) -> bool:
        """Whether the view's inner products are the scores of ``full_sort_predict``, tried on a few users."""
        users = torch.arange(1, min(self.model.n_users, 9), device=self.model.device)
        restored = {name: getattr(self.model, name, None) for name in ("restore_user_e", "restore_item_e")}
        try:
            with self.eval_view() as view:
                expected, read = self.score_all(users), view.score_all(users)
        except NotImplementedError:  # ConvNCF: factors, and no full_sort_predict
            return False
        for name, value in restored.items():
            if hasattr(self.model, name):  # a cache that this call filled must not outlive it
                setattr(self.model, name, value)
        tolerance = 1e-4 * float(expected.abs().max())
        return expected.shape == read.shape and torch.allclose(expected, read, rtol=1e-3, atol=tolerance)
