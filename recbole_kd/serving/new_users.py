"""New users: recommendations from a history, without training.

A model of factors gets user vectors by least squares. SimpleX aggregates the history, with the mean of its users'
vectors. Autoencoders and sequence models make their forward pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.interaction import Interaction
from torch.nn.functional import normalize

from recbole_kd.errors import KDError
from recbole_kd.serving.ranking import rows_per_block
from recbole_kd.serving.recommendations import check_k, frame_of, items_left
from recbole_kd.serving.recommender import ModelSource, Recommender, batches, open_recommender, rank
from recbole_kd.serving.scorers import Queries, Scorer, VectorScorer, as_ids, reads_user
from recbole_kd.serving.user_items import UserItems, pack_sequences
from recbole_kd.serving.vocabulary import Tokens, read_tokens

NUMBERS = 2_000_000  # in memory at once
REGULARISATION = 10.0
UNOBSERVED = 1.0

Histories = Mapping[str, Sequence[str]] | Tokens


@dataclass(frozen=True)
class NewUsers:
    """Users whom the model was not trained on.

    Attributes:
        names: their names, shape [n].
        histories: item ids of each, in the order of time.
    """

    names: list[str]
    histories: list[np.ndarray]

    def items(self, n_items: int) -> UserItems:
        """The distinct items of each user, by row."""
        rows = np.repeat(np.arange(len(self.names)), [len(items) for items in self.histories])
        return UserItems.of_pairs(rows, np.concatenate(self.histories), len(self.names), n_items)


def fold_in(
    model: ModelSource,
    histories: Histories,
    k: int = 10,
    *,
    allow: Tokens | None = None,
    deny: Tokens | None = None,
    exclude_history: bool = True,
    skip_unknown: bool = False,
    allow_short: bool = False,
    regularisation: float = REGULARISATION,
    unobserved: float = UNOBSERVED,
    progress: bool | None = None,
    data_path: str | None = None,
) -> pd.DataFrame:
    """The best items for new users, from the items they have; the model is not trained.

    Args:
        model, k, allow, deny, skip_unknown, allow_short, progress, data_path: as of ``recommend``.
        histories: item tokens in the order of time: of each new user by name, or of a single one, named ``new``.
        exclude_history: leave out the items of a user's history.
        regularisation, unobserved: of ``least_squares_users``.

    Returns:
        A table with the columns user, item, rank and score, as of ``recommend``.

    Raises:
        KDError: an unknown item, an empty history, a model that knows users by their id alone.
    """
    check_k(k)
    recommender = open_recommender(model, data_path)
    new = _new_users(recommender, histories, skip_unknown)
    candidates = recommender.candidates(allow, deny, skip_unknown)
    items = new.items(recommender.n_items)
    hidden = items if exclude_history else UserItems.empty(len(new.names))
    left = items_left(np.arange(len(new.names)), candidates, hidden, recommender.n_items)
    _check_left(k, new, left, allow_short)
    scorer = _scorer(recommender, new, items, regularisation, unobserved)
    return _ranked(recommender, scorer, new.names, min(k, len(candidates)), candidates, hidden, progress)


def _check_left(k: int, new: NewUsers, left: np.ndarray, allow_short: bool) -> None:
    """Refuse lists that are longer than what is left for a user. Raises KDError."""
    if left.min() < k and not allow_short:
        raise KDError(
            f"k={k} is larger than what is left: '{new.names[left.argmin()]}' has {left.min()} items left; take a "
            "smaller k, or --allow-short (allow_short=True)"
        )


def _ranked(
    recommender: Recommender,
    scorer: Scorer,
    names: list[str],
    k: int,
    candidates: np.ndarray,
    hidden: UserItems,
    progress: bool | None,
) -> pd.DataFrame:
    """The lists of all new users."""
    rows = batches(np.arange(len(names), dtype=np.int64), scorer.rows, "user", progress)
    ranking = rank(scorer, (Queries(as_ids(subset)) for subset in rows), k, candidates, hidden)
    tokens = np.array(names, dtype=object), recommender.items.tokens
    return pd.concat([frame_of(ranked, *tokens, ("user", "item")) for ranked in ranking], ignore_index=True)


def _new_users(recommender: Recommender, histories: Histories, skip_unknown: bool) -> NewUsers:
    given = histories if isinstance(histories, Mapping) else {"new": read_tokens(histories, "history")}
    if not given:
        raise KDError("histories is empty: give the item tokens of a new user")
    ids = {str(name): recommender.items.ids(items, skip_unknown) for name, items in given.items()}
    for name, items in ids.items():
        if not len(items):
            raise KDError(f"the history of '{name}' holds no known item: a new user needs one at least")
    return NewUsers(list(ids), list(ids.values()))


def _scorer(
    recommender: Recommender, new: NewUsers, items: UserItems, regularisation: float, unobserved: float
) -> Scorer:
    """Where the scores of the new users come from; a query's user is a row. Raises KDError."""
    model, name = recommender.model, recommender.name
    if recommender.is_sequential:
        if reads_user(model):
            raise KDError(f"{name} ranks by a user's id beside the sequence, and a new user has none: train it again")
        return _SequenceScorer(recommender, new)
    if hasattr(model, "get_rating_matrix") and not hasattr(model, "h_user"):
        return _RatingScorer(recommender, items)
    vectors = recommender.vectors()
    if vectors is None:
        raise KDError(
            f"{name} knows users by their id and has no item vectors to fit a new one to: train it again, or take a "
            "model of factors, an autoencoder or a sequence model"
        )
    if hasattr(model, "get_UI_aggregation"):
        return VectorScorer(_aggregated(model, items), vectors.items)
    return VectorScorer(least_squares_users(vectors.items, items, regularisation, unobserved), vectors.items)


def least_squares_users(
    item_vectors: torch.Tensor,
    histories: UserItems,
    regularisation: float = REGULARISATION,
    unobserved: float = UNOBSERVED,
) -> torch.Tensor:
    r"""User vectors that fit histories best, the item vectors as they are.

    Each minimises, for the items H of its history and all m items,

    .. math:: \frac{1}{|H|} \sum_{i \in H} (1 - u^\top v_i)^2
        + \frac{\alpha}{m} \sum_{j=1}^{m} (u^\top v_j)^2 + \lambda s \lVert u \rVert^2

    in closed form. s, the mean square of the item vectors' coordinates, makes the lists independent of their scale. The
    second term is that of implicit feedback: what is not in the history should score low.

    Args:
        item_vectors: shape [m + 1, d], row 0 is padding and is not looked at.
        histories: item ids of each user, at least one.
        regularisation: :math:`\lambda` > 0.
        unobserved: :math:`\alpha` >= 0.

    Returns:
        float32, shape [n, d].

    Raises:
        KDError: a weight out of range.
    """
    _check_weights(regularisation, unobserved)
    table = item_vectors.detach().double().cpu().clone()
    table[0] = 0
    m, d = len(table) - 1, table.shape[1]
    gram = table.T @ table / max(m, 1)
    shared = unobserved * gram + (regularisation * gram.trace() / d + 1e-12) * torch.eye(d, dtype=torch.float64)
    counts = np.diff(histories.starts)
    users = torch.zeros(len(counts), d, dtype=torch.float64)
    for rows in _similar_lengths(counts, d):
        users[as_ids(rows)] = _solve(table[_padded(histories, rows)], torch.from_numpy(counts[rows]), shared)
    return users.float()


def _solve(vectors: torch.Tensor, counts: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    """The users' vectors from those of their items, [b, L, d], and the matrix that all users share, [d, d]."""
    size = counts.double()[:, None]
    left = vectors.transpose(1, 2) @ vectors / size[:, :, None] + shared
    return torch.linalg.solve(left, vectors.sum(dim=1) / size)


def _check_weights(regularisation: float, unobserved: float) -> None:
    if not regularisation > 0 or not unobserved >= 0:
        raise KDError(
            f"regularisation={regularisation} and unobserved={unobserved} are out of range: they take numbers in "
            "(0, inf) and [0, inf)"
        )


def _similar_lengths(counts: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Rows in blocks of similar length, each of NUMBERS numbers at most where there is more than one row."""
    order = np.argsort(-counts, kind="stable")
    first = 0
    while first < len(order):
        step = max(1, NUMBERS // (width * (int(counts[order[first]]) + width)))
        yield order[first : first + step]
        first += step


def _padded(histories: UserItems, rows: np.ndarray) -> torch.Tensor:
    """The items of some rows, zeros at the end, int64, shape [b, L]."""
    counts = histories.counts(rows)
    row, items = histories.pairs(rows)
    padded = np.zeros((len(rows), max(1, int(counts.max()))), dtype=np.int64)
    padded[row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = items
    return torch.from_numpy(padded)


def _aggregated(model: Any, histories: UserItems) -> torch.Tensor:
    """SimpleX's user vectors: the aggregation of the history and the mean of its users' own vectors."""
    mean = model.user_emb.weight[1:].mean(dim=0)
    counts = np.diff(histories.starts)
    users = torch.zeros(len(counts), len(mean), device=mean.device)
    with torch.no_grad():
        for rows in _similar_lengths(counts, len(mean)):
            items = _padded(histories, rows).to(mean.device)
            lengths = torch.from_numpy(counts[rows]).to(mean.device)
            vectors = model.get_UI_aggregation(mean.expand(len(rows), -1), model.item_emb(items), lengths)
            users[as_ids(rows).to(mean.device)] = normalize(vectors, dim=1)
    return users


class _SequenceScorer:
    """A sequence model's scores for given sequences."""

    def __init__(self, recommender: Recommender, new: NewUsers) -> None:
        self.scorer, self.new = recommender.model_scorer, new
        self.length = int(recommender.config["MAX_ITEM_LIST_LENGTH"])
        self.rows = self.scorer.rows

    def blocks(self, queries: Queries, items: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
        sequences = pack_sequences([self.new.histories[row] for row in queries.users.tolist()], self.length)
        return self.scorer.blocks(Queries(torch.zeros_like(queries.users), *sequences), items, k)


class _RatingScorer:
    """An autoencoder's scores for given rows of ratings."""

    def __init__(self, recommender: Recommender, histories: UserItems) -> None:
        self.model, self.histories = recommender.model, histories
        self.rows = rows_per_block(recommender.n_items)

    def blocks(self, queries: Queries, items: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
        rows, columns = self.histories.pairs(queries.users.numpy())
        ratings = torch.zeros(len(queries.users), self.model.n_items, device=self.model.device)
        ratings[torch.from_numpy(rows).to(ratings.device), torch.from_numpy(columns).to(ratings.device)] = 1
        self.model.get_rating_matrix = lambda users: ratings  # on the instance, in front of the class's method
        try:
            with torch.no_grad():
                padding = torch.zeros_like(queries.users).to(self.model.device)
                scores = self.model.full_sort_predict(Interaction({self.model.USER_ID: padding}))
        finally:
            del self.model.get_rating_matrix
        yield scores.reshape(len(ratings), -1)[:, items.to(scores.device)]
