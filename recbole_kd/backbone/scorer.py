"""Models with scores but without factors, which can only teach: EASE, ItemKNN, MultiVAE; NeuMF, pair by pair."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_kd.backbone.base import Backbone, View
from recbole_kd.backbone.capabilities import SCORER

PAIRS_AT_ONCE = 1_000_000


class ScorerBackbone(Backbone):
    """A model with ``full_sort_predict``.

    Attributes:
        sigmoid: whether the model's scores end in a sigmoid; they are then read before it, as logits.
        by_pairs: whether scoring a few items costs less than scoring all.
    """

    capabilities = SCORER
    by_pairs: bool = False

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.sigmoid = self._ends_in_sigmoid()

    @classmethod
    def matches(cls, model: Any) -> bool:
        users = torch.arange(1, min(model.n_users, 3), device=model.device)
        try:
            with _eval_mode(model):
                scores = cls(model).score_all(users)
        except (NotImplementedError, RuntimeError):  # RuntimeError: ConvNCF of a width that its kernels do not fit
            return False
        return scores.shape == (len(users), model.n_items)

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        scores = super().score_all(users)
        return scores.logit(eps=torch.finfo(scores.dtype).eps) if self.sigmoid else scores

    def score_pairs(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Scores of chosen items: users [n], items [n, c], result [n, c]."""
        return torch.gather(self.score_all(users), 1, items)

    def _raw_scores(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The model's scores of pairs of ids, after its sigmoid if it has one."""
        return super().score_all(users)[torch.arange(len(users)), items]

    def _ends_in_sigmoid(self) -> bool:
        """Whether the model's scores are the sigmoid of what ``forward`` returns, tried on a few pairs."""
        if isinstance(getattr(self.model, "o_act", None), torch.nn.Sigmoid):  # CDAE, whose forward() takes no pairs
            return True
        ids = torch.arange(1, min(self.model.n_users, self.model.n_items, 9), device=self.model.device)
        try:
            with _eval_mode(self.model):
                return torch.allclose(self.model.forward(ids, ids).sigmoid(), self._raw_scores(ids, ids), atol=1e-6)
        except Exception:  # forward() takes other arguments, or the model cannot score
            return False

    def scores_match(self) -> bool:
        return True

    @contextmanager
    def view(self) -> Iterator[View]:
        raise TypeError(f"{type(self.model).__name__} has no factors to view")
        yield


class PairBackbone(ScorerBackbone):
    """A model with ``predict`` for pairs only, such as NeuMF: each user is paired with every item, in blocks."""

    by_pairs = True

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        items = torch.arange(self.model.n_items, device=users.device)
        return self.score_pairs(users, items.expand(len(users), -1))

    def score_pairs(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        scores = []
        with _eval_mode(self.model):
            for rows in torch.arange(len(users), device=users.device).split(max(1, PAIRS_AT_ONCE // items.shape[1])):
                pairs = users[rows].repeat_interleave(items.shape[1]), items[rows].flatten()
                scores.append(self.model.forward(*pairs) if self.sigmoid else self._raw_scores(*pairs))
        return torch.cat(scores).reshape(items.shape)

    def _raw_scores(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return self.model.predict(Interaction({self.model.USER_ID: users, self.model.ITEM_ID: items}))


@contextmanager
def _eval_mode(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
