"""What an export is held to: the model's own lists, ties aside, and its accuracy on validation."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from recbole_kd.serving.recommender import Recommender, rank
from recbole_kd.serving.scorers import Queries, VectorScorer, as_ids
from recbole_kd.serving.user_items import UserItems

TOLERANCE = 1e-4  # of a user's largest score: two scores that are nearer count as equal
NDCG_USERS = 10_000

Listing = Callable[[np.ndarray], np.ndarray]  # user ids [b] -> item ids [b, k]


@dataclass(frozen=True)
class Agreement:
    """How an export's lists compare with the model's own.

    Attributes:
        users: how many users were compared.
        k: length of the lists.
        same: how many users have the same list, ties aside.
        overlap: the mean share of the model's list that the export lists.
    """

    users: int
    k: int
    same: int
    overlap: float

    def as_dict(self) -> dict[str, float]:
        """The fields by name."""
        return asdict(self)


def sample(ids: np.ndarray, n: int) -> np.ndarray:
    """At most n of the ids, evenly spaced.

    >>> sample(np.arange(10), 3).tolist()
    [0, 4, 9]
    """
    return ids if len(ids) <= n else ids[np.linspace(0, len(ids) - 1, n).astype(np.int64)]


def compare_lists(
    recommender: Recommender, users: np.ndarray, k: int, listing: Listing, hidden: UserItems
) -> Agreement:
    """Compare an export's lists with the model's own scores of all items.

    A list is the same where the model's own scores of the listed items are its k best scores, up to a tolerance: then
    two lists differ in ties alone.

    Args:
        recommender: the model.
        users: user ids, at least one.
        k: length of the lists.
        listing: the export; -1 where it lists nothing.
        hidden: the items that are left out for each user id.
    """
    scorer, candidates = recommender.model_scorer, recommender.candidates()
    same, shared = 0, 0
    for first in range(0, len(users), scorer.rows):
        subset = users[first : first + scorer.rows]
        scores = np.concatenate(
            [block.cpu().numpy() for block in scorer.blocks(recommender.queries(subset), as_ids(candidates), k)], axis=1
        )
        rows, items = hidden.pairs(subset)
        scores[rows, items - 1] = -np.inf
        best = -np.sort(-scores, axis=1)[:, :k]
        listed = listing(subset)
        values = np.where(listed > 0, np.take_along_axis(scores, np.maximum(listed - 1, 0), axis=1), -np.inf)
        tolerance = TOLERANCE * np.abs(np.where(np.isfinite(scores), scores, 0)).max(axis=1, keepdims=True)
        distinct = np.array([len(set(row.tolist())) == len(row) for row in listed])
        same += int(((-np.sort(-values, axis=1) >= best - tolerance).all(axis=1) & distinct).sum())
        shared += int((values >= best[:, -1:] - tolerance).sum())
    return Agreement(len(users), k, same, shared / (len(users) * k))


def validation_ndcg(
    recommender: Recommender, users: np.ndarray, items: np.ndarray, user_ids: np.ndarray, k: int = 10
) -> float | None:
    """ndcg@k on the validation part, training items left out; None where nobody has a validation item.

    Args:
        recommender: the model, for its split.
        users, items: vectors, shapes [n, d] and [m, d], rows from 0.
        user_ids: the user id of each row of ``users``.
        k: length of the lists.
    """
    wanted = UserItems.of_datasets([recommender.loaders[1]._dataset], recommender.n_users, recommender.n_items)
    train = recommender.interactions("train")
    if recommender.is_sequential:  # its rows hold the training items as well
        wanted = without(wanted, train, recommender.n_items)
    rows = sample(np.flatnonzero(wanted.counts(user_ids) > 0), NDCG_USERS)
    if not len(rows):
        return None
    k = min(k, len(items))
    import torch

    scorer = VectorScorer(torch.from_numpy(users), torch.from_numpy(np.concatenate([items[:1] * 0, items])))
    hidden = train.take(user_ids)
    gains = [
        ndcg(ranked.items, wanted.take(user_ids[ranked.users]))
        for ranked in rank(scorer, _queries(rows, scorer.rows), k, np.arange(1, len(items) + 1), hidden)
    ]
    return float(np.concatenate(gains).mean())


def _queries(rows: np.ndarray, size: int) -> Iterator[Queries]:
    for first in range(0, len(rows), size):
        yield Queries(as_ids(rows[first : first + size]))


def without(rows: UserItems, removed: UserItems, n_items: int) -> UserItems:
    """The items of each user that are not among the removed ones."""
    n = len(rows.starts) - 1
    present, dropped = (
        np.repeat(np.arange(n), np.diff(subset.starts)) * n_items + subset.items for subset in (rows, removed)
    )
    pairs = np.setdiff1d(present, dropped)
    return UserItems.of_pairs(pairs // n_items, pairs % n_items, n, n_items)


def ndcg(listed: np.ndarray, wanted: UserItems) -> np.ndarray:
    r"""The normalised discounted cumulative gain of each list, shape [b].

    .. math:: \frac{\sum_{r} 1[i_r \in W] / \log_2(r + 1)}{\sum_{r \le \min(k, |W|)} 1 / \log_2(r + 1)}

    Args:
        listed: item ids, best first, shape [b, k].
        wanted: the wanted items W of each row, at least one.

    >>> ndcg(np.array([[4, 7]]), UserItems(np.array([0, 1]), np.array([4]))).tolist()
    [1.0]
    """
    b, k = listed.shape
    size = int(max(listed.max(), wanted.items.max())) + 1
    keys = np.repeat(np.arange(b), np.diff(wanted.starts)) * size + wanted.items
    hits = np.isin(np.arange(b)[:, None] * size + listed, keys)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(np.diff(wanted.starts), k) - 1]
    return (hits * discounts).sum(axis=1) / ideal
