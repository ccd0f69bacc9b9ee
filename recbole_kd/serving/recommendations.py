"""Recommendations of a trained model: tokens in, tokens and scores out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbole_kd.errors import KDError
from recbole_kd.serving.output import check_output, open_table
from recbole_kd.serving.recommender import EXCLUDE, ModelSource, Ranked, Recommender, batches, open_recommender, rank
from recbole_kd.serving.user_items import UserItems
from recbole_kd.serving.vocabulary import Tokens, read_tokens


@dataclass(frozen=True)
class Request:
    """What may be recommended, and how much of it.

    Attributes:
        k: items for each user.
        exclude: which of a user's items are left out: ``seen`` (training and validation), ``all`` (test as well) or
            ``none``. A sequence model ranks by the sequence up to the validation part, with ``all`` by the full one.
        allow: the only items that may be recommended: tokens, or a file with a token on each line; None for all.
        deny: items that may not be recommended; likewise.
        skip_unknown: leave out unknown tokens; they are refused otherwise.
        allow_short: give fewer than k items to a user who has fewer left; refused otherwise.
        progress: whether a progress bar is shown; None: on a terminal only.

    Raises:
        KDError: ``k`` or ``exclude`` is out of range.
    """

    k: int = 10
    exclude: str = "seen"
    allow: Tokens | None = None
    deny: Tokens | None = None
    skip_unknown: bool = False
    allow_short: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.exclude not in EXCLUDE:
            raise KDError(f"exclude='{self.exclude}' is unknown: it takes one of {', '.join(EXCLUDE)}")


def check_k(k: int) -> None:
    """Refuse a length of lists that is not a positive integer. Raises KDError."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise KDError(f"k={k!r} is out of range: it takes an int in [1, inf)")


def recommend(
    model: ModelSource,
    users: Tokens | None = None,
    k: int = 10,
    *,
    exclude: str = "seen",
    allow: Tokens | None = None,
    deny: Tokens | None = None,
    skip_unknown: bool = False,
    allow_short: bool = False,
    progress: bool | None = None,
    data_path: str | None = None,
) -> pd.DataFrame:
    """The best items for some users.

    Args:
        model: a RecBole checkpoint, or a Recommender, which keeps the model between calls.
        users: tokens, or a file with a token on each line; None for all users.
        k, exclude, allow, deny, skip_unknown, allow_short, progress: as of Request.
        data_path: the folder that holds the dataset's folder, where it is no longer where it was at the training.

    Returns:
        A table with the columns user, item, rank (from 1) and score, k rows for each user, best first. The result is
        in memory: ``recommend_to_file`` is for many users.

    Raises:
        KDError: an unknown token, a ``k`` larger than what is left, a checkpoint that cannot be read.
    """
    request = Request(k, exclude, allow, deny, skip_unknown, allow_short, progress)
    recommender = open_recommender(model, data_path)
    frames = [to_frame(recommender, ranked) for ranked in ranked_users(recommender, users, request)]
    return pd.concat(frames, ignore_index=True) if frames else _empty_frame()


def recommend_to_file(
    model: ModelSource,
    output: str | os.PathLike[str],
    users: Tokens | None = None,
    request: Request | None = None,
    *,
    overwrite: bool = False,
    data_path: str | None = None,
) -> int:
    """Write the best items for some users to a file, batch by batch.

    Args:
        model, users, data_path: as of ``recommend``.
        output: a file with the suffix .csv, .tsv or .parquet; it is complete, or it does not exist.
        request: what may be recommended; the default Request where None.
        overwrite: replace an existing file.

    Returns:
        The number of rows.

    Raises:
        KDError: as of ``recommend``; the file exists, its suffix is unknown, or pyarrow is missing.
    """
    check_output(output, overwrite)
    recommender = open_recommender(model, data_path)
    rows = 0
    ranking = ranked_users(recommender, users, request or Request())
    with open_table(output, overwrite) as write:
        for ranked in ranking:
            frame = to_frame(recommender, ranked)
            write(frame)
            rows += len(frame)
    return rows


def ranked_users(recommender: Recommender, users: Tokens | None, request: Request) -> Iterator[Ranked]:
    """The best items for some users, as ids, batch by batch; what can be refused is refused at the call.

    Args:
        recommender: the model.
        users: tokens, or None for all users.
        request: what may be recommended.

    Raises:
        KDError: as of ``recommend``.
    """
    ids = _user_ids(recommender, users, request)
    candidates = recommender.candidates(request.allow, request.deny, request.skip_unknown)
    hidden = recommender.interactions(request.exclude)
    k = _check_left(recommender, ids, candidates, hidden, request)
    scorer = recommender.scorer()
    mode = "all" if request.exclude == "all" else "seen"
    queries = (recommender.queries(subset, mode) for subset in batches(ids, scorer.rows, "user", request.progress))
    return rank(scorer, queries, k, candidates, hidden)


def _user_ids(recommender: Recommender, users: Tokens | None, request: Request) -> np.ndarray:
    """The ids of the users that are asked for; of a sequence model of those with a sequence."""
    if users is None:
        every = np.arange(1, recommender.n_users, dtype=np.int64)
        ids = every if recommender.is_sequential else recommender.trained_ids("users")
    else:
        ids = _trained(recommender, recommender.users.ids(read_tokens(users, "users"), request.skip_unknown), request)
    if recommender.is_sequential:
        has_sequence = recommender.sequences("all" if request.exclude == "all" else "seen").has(ids)
        if users is not None and not has_sequence.all() and not request.skip_unknown:
            token = recommender.users.tokens[ids[~has_sequence][0]]
            raise KDError(
                f"user '{token}' has fewer than two interactions, so {recommender.name} has no sequence to rank by: "
                "give the items with --history (fold_in), or leave the user out with --skip-unknown"
            )
        ids = ids[has_sequence]
    return ids


def _trained(recommender: Recommender, ids: np.ndarray, request: Request) -> np.ndarray:
    """The users that the model was trained on; a sequence model knows users by their sequence. Raises KDError."""
    trained = np.isin(ids, recommender.trained_ids("users"))
    if recommender.is_sequential or trained.all():
        return ids
    if not request.skip_unknown:
        raise KDError(
            f"user '{recommender.users.tokens[ids[~trained][0]]}' came after the training of {recommender.name}: give "
            "the items with --history (fold_in), train again with --init_from, or leave the user out with "
            "--skip-unknown"
        )
    return ids[trained]


def _check_left(
    recommender: Recommender, ids: np.ndarray, candidates: np.ndarray, hidden: UserItems, request: Request
) -> int:
    """The length of the lists; refuses one that is larger than what is left for a user. Raises KDError."""
    left = items_left(ids, candidates, hidden, recommender.n_items)
    short = np.flatnonzero(left < request.k)
    if len(short) and not request.allow_short:
        worst = short[left[short].argmin()]
        raise KDError(
            f"k={request.k} is larger than what is left: user '{recommender.users.tokens[ids[worst]]}' has "
            f"{left[worst]} items left of {len(candidates)} after exclude={request.exclude} ({len(short)} of "
            f"{len(ids)} users have too few); take a smaller k, exclude=none, or --allow-short (allow_short=True)"
        )
    return min(request.k, len(candidates))


def items_left(ids: np.ndarray, candidates: np.ndarray, hidden: UserItems, n_items: int) -> np.ndarray:
    """How many candidates are left for each user, int64, shape [b].

    Args:
        ids: user ids.
        candidates: item ids that may be recommended.
        hidden: the items that are left out for each user id.
        n_items: the number of item ids, padding included.
    """
    is_candidate = np.zeros(n_items, dtype=np.int64)
    is_candidate[candidates] = 1
    before = np.concatenate([[0], np.cumsum(is_candidate[hidden.items])])
    return len(candidates) - (before[hidden.starts[ids + 1]] - before[hidden.starts[ids]])


def to_frame(recommender: Recommender, ranked: Ranked) -> pd.DataFrame:
    """A batch as a table with the columns user, item, rank and score."""
    return frame_of(ranked, recommender.users.tokens, recommender.items.tokens, ("user", "item"))


def frame_of(ranked: Ranked, rows: np.ndarray, columns: np.ndarray, names: tuple[str, str]) -> pd.DataFrame:
    """A batch as a table.

    Args:
        ranked: the batch.
        rows, columns: tokens by id.
        names: of the first two columns; rank and score follow.
    """
    b, k = ranked.items.shape
    frame = pd.DataFrame(
        {
            names[0]: np.repeat(rows[ranked.users], k),
            names[1]: columns[ranked.items.reshape(-1)],
            "rank": np.tile(np.arange(1, k + 1), b),
            "score": ranked.scores.reshape(-1),
        }
    )
    left = ranked.scores.reshape(-1) > -np.inf
    return frame if left.all() else frame[left].reset_index(drop=True)


def _empty_frame() -> pd.DataFrame:
    return pd.DataFrame({"user": [], "item": [], "rank": [], "score": []})
