"""A teacher that is a file: what any system says of users and items, by their tokens."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from recbole_kd.errors import KDError
from recbole_kd.knowledge.base import TRAJECTORY_K, BaseKnowledge
from recbole_kd.ops.top_lists import TopList

THIRD_COLUMNS = ("score", "rank")  # of the third column: the higher the better, the lower the better


class FileKnowledge(BaseKnowledge):
    """The lists in a file; of a user's items those seen in training stand apart, as everywhere.

    Args:
        frame: columns ``user`` and ``item`` (ids) and ``score``, as ``read_scores`` gives them.
        n_users, n_items, positives, device: as of Lists.
        file: its name, for the sentence.

    Raises:
        KDError: of ``top_items`` with more items than the file has unseen ones for some user.
    """

    width = None

    def __init__(self, frame, n_users, n_items, positives, device, file):
        super().__init__(n_users, n_items, positives, device)
        self.file = file
        frame = frame.sort_values(["user", "score", "item"], ascending=[True, False, True], kind="stable")
        users, items = (torch.from_numpy(frame[side].to_numpy(np.int64)).to(device) for side in ("user", "item"))
        scores = torch.from_numpy(frame["score"].to_numpy(np.float32)).to(device)
        known = self.positive_users * n_items + self.positive_items
        pairs = users * n_items + items
        place = torch.searchsorted(known, pairs).clamp_(max=len(known) - 1)
        seen = known[place] == pairs
        self._seen, self._unseen = ((users[part], items[part], scores[part]) for part in (seen, ~seen))

    def top_items(self, k, seen=False):
        if seen:
            raise KDError(
                f"'{self.file}' ranks what users have not seen; this method wants what they have seen among it"
            )
        k = self._clip(k, self.n_items - 1)
        ids, scores = self._listed(*self._unseen, k)
        length = (ids > 0).sum(1)
        short = (length < self._free().clamp(max=k)).nonzero().flatten()
        short = short[short > 0]
        if len(short):
            raise KDError(
                f"'{self.file}' holds fewer than {k} items that are new to them for {len(short):,} of "
                f"{self.n_users - 1:,} users: write longer lists, or ask for shorter ones"
            )
        return TopList(ids, scores, length)

    def top_seen(self, k):
        """Training items in the file's order, then those that are not in it, by their ids."""
        known = self.positive_users, self.positive_items
        users, items = (torch.cat(pair) for pair in zip(self._seen[:2], known, strict=True))
        scores = -torch.arange(len(users), dtype=torch.float64, device=self.device)
        pairs = (users * self.n_items + items).cpu().numpy()
        places = np.sort(np.unique(pairs, return_index=True)[1])
        first = torch.from_numpy(places).to(self.device)
        order = torch.argsort(users[first], stable=True)
        first = first[order]
        return self._listed(users[first], items[first], scores[first], self._clip(k, self.n_items - 1))[0]

    @property
    def max_list_length(self):
        whole = self._counts() >= self._free()  # of these users there is nothing that the file has not
        return max(1, int(torch.where(whole, self.n_items - 1, self._counts())[1:].min()))

    def trajectories(self, states, k):
        return [self.top_items(max(k, min(TRAJECTORY_K, self.max_list_length))).ids[None]]

    def _free(self):
        """How many items each user has not seen."""
        return self.n_items - 1 - (self._starts[1:] - self._starts[:-1])

    def _counts(self):
        """How many of them the file has."""
        return torch.bincount(self._unseen[0], minlength=self.n_users)

    def _listed(self, users, items, scores, k):
        """The first k of each user, from triples sorted by user."""
        starts = torch.searchsorted(users, torch.arange(self.n_users, device=self.device))
        rank = torch.arange(len(users), device=self.device) - starts[users]
        kept = rank < k
        ids = torch.zeros(self.n_users, k, dtype=torch.int32, device=self.device)
        best = torch.full((self.n_users, k), -torch.inf, device=self.device)
        ids[users[kept], rank[kept]] = items[kept].int()
        best[users[kept], rank[kept]] = scores[kept].float()
        return ids, best


def read_scores(path, tokens):
    """A file of tokens and scores as ids.

    Args:
        path: .tsv with a header of three columns, the third of them ``score`` or ``rank`` (RecBole's types behind a
            colon may stand there), or .npz with arrays ``user``, ``item`` and ``score`` or ``rank``.
        tokens: the vocabulary, users' and items' tokens by id.

    Returns:
        (frame, name): a DataFrame of ``user``, ``item`` and ``score``, and sixteen hex digits of the file's content.

    Raises:
        KDError: not there, not of that form, a token that the dataset does not have, a pair twice.
    """
    path = Path(path)
    if not path.is_file():
        raise KDError(f"the file of scores '{path}' is not there")
    try:
        frame = _npz(path) if path.suffix == ".npz" else _tsv(path)
    except KDError:
        raise
    except Exception as error:  # of numpy's and pandas' many
        raise KDError(f"the file of scores '{path}' cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not np.isfinite(frame["score"]).all():
        raise KDError(f"the file of scores '{path}' holds something that is not a finite number")
    for side, known in zip(("user", "item"), tokens, strict=True):
        ids = pd.Series(np.arange(1, len(known)), index=known[1:])
        found = frame[side].map(ids)
        if found.isna().any():
            unknown = frame[side][found.isna()].unique()
            raise KDError(
                f"'{path}' names {len(unknown):,} {side}s that this dataset does not have after its filters, "
                f"such as {unknown[0]!r}: leave them out"
            )
        frame[side] = found.astype(np.int64)
    twice = frame.duplicated(["user", "item"])
    if twice.any():
        raise KDError(f"'{path}' holds {int(twice.sum()):,} pairs of a user and an item twice")
    return frame, hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _tsv(path):
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    names = [str(name).partition(":")[0] for name in frame.columns]
    if len(names) != 3 or names[2] not in THIRD_COLUMNS:
        raise KDError(
            f"'{path}' needs a header of three columns, a user's token, an item's token, and score or rank, "
            f"and has {', '.join(map(repr, names[:4]))}"
        )
    frame.columns = pd.Index(["user", "item", "score"])
    return _by_score(frame, names[2])


def _npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        kind = next((kind for kind in THIRD_COLUMNS if kind in arrays), None)
        if kind is None or "user" not in arrays or "item" not in arrays:
            raise KDError(f"'{path}' needs the arrays user, item, and score or rank, and has {', '.join(arrays)}")
        columns = {name: arrays[key] for name, key in (("user", "user"), ("item", "item"), ("score", kind))}
    return _by_score(
        pd.DataFrame({**columns, "user": columns["user"].astype(str), "item": columns["item"].astype(str)}), kind
    )


def _by_score(frame, kind):
    frame["score"] = frame["score"].astype(np.float64) * (-1.0 if kind == "rank" else 1.0)
    return frame
