"""Models that rank all items but have no factors to read: teachers only."""

from contextlib import contextmanager

import torch

from recbole_kd.backbone.base import Backbone


class ScorerBackbone(Backbone):
    """Whatever has ``full_sort_predict``: EASE, ItemKNN, MultiVAE, …"""

    offers = "scores"

    @classmethod
    def reads(cls, model):
        users = torch.arange(1, min(model.n_users, 3), device=model.device)
        try:
            with torch.no_grad():
                training = model.training
                scores = cls(model.eval()).score_block(users)
                model.train(training)
        except NotImplementedError:
            return False
        return scores.shape == (len(users), model.n_items)

    def agrees(self):
        return True

    @contextmanager
    def step(self):
        raise TypeError(f"{type(self.model).__name__} has no factors to view")
        yield
