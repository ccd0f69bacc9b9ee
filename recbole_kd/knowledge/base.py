"""What every kind of knowledge shares: lists of a teacher, and where they are stored."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from recbole_kd.backbone.capabilities import RANK_LISTS, Capability
from recbole_kd.backbone.views import FactorView, View
from recbole_kd.data.interactions import Interactions
from recbole_kd.knowledge.array_checks import Forms
from recbole_kd.knowledge.store import read_arrays, write_arrays
from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.sampling import ExcludedIds
from recbole_kd.ops.top_lists import TopList

TRAJECTORY_K = 100  # items in the lists of a trajectory
ScoreAll = Callable[[torch.Tensor], torch.Tensor]


def ignore_log(text: str) -> None:
    """A log that writes nothing."""


class BaseKnowledge:
    """A teacher's ranking of items, and the store that keeps what was computed of it.

    A subclass says where a list comes from. Who has seen what in training is in ``interactions``; the properties and
    methods of the same names here only delegate to it.

    Args:
        n_queries: number of queries, padding included: of users, or of a sequence student's training rows.
        n_items: number of items, padding included.
        positives: the training pairs, two int64 tensors (queries, items); masked from every list. A row's only
            training item is its target.
        device: where lists live.
        store: folder to keep what was computed, or None. Its name must identify the teacher and the split.
        log: called with one sentence about what is computed.

    Attributes:
        capabilities: what can be given.
        weights: how much each of the teachers counts; a single one for a single teacher.
        interactions: the training pairs.
        per_row: whether a query is a row of a sequence student's training data. There are many of these, so that the
            terms read what they need of a step's rows, in place of tables of all queries.
        has_distances: whether the teacher says how sure it is of the entries of its lists.
    """

    per_row: bool = False
    capabilities: Capability = RANK_LISTS
    weights: Sequence[float] = (1.0,)
    width: int | None = None
    has_distances: bool = False

    def __init__(
        self,
        n_queries: int,
        n_items: int,
        positives: tuple[torch.Tensor, torch.Tensor],
        device: torch.device | str,
        store: Path | str | None = None,
        log: Callable[[str], None] = ignore_log,
    ) -> None:
        self.interactions = Interactions(n_queries, n_items, *positives, device)
        self.store = Path(store) if store else None
        self.log = log
        self._loaded: dict[str, dict[str, torch.Tensor]] = {}
        self._clip_logged = False

    def __deepcopy__(self, memo: dict) -> "BaseKnowledge":
        return self  # it never changes

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The teacher's best items of each user.

        Args:
            k: length of a list; clipped to the number of items, which is logged once.
            seen: whether items that the user has seen in training are ranked as well.
        """
        raise NotImplementedError

    def top_items_of(self, queries: torch.Tensor, k: int, seen: bool = False) -> TopList:
        """As ``top_items``, of chosen queries, ids of shape [n]: a TopList of n rows."""
        return self.top_items(k, seen).take(queries)

    def distances_of(self, queries: torch.Tensor, k: int) -> torch.Tensor:
        """How unsure the teacher is of the entries of ``top_items_of(queries, k)``, where ``has_distances``.

        Returns:
            float32, the shape of the lists' ids: the smaller, the surer; inf in an unfilled slot.
        """
        raise NotImplementedError

    def top_seen(self, k: int) -> torch.Tensor:
        """Each user's training items, at most k, the teacher's best first: ids, int32, shape [n_queries, K]."""
        raise NotImplementedError

    @property
    def max_list_length(self) -> int:
        """The largest k that ``top_items`` can serve."""
        return self.n_items - 1

    def trajectories(self, states: int, k: int) -> list[torch.Tensor]:
        """For each teacher its lists of unseen items at several moments of its training.

        Args:
            states: how many moments at most; the last one is the teacher as it is.
            k: the smallest length of a list.

        Returns:
            Int32 tensors of shape [V, n_queries, K]; K is 100, or what a teacher has from ``k`` on.
        """
        raise NotImplementedError

    @property
    def n_queries(self) -> int:
        """Number of queries, padding included. Delegates to ``interactions``."""
        return self.interactions.n_users

    @property
    def n_items(self) -> int:
        """Number of items, padding included. Delegates to ``interactions``."""
        return self.interactions.n_items

    @property
    def device(self) -> torch.device:
        """Where lists live. Delegates to ``interactions``."""
        return self.interactions.device

    @property
    def positive_users(self) -> torch.Tensor:
        """The users of the sorted training pairs. Delegates to ``interactions``."""
        return self.interactions.users

    @property
    def positive_items(self) -> torch.Tensor:
        """The items of the sorted training pairs. Delegates to ``interactions``."""
        return self.interactions.items

    def item_counts(self) -> torch.Tensor:
        """How many training pairs each item has. Delegates to ``interactions``."""
        return self.interactions.item_counts()

    def seen_pairs(self, users: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The training items of chosen users. Delegates to ``interactions``."""
        return self.interactions.seen_pairs(users)

    def top_unseen(self, scores: View | ScoreAll, k: int, seen: bool = False) -> TopList:
        """The best items of each user by given scores. Delegates to ``interactions``.

        Args:
            scores: a View, whose long item table is read in blocks, or a function
                ``score_all(users [b]) -> [b, n_items]``, whose result is overwritten.
            k: length of a list; clipped to the number of items.
            seen: whether items that the user has seen in training are ranked as well.
        """
        if isinstance(scores, FactorView):
            return self.interactions.top_unseen_of_vectors(scores.query_vectors, scores.item_table, k, seen)
        score_all = scores.score_all if isinstance(scores, View) else scores
        return self.interactions.top_unseen_of_scores(score_all, k, seen)

    def top_unseen_of(self, view: View, queries: torch.Tensor, k: int, seen: bool = False) -> TopList:
        """As ``top_unseen``, of chosen queries, ids of shape [n]: a TopList of n rows, without gradient."""
        with torch.no_grad():
            scores = view.score_all(queries).clone()
            if seen:
                scores[:, 0] = -torch.inf
            else:
                self.hide_seen(scores, queries)
            return TopList.from_scores(scores, min(k, self.n_items - 1))

    def top_unseen_of_all(self, view: View, k: int, seen: bool = False) -> TopList:
        """As ``top_unseen_of``, of all queries, for knowledge that leaves out more than the queries' own pairs."""
        blocks = [self.top_unseen_of(view, queries, k, seen) for queries in self._user_blocks(self.n_items)]
        ids, scores = (torch.cat([getattr(block, name) for block in blocks]) for name in ("ids", "scores"))
        ids[0], scores[0] = 0, -torch.inf
        return TopList(ids, scores, (ids > 0).sum(1))

    def hide_seen(self, scores: torch.Tensor, queries: torch.Tensor) -> None:
        """Set the scores of padding and of what a query has seen in training to -inf, in place.

        Args:
            scores: shape [b, n_items].
            queries: any ids, shape [b].
        """
        self.interactions.mask_of(scores, queries)

    def excluded_of(self, queries: torch.Tensor, *top_lists: TopList) -> ExcludedIds:
        """The items that a uniform draw skips for chosen queries. Delegates to ``interactions``."""
        return self.interactions.excluded_of(queries, *top_lists)

    def excluded_from_sampling(self, *top_lists: TopList) -> ExcludedIds:
        """For each user the items that a uniform draw skips. Delegates to ``interactions``; logs lists that leave
        nothing to draw.
        """
        for top in top_lists:
            self._log_full_lists(top, self.interactions.user_counts(), self.n_items, "users")
        return self.interactions.excluded_from_sampling(*top_lists)

    def users_excluded_from_sampling(self, top_users: TopList) -> ExcludedIds:
        """For each item the users that a uniform draw skips. Delegates to ``interactions``; logs lists that leave
        nothing to draw.
        """
        self._log_full_lists(top_users, self.item_counts(), self.n_queries, "items")
        return self.interactions.users_excluded_from_sampling(top_users)

    def _log_full_lists(self, top: TopList, seen_counts: torch.Tensor, size: int, rows: str) -> None:
        """Log lists that leave nothing to draw from outside them, as those of a small catalogue do."""
        full = int((top.length + seen_counts >= size - 1)[1:].sum())
        if full > len(seen_counts) // 2:
            self.log(
                f"the teacher's list of {top.ids.shape[1]} holds all that is unseen for {full} of "
                f"{len(seen_counts) - 1} {rows}: nothing is drawn from outside it, which a shorter one "
                "(the key …_max_k) leaves room for"
            )

    def _clip(self, k: int, longest: int) -> int:
        if k > longest and not self._clip_logged:
            self._clip_logged = True
            self.log(f"a list of {k} is longer than there are entries: clipped to {longest}")
        return min(k, longest)

    def _user_blocks(self, numbers_per_user: int) -> tuple[torch.Tensor, ...]:
        return row_blocks(self.n_queries, numbers_per_user, self.device)

    def _cached(
        self, name: str, compute: Callable[[], dict[str, torch.Tensor]], what: str, forms: Forms
    ) -> dict[str, torch.Tensor]:
        """Arrays by name: from memory, else from the store (memory-mapped), else computed and stored.

        Args:
            name: the name of the folder in the store.
            compute: gives the arrays.
            what: what they are, for the log.
            forms: what stored arrays have to be; others are computed again.
        """
        if name not in self._loaded:
            folder = self.store / name if self.store else None
            arrays = read_arrays(folder, self.device, forms) if folder else None
            if arrays is None:
                again = f"; what '{folder}' holds is damaged or of something else" if folder and folder.exists() else ""
                self.log(f"reading {what}{again}")
                arrays = compute()
                if folder:
                    write_arrays(folder, arrays, forms)
                    arrays = read_arrays(folder, self.device, forms) or arrays
            self._loaded[name] = arrays
        return self._loaded[name]

    def _cached_list(
        self, name: str, compute: Callable[[], dict[str, torch.Tensor]], what: str, forms: Forms
    ) -> TopList:
        """As ``_cached``, of a TopList that is stored as its ids and scores."""
        arrays = self._cached(name, compute, what, forms)
        return TopList(arrays["ids"], arrays["scores"], (arrays["ids"] > 0).sum(1))
