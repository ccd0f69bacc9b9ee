"""What a term sees of a model: vectors of users and items whose inner product is the score."""

from contextlib import contextmanager

import torch
from recbole.data.interaction import Interaction
from torch.nn.functional import embedding

from recbole_kd.backbone.capabilities import FACTOR_MODEL, Capability
from recbole_kd.losses import at_least_float32
from recbole_kd.ops.pair_scores import pair_scores


class View:
    """User and item factors of one step, after propagation; gradients flow where the step allows them.

    Args:
        user_table: shape [n + 1, d], row 0 is padding.
        item_table: shape [m + 1, d], likewise.
    """

    def __init__(self, user_table, item_table):
        self.user_table, self.item_table = user_table, item_table

    @property
    def width(self):
        """d, the factors' width (for NGCF that of all its layers together)."""
        return self.item_table.shape[-1]

    def users(self, ids):
        """Factors of users, shape [..., d] for ids of shape [...]."""
        return embedding(ids, self.user_table)

    def items(self, ids):
        """Factors of items, likewise."""
        return embedding(ids, self.item_table)

    def score(self, users, items):
        """Scores (logits) of chosen pairs: users [n], items [n, c], result [n, c]."""
        return pair_scores(self.users(users), self.item_table, items)

    def score_items(self, items, users):
        """The same the other way round: items [n], users [n, c], result [n, c]."""
        return pair_scores(self.items(items), self.user_table, users)

    def score_all(self, users):
        """Scores of all items, padding included: users [n], result [n, m + 1], in float32 at least."""
        return _inner_products(self.users(users), self.item_table)

    def score_cross(self, users, items):
        """Scores of the same items for each user: users [n], items [c], result [n, c], likewise."""
        return _inner_products(self.users(users), self.items(items))


def _inner_products(users, items):
    with torch.autocast(users.device.type, enabled=False):
        return at_least_float32(users) @ at_least_float32(items).T


class Backbone:
    """A RecBole model as the terms read it. A family says what it can give and how a step's view is made.

    Attributes:
        capabilities: what the model can give.
        model: the RecBole model.
    """

    capabilities: Capability = FACTOR_MODEL

    def __init__(self, model):
        self.model = model

    @classmethod
    def adapt(cls, model):
        """An adapter, or None where this family cannot read the model."""
        backbone = cls(model) if cls.matches(model) else None
        return backbone if backbone is not None and backbone.scores_match() else None

    @classmethod
    def matches(cls, model):
        """Whether the model looks like one of this family."""
        raise NotImplementedError

    @contextmanager
    def view(self):
        """The view of one step. Inside, the model's own loss and the terms share one propagation."""
        raise NotImplementedError

    @contextmanager
    def eval_view(self):
        """The view in evaluation mode, without gradients, leaving the model's mode as it was."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad(), self.view() as view:
                yield view
        finally:
            self.model.train(training)

    def snapshot(self):
        """All factors as they are now, in evaluation mode and without gradients: a View that holds them."""
        with self.eval_view() as view:
            everyone = torch.arange(self.model.n_users, device=self.model.device)
            users = torch.cat([view.users(some) for some in everyone.split(2048)])
            return View(users, view.item_table.detach().clone())

    def score_all(self, users):
        """The model's own scores of all items for some users: ids [n], result [n, m + 1]."""
        scores = self.model.full_sort_predict(Interaction({self.model.USER_ID: users}))
        return scores.reshape(len(users), -1).to(self.model.device)  # EASE computes on the CPU

    def scores_match(self):
        """Whether the view's inner products are the model's own scores, tried on a few users."""
        users = torch.arange(1, min(self.model.n_users, 9), device=self.model.device)
        restored = {name: getattr(self.model, name, None) for name in ("restore_user_e", "restore_item_e")}
        try:
            with self.eval_view() as view:
                own, read = self.score_all(users), view.score_all(users)
        except NotImplementedError:  # ConvNCF: factors, and no full_sort_predict
            return False
        for name, value in restored.items():
            if hasattr(self.model, name):  # a cache that this call filled must not outlive it
                setattr(self.model, name, value)
        return own.shape == read.shape and torch.allclose(own, read, rtol=1e-3, atol=1e-4 * float(own.abs().max()))
