"""The vectors of a model's users and items, where their inner product is the score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.serving.scorers import ModelScorer, Queries, as_ids
from recbole_kd.serving.user_items import Sequences

TRIED = 8  # queries whose scores are compared
QUERY_ROWS = 2048  # sequences of one forward pass


@dataclass(frozen=True)
class Vectors:
    """Vectors whose inner product is the model's score.

    Attributes:
        users: shape [n + 1, d], a row for each user id; row 0 is padding.
        items: shape [m + 1, d], likewise.
        has_user: which users have a vector, bool, shape [n + 1]; a sequence model knows users by their sequence.
    """

    users: torch.Tensor
    items: torch.Tensor
    has_user: np.ndarray

    @property
    def width(self) -> int:
        """d, the number of coordinates."""
        return self.items.shape[1]

    @property
    def user_ids(self) -> np.ndarray:
        """The ids of the users that have a vector, ascending, int64."""
        return np.flatnonzero(self.has_user)


def factor_vectors(model: Any) -> Vectors | None:
    """The factors of a model of users, after propagation; None where its scores are no inner product."""
    backbone = backbone_of(model)
    if backbone is None or FACTORS not in backbone.capabilities:
        return None
    view = backbone.snapshot()
    has_user = np.ones(len(view.query_table), dtype=bool)
    has_user[0] = False
    return Vectors(view.query_table.detach(), view.item_table.detach(), has_user)


def sequence_encoder(model: Any, scorer: ModelScorer, sequences: Sequences) -> "SequenceEncoder | None":
    """The encoder of a sequence model; None where its scores are no inner product with an item table.

    The model's scores of a few sequences are compared with the product.
    """
    table = getattr(getattr(model, "item_embedding", None), "weight", None)
    if table is None or len(table) < model.n_items:
        return None
    users = np.flatnonzero(sequences.last >= 0)[:TRIED]
    queries = Queries(as_ids(users), *sequences.batch(users))
    encoder = SequenceEncoder(model, table.detach()[: model.n_items])
    try:
        scores = scorer.scores(queries)
        products = encoder.encode(queries) @ encoder.items.T
    except Exception:  # a forward pass with other arguments, or with another result
        return None
    close = scores.shape == products.shape and torch.allclose(
        scores, products, rtol=1e-3, atol=1e-4 * float(scores.abs().max())
    )
    return encoder if close else None


@dataclass(frozen=True)
class SequenceEncoder:
    """A sequence model whose score is the inner product of its output with an item table.

    Attributes:
        model: the RecBole model, in evaluation mode.
        items: the item table, shape [m + 1, d].
    """

    model: Any
    items: torch.Tensor

    def encode(self, queries: Queries) -> torch.Tensor:
        """The vectors of some sequences, shape [b, d]."""
        device = self.items.device
        assert queries.sequences is not None and queries.lengths is not None
        with torch.no_grad():
            return self.model.forward(queries.sequences.to(device), queries.lengths.to(device))

    def vectors(self, sequences: Sequences) -> Vectors:
        """The vectors of all users who have a sequence."""
        has_user = sequences.last >= 0
        users = torch.zeros(len(has_user), self.items.shape[1])
        for subset in np.array_split(np.flatnonzero(has_user), _blocks(int(has_user.sum()))):
            users[as_ids(subset)] = self.encode(Queries(as_ids(subset), *sequences.batch(subset))).cpu()
        return Vectors(users, self.items.cpu(), has_user)


def _blocks(n: int) -> int:
    return max(1, -(-n // QUERY_ROWS))
