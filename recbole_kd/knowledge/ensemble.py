"""Several teachers read as one: a consensus of their rankings, or the mean of their standardised scores."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from recbole_kd.backbone.capabilities import RANK_LISTS, SCORER
from recbole_kd.knowledge.array_checks import ArrayForm, list_forms
from recbole_kd.knowledge.base import TRAJECTORY_K, BaseKnowledge, ignore_log
from recbole_kd.knowledge.scoring import ScoringKnowledge
from recbole_kd.knowledge.users_of_rows import UsersOfRows
from recbole_kd.ops.ranking import consensus, rank_weights
from recbole_kd.ops.sampling import ExcludedIds
from recbole_kd.ops.top_lists import TopList

Moments = tuple[torch.Tensor, torch.Tensor]  # mean and standard deviation of each row
TEMPERATURE = 10.0  # T of an item's importance exp(-rank / T)


class EnsembleKnowledge(ScoringKnowledge):
    r"""Teachers of any kinds over one vocabulary.

    By rank, the importance of an item is :math:`\sum_x w_x \exp(-r_x / 10)` over the lists that hold it, and only
    that order is offered. The lists have 100 items, or as many as a teacher has, even where fewer are requested. By
    score, an item has the mean, weighted by w, of the teachers' scores, and scores are offered. Each teacher's scores
    are standardised over a user's catalogue first, because scores of different models have no common scale.

    Args:
        members: the knowledge of each teacher.
        store: as for BaseKnowledge.
        log: as for BaseKnowledge.
        by_score: whether scores are averaged; every member must offer them.
        weights: w, a number above 0 for each member; None: 1 each.

    Source: the importance of Kang et al., WWW 2023 (HetComp, Eq. 8), reconstructed after their ConCF.
    """

    def __init__(
        self,
        members: Sequence[BaseKnowledge],
        store: Path | str | None = None,
        log: Callable[[str], None] = ignore_log,
        by_score: bool = False,
        weights: Sequence[float] | None = None,
    ) -> None:
        first = members[0]
        positives = first.positive_users, first.positive_items
        super().__init__(first.n_queries, first.n_items, positives, first.device, store, log)
        self.weights = weights or [1.0] * len(members)
        self.members, self.by_score = list(members), by_score
        self.capabilities = SCORER if by_score else RANK_LISTS
        self.per_row = first.per_row

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The best items of each user by consensus or by mean score; arguments as for BaseKnowledge."""
        k = self._clip(k, self.n_items - 1)
        population = "all-" if seen else ""
        forms = list_forms(self.n_queries, k, self.n_items)
        if self.by_score:
            what = f"the ensemble's top {k} items of each user"
            return self._cached_list(f"score-{population}top-{k}", lambda: self._by_score(k, seen), what, forms)
        depth = max(k, min(TRAJECTORY_K, self.max_list_length))
        lists = [member.top_items(depth, seen).ids for member in self.members]
        name, what = f"consensus-{population}top-{k}-of-{depth}", f"the consensus on each user's top {k} items"
        return self._cached_list(name, lambda: self._by_rank(lists, k), what, forms)

    def top_items_of(self, queries: torch.Tensor, k: int, seen: bool = False) -> TopList:
        """As ``top_items``, of chosen queries. Rows of a sequence student are combined when they are read."""
        if not self.per_row:
            return super().top_items_of(queries, k, seen)
        k = self._clip(k, self.n_items - 1)
        if self.by_score:
            scores = self.score_all(queries)
            if seen:
                scores[:, 0] = -torch.inf
            else:
                self.hide_seen(scores, queries)
            return TopList.from_scores(scores, k)
        depth = max(k, min(TRAJECTORY_K, self.max_list_length))
        lists = [member.top_items_of(queries, depth, seen).ids for member in self.members]
        ids, weights = consensus_of_lists(lists, k, TEMPERATURE, self.weights)
        return TopList(ids, torch.where(ids > 0, weights, -torch.inf), (ids > 0).sum(1))

    def top_seen(self, k: int) -> torch.Tensor:
        """Each user's training items by consensus, best first: ids, int32, shape [n_queries, K]."""
        return self._by_rank([member.top_seen(max(k, TRAJECTORY_K)) for member in self.members], k)["ids"]

    def hide_seen(self, scores: torch.Tensor, queries: torch.Tensor) -> None:
        """As of BaseKnowledge: what any member leaves out. A teacher of users leaves out more than one of rows."""
        for member in self.members:
            member.hide_seen(scores, queries)

    def excluded_of(self, queries: torch.Tensor, *top_lists: TopList) -> ExcludedIds:
        """As of BaseKnowledge: by the member that leaves out most, a teacher of users where there is one."""
        of_users = self._of_users()
        return of_users.excluded_of(queries, *top_lists) if of_users else super().excluded_of(queries, *top_lists)

    def seen_pairs(self, users: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As of BaseKnowledge: by the member that leaves out most, a teacher of users where there is one."""
        of_users = self._of_users()
        return of_users.seen_pairs(users) if of_users else super().seen_pairs(users)

    def top_unseen(self, scores: Any, k: int, seen: bool = False) -> TopList:
        """As of BaseKnowledge, and for rows what any member leaves out."""
        return self.top_unseen_of_all(scores, k, seen) if self._of_users() else super().top_unseen(scores, k, seen)

    def _of_users(self) -> UsersOfRows | None:
        return next((member for member in self.members if isinstance(member, UsersOfRows)), None)

    @property
    def max_list_length(self) -> int:
        """The largest k that every member can serve."""
        return min(member.max_list_length for member in self.members)

    def trajectories(self, states: int, k: int) -> list[torch.Tensor]:
        """The trajectories of all members, as for BaseKnowledge."""
        return [lists for member in self.members for lists in member.trajectories(states, k)]

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """The mean of the teachers' standardised scores of all items for ``users`` [b], shape [b, n_items]."""
        scores = [member.score_all(users).float() for member in self._scoring_members()]
        if self.per_row:
            return standardised_mean(scores, self.weights)
        return _weighted_mean(scores, self._stored_moments(users), self.weights)

    def score(self, items: torch.Tensor) -> torch.Tensor:
        """The mean standardised scores of chosen items, one row a user: items [n_queries, c], result of that shape."""
        queries = torch.arange(self.n_queries, device=self.device)
        if self.per_row:
            return torch.cat([self.score_of(rows, items[rows]) for rows in self._user_blocks(self.n_items)])
        scores = [member.score(items) for member in self._scoring_members()]
        return _weighted_mean(scores, self._stored_moments(queries), self.weights)

    def score_of(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The mean standardised scores of chosen items of chosen queries; arguments as of ScoringKnowledge."""
        return torch.gather(self.score_all(queries), 1, items.long())

    def _scoring_members(self) -> list[ScoringKnowledge]:
        return cast("list[ScoringKnowledge]", self.members)  # checked before: scores are averaged only of these

    def _stored_moments(self, users: torch.Tensor) -> list[Moments]:
        """Mean and standard deviation of each teacher's scores over the catalogue of each of these users."""
        shape = len(self.members), self.n_queries
        forms = {"mean": ArrayForm(shape), "sd": ArrayForm(shape, positive=True)}
        moments = self._cached("moments", self._moments_of_all, "the scale of each teacher's scores", forms)
        return [(mean[users], sd[users]) for mean, sd in zip(moments["mean"], moments["sd"], strict=True)]

    def _moments_of_all(self) -> dict[str, torch.Tensor]:
        shape = (len(self.members), self.n_queries)
        mean, sd = torch.zeros(shape, device=self.device), torch.ones(shape, device=self.device)
        for x, member in enumerate(self._scoring_members()):
            for users in self._user_blocks(self.n_items):
                mean[x, users], sd[x, users] = _moments(member.score_all(users).float())
        return {"mean": mean, "sd": sd}

    def _by_score(self, k: int, seen: bool) -> dict[str, torch.Tensor]:
        if self.per_row:
            blocks = [self.top_items_of(rows, k, seen) for rows in self._user_blocks(self.n_items)]
        else:
            blocks = [self.top_unseen(self.score_all, k, seen)]
        return {name: torch.cat([getattr(block, name) for block in blocks]) for name in ("ids", "scores")}

    def _by_rank(self, lists: Sequence[torch.Tensor], k: int) -> dict[str, torch.Tensor]:
        ids = torch.zeros(self.n_queries, k, dtype=torch.int32, device=self.device)
        weights = torch.zeros(self.n_queries, k, device=self.device)
        for users in self._user_blocks(sum(ranking.shape[1] for ranking in lists)):
            block = [ranking[users] for ranking in lists]
            ids[users], weights[users] = consensus_of_lists(block, k, TEMPERATURE, self.weights)
        return {"ids": ids, "scores": torch.where(ids > 0, weights, -torch.inf)}


def standardised_mean(scores: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    """The mean of several teachers' scores of all items, each standardised over the catalogue of its row first.

    Args:
        scores: for each teacher, shape [b, n_items], padding included.
        shares: how much each teacher counts.

    Returns:
        shape [b, n_items].
    """
    return _weighted_mean(scores, [_moments(member_scores) for member_scores in scores], shares)


def _weighted_mean(scores: Sequence[torch.Tensor], moments: Sequence[Moments], shares: Sequence[float]) -> torch.Tensor:
    total = torch.zeros_like(scores[0])
    for share, member_scores, (mean, sd) in zip(shares, scores, moments, strict=True):
        total += share * ((member_scores - mean[:, None]) / sd[:, None])
    return total / sum(shares)


def _moments(scores: torch.Tensor) -> Moments:
    """Mean and standard deviation of each row of scores without the padding item, shape [b] each."""
    return scores[:, 1:].mean(1), scores[:, 1:].std(1).clamp(min=1e-6)


def consensus_of_lists(
    lists: Sequence[torch.Tensor], k: int, temperature: float, shares: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The consensus of several rankings of the same users, by ``ops.ranking.consensus``.

    Args:
        lists: one tensor of item ids a ranking, int, shape [b, K_x], best first.
        k: length of the result.
        temperature: T of an item's importance exp(-rank / T).
        shares: how much each ranking counts.

    Returns:
        (ids, weights), shapes [b, k], best first.
    """
    weights = [
        share * rank_weights(ranking.shape[1], temperature, ranking.device)
        for share, ranking in zip(shares, lists, strict=True)
    ]
    return consensus(torch.cat(list(lists), 1), torch.cat(weights), k)
