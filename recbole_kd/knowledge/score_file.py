"""A teacher that is a file of scores or ranks of user-item pairs, written by any system."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from recbole_kd.errors import KDError
from recbole_kd.knowledge.file_tables import replace_tokens
from recbole_kd.knowledge.given import GivenKnowledge, refuse_seen
from recbole_kd.ops.top_lists import TopList


class FileKnowledge(GivenKnowledge):
    """The rankings in a file. Items that a user has seen in training are separated from the others.

    Args:
        frame: columns ``user`` and ``item`` (ids) and ``score``, as ``with_ids`` gives them.
        n_queries: as for BaseKnowledge.
        n_items: as for BaseKnowledge.
        positives: as for BaseKnowledge.
        device: as for BaseKnowledge.
        file: the file's name, for messages.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        n_queries: int,
        n_items: int,
        positives: tuple[torch.Tensor, torch.Tensor],
        device: torch.device | str,
        file: str,
    ) -> None:
        super().__init__(n_queries, n_items, positives, device)
        self.file = file
        self._lists: dict[int, TopList] = {}
        frame = frame.sort_values(["user", "score", "item"], ascending=[True, False, True], kind="stable")
        users, items = (torch.from_numpy(frame[side].to_numpy(np.int64)).to(device) for side in ("user", "item"))
        scores = torch.from_numpy(frame["score"].to_numpy(np.float32)).to(device)
        known = self.positive_users * n_items + self.positive_items
        pairs = users * n_items + items
        index = torch.searchsorted(known, pairs).clamp_(max=len(known) - 1)
        seen = known[index] == pairs
        self._seen, self._unseen = ((users[mask], items[mask], scores[mask]) for mask in (seen, ~seen))

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The file's best items of each user among those not seen in training.

        Args:
            k: length of a list; clipped to the number of items, which is logged once.
            seen: must be False: a file has no complete ranking of seen and unseen items.

        Raises:
            KDError: ``seen`` is set, or the file has too few unseen items for some user.
        """
        if seen:
            refuse_seen(self.file)
        k = self._clip(k, self.n_items - 1)
        if k not in self._lists:
            self._lists[k] = self._top_unseen(k)
        return self._lists[k]

    def _top_unseen(self, k: int) -> TopList:
        ids, scores = self._first_k(*self._unseen, k)
        length = (ids > 0).sum(1)
        short = (length < self._unseen_counts().clamp(max=k)).nonzero().flatten()
        short = short[short > 0]
        if len(short):
            raise KDError(
                f"'{self.file}' holds fewer than {k} items that are new to them for {len(short):,} of "
                f"{self.n_queries - 1:,} users: write longer lists, or ask for shorter ones"
            )
        return TopList(ids, scores, length)

    def top_seen(self, k: int) -> torch.Tensor:
        """Each user's training items in the file's order, then those that it does not hold, by their ids: int32,
        shape [n_queries, K].
        """
        known = self.positive_users, self.positive_items
        users, items = (torch.cat(pair) for pair in zip(self._seen[:2], known, strict=True))
        scores = -torch.arange(len(users), dtype=torch.float64, device=self.device)
        pairs = (users * self.n_items + items).cpu().numpy()
        first_occurrences = np.sort(np.unique(pairs, return_index=True)[1])
        first = torch.from_numpy(first_occurrences).to(self.device)
        order = torch.argsort(users[first], stable=True)
        first = first[order]
        return self._first_k(users[first], items[first], scores[first], self._clip(k, self.n_items - 1))[0]

    @property
    def max_list_length(self) -> int:
        """The largest k for which no user has fewer items in the file than ``top_items`` needs."""
        complete = self._file_counts() >= self._unseen_counts()  # the file holds all unseen items of these users
        return max(1, int(torch.where(complete, self.n_items - 1, self._file_counts())[1:].min()))

    def _unseen_counts(self) -> torch.Tensor:
        """How many items each user has not seen in training."""
        return self.n_items - 1 - self.interactions.user_counts()

    def _file_counts(self) -> torch.Tensor:
        """How many of these items the file holds."""
        return torch.bincount(self._unseen[0], minlength=self.n_queries)

    def _first_k(
        self, users: torch.Tensor, items: torch.Tensor, scores: torch.Tensor, k: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The first k items of each user and their scores, from triples sorted by user."""
        starts = torch.searchsorted(users, torch.arange(self.n_queries, device=self.device))
        rank = torch.arange(len(users), device=self.device) - starts[users]
        within_k = rank < k
        ids = torch.zeros(self.n_queries, k, dtype=torch.int32, device=self.device)
        best = torch.full((self.n_queries, k), -torch.inf, device=self.device)
        ids[users[within_k], rank[within_k]] = items[within_k].int()
        best[users[within_k], rank[within_k]] = scores[within_k].float()
        return ids, best


def with_ids(frame: pd.DataFrame, tokens: Sequence[np.ndarray], path: Path) -> pd.DataFrame:
    """A table of users' scores with ids in place of the tokens.

    Args:
        frame: columns ``user``, ``item`` and ``score``, as ``read_table`` gives them; changed in place.
        tokens: the vocabulary, users' and items' tokens by id.
        path: the file, for messages.

    Raises:
        KDError: a token is not in the dataset, or a pair occurs twice.
    """
    for side, known in zip(("user", "item"), tokens, strict=True):
        replace_tokens(frame, side, known, path)
    twice = frame.duplicated(["user", "item"])
    if twice.any():
        raise KDError(f"'{path}' holds {int(twice.sum()):,} pairs of a user and an item twice")
    return frame
