"""Similar items: the nearest vectors by their cosine."""

import numpy as np
import pandas as pd
from torch.nn.functional import normalize

from recbole_kd.errors import KDError
from recbole_kd.serving.recommendations import check_k, frame_of, items_left
from recbole_kd.serving.recommender import ModelSource, Recommender, batches, open_recommender, rank
from recbole_kd.serving.scorers import Queries, VectorScorer, as_ids
from recbole_kd.serving.user_items import UserItems
from recbole_kd.serving.vectors import Vectors
from recbole_kd.serving.vocabulary import Tokens, read_tokens


def similar_items(
    model: ModelSource,
    items: Tokens | None = None,
    k: int = 10,
    *,
    allow: Tokens | None = None,
    deny: Tokens | None = None,
    skip_unknown: bool = False,
    progress: bool | None = None,
    data_path: str | None = None,
) -> pd.DataFrame:
    """The items whose vectors have the largest cosine with those of some items.

    Args:
        model, data_path: as of ``recommend``.
        items: tokens, or a file with a token on each line; None for all items.
        k: similar items for each item.
        allow, deny, skip_unknown, progress: as of Request.

    Returns:
        A table with the columns item, similar, rank (from 1) and score, best first.

    Raises:
        KDError: an unknown token, a ``k`` larger than what is left, a model without item vectors.
    """
    check_k(k)
    recommender = open_recommender(model, data_path)
    vectors = _vectors(recommender)
    every = np.arange(1, recommender.n_items, dtype=np.int64)
    ids = every if items is None else recommender.items.ids(read_tokens(items, "items"), skip_unknown)
    candidates = recommender.candidates(allow, deny, skip_unknown)
    itself = UserItems.of_pairs(every, every, recommender.n_items, recommender.n_items)
    _check_left(k, items_left(ids, candidates, itself, recommender.n_items))
    units = normalize(vectors.items.float(), dim=1)
    scorer = VectorScorer(units, units)
    queries = (Queries(as_ids(subset)) for subset in batches(ids, scorer.rows, "item", progress))
    tokens = recommender.items.tokens
    ranking = rank(scorer, queries, k, candidates, itself)
    return pd.concat([frame_of(ranked, tokens, tokens, ("item", "similar")) for ranked in ranking], ignore_index=True)


def _vectors(recommender: Recommender) -> Vectors:
    """The model's vectors. Raises KDError where it has none."""
    vectors = recommender.vectors()
    if vectors is None:
        raise KDError(
            f"{recommender.name} has no item vectors whose inner product with a user's is its score, so it has no "
            "similar items: models such as BPR, LightGCN, SimpleX and SASRec have"
        )
    return vectors


def _check_left(k: int, left: np.ndarray) -> None:
    """Refuse lists that are longer than what is left for an item, and a list of no items. Raises KDError."""
    if not len(left):
        raise KDError("items is empty: none of the tokens is known")
    if left.min() < k:
        raise KDError(
            f"k={k} is larger than what is left: an item has {left.min()} others that may be listed; take "
            f"k={left.min()}"
        )
