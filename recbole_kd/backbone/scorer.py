"""Models that score, but have no factors to read: teachers only. EASE, ItemKNN, MultiVAE; NeuMF, pair by pair."""

from contextlib import contextmanager

import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import SCORER

PAIRS_AT_ONCE = 1_000_000  # scored at once


class ScorerBackbone(Backbone):
    """Whatever has ``full_sort_predict``.

    Attributes:
        sigmoid: whether the model's scores end in a sigmoid: they are read before it, as logits.
    """

    capabilities = SCORER
    by_pairs = False  # whether a few items cost less than all

    def __init__(self, model):
        super().__init__(model)
        self.sigmoid = self._ends_in_sigmoid()

    @classmethod
    def matches(cls, model):
        users = torch.arange(1, min(model.n_users, 3), device=model.device)
        try:
            with _eval_mode(model):
                scores = cls(model).score_all(users)
        except (NotImplementedError, RuntimeError):  # RuntimeError: ConvNCF of a width that its kernels do not fit
            return False
        return scores.shape == (len(users), model.n_items)

    def score_all(self, users):
        scores = super().score_all(users)
        return scores.logit(eps=torch.finfo(scores.dtype).eps) if self.sigmoid else scores

    def score_pairs(self, users, items):
        """Scores of chosen items: users [n], items [n, c], result [n, c]."""
        return torch.gather(self.score_all(users), 1, items)

    def _own(self, users, items):
        """The model's own scores of pairs of ids."""
        return super().score_all(users)[torch.arange(len(users)), items]

    def _ends_in_sigmoid(self):
        """Whether the model's own scores are the sigmoid of what ``forward`` gives, tried on a few pairs."""
        if isinstance(getattr(self.model, "o_act", None), torch.nn.Sigmoid):  # CDAE, whose forward() takes no pairs
            return True
        ids = torch.arange(1, min(self.model.n_users, self.model.n_items, 9), device=self.model.device)
        try:
            with _eval_mode(self.model):
                return torch.allclose(self.model.forward(ids, ids).sigmoid(), self._own(ids, ids), atol=1e-6)
        except Exception:  # a forward() that takes something else, scores that are not to be had
            return False

    def scores_match(self):
        return True

    @contextmanager
    def view(self):
        raise TypeError(f"{type(self.model).__name__} has no factors to view")
        yield


class PairBackbone(ScorerBackbone):
    """Whatever has ``predict`` for pairs only, as NeuMF: each user is paired with every item, in blocks."""

    by_pairs = True

    def score_all(self, users):
        items = torch.arange(self.model.n_items, device=users.device)
        return self.score_pairs(users, items.expand(len(users), -1))

    def score_pairs(self, users, items):
        found = []
        with _eval_mode(self.model):
            for rows in torch.arange(len(users), device=users.device).split(max(1, PAIRS_AT_ONCE // items.shape[1])):
                pairs = users[rows].repeat_interleave(items.shape[1]), items[rows].flatten()
                found.append(self.model.forward(*pairs) if self.sigmoid else self._own(*pairs))
        return torch.cat(found).reshape(items.shape)

    def _own(self, users, items):
        return self.model.predict(Interaction({self.model.USER_ID: users, self.model.ITEM_ID: items}))


@contextmanager
def _eval_mode(model):
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
