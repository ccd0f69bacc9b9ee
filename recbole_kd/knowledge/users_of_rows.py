"""Knowledge about users, read by a sequence student: each of its rows asks for the user of the row."""

from collections.abc import Callable
from typing import Any, cast

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.views import View
from recbole_kd.knowledge.base import BaseKnowledge, ScoreAll
from recbole_kd.knowledge.scoring import ScoringKnowledge
from recbole_kd.ops.sampling import ExcludedIds
from recbole_kd.ops.top_lists import TopList

ReadRows = Callable[[ScoringKnowledge, torch.Tensor], torch.Tensor]


class UsersOfRows(ScoringKnowledge):
    """What a teacher of users (LightGCN, EASE, a file of scores) knows about the user of each training row.

    Its lists leave out all that the user has seen in training, which the row's target is a part of. They are made once
    a user, and not repeated for each row.

    Args:
        users: the knowledge about users.
        row_users: the user of each row, int64, shape [rows + 1]; 0 for the padding.
        positives: the rows and their targets, two int64 tensors.

    Attributes:
        users: the argument.
        row_users: the argument.
    """

    per_row = True

    def __init__(
        self, users: BaseKnowledge, row_users: torch.Tensor, positives: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        super().__init__(len(row_users), users.n_items, positives, users.device, None, users.log)
        self.users = cast(Any, users)  # what its capabilities say is what it is asked for
        self.row_users = row_users.to(users.device)
        self.capabilities, self.weights, self.width = (
            users.capabilities & ~Capability.USER_TABLE,
            users.weights,
            users.width,
        )

    def top_items(self, k: int, seen: bool = False) -> TopList:
        """The teacher's best items of each row's user; arguments as for BaseKnowledge."""
        return self.users.top_items(k, seen).take(self.row_users)

    def top_items_of(self, queries: torch.Tensor, k: int, seen: bool = False) -> TopList:
        """As ``top_items``, of chosen rows."""
        return self.users.top_items_of(self.row_users[queries], k, seen)

    def seen_pairs(self, users: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As of BaseKnowledge, of chosen rows: what the row's user has seen."""
        return self.users.seen_pairs(self.row_users[users])

    def top_unseen(self, scores: View | ScoreAll, k: int, seen: bool = False) -> TopList:
        """As of BaseKnowledge: what the row's user has seen is in no list."""
        return self.top_unseen_of_all(cast(View, scores), k, seen)  # a view: the student's own lists

    def hide_seen(self, scores: torch.Tensor, queries: torch.Tensor) -> None:
        """As of BaseKnowledge: a row has seen what its user has seen, of which its target is a part."""
        self.users.hide_seen(scores, self.row_users[queries])

    def excluded_of(self, queries: torch.Tensor, *top_lists: TopList) -> ExcludedIds:
        """As of BaseKnowledge: nothing is drawn that the row's user has seen."""
        return self.users.excluded_of(self.row_users[queries], *top_lists)

    @property
    def max_list_length(self) -> int:
        """The largest k that the knowledge about users can serve."""
        return self.users.max_list_length

    def top_seen(self, k: int) -> torch.Tensor:
        """The target of each row: int32, shape [n_queries, K]; K is 1."""
        return row_targets(self)

    def trajectories(self, states: int, k: int) -> list[torch.Tensor]:
        """The teacher's lists of each row's user at several moments, as for BaseKnowledge."""
        return [lists[:, self.row_users] for lists in self.users.trajectories(states, k)]

    def factors(self, side: str) -> torch.Tensor:
        """The vectors of the rows' users, side ``user``, or of ``item``; shapes [n_queries, d_T] and [m + 1, d_T]."""
        table = self.users.factors(side)
        return table[self.row_users] if side == "user" else table

    def neighbours(self, side: str, k: int, components: int) -> torch.Tensor:
        """The neighbours of each item, as for ModelKnowledge."""
        return self.users.neighbours(side, k, components)

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """As of ScoringKnowledge, of chosen rows."""
        return self.users.score_all(self.row_users[users])

    def score_of(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """As of ScoringKnowledge, of chosen rows."""
        return self.users.score_of(self.row_users[queries], items)

    def score(self, items: torch.Tensor) -> torch.Tensor:
        """As of ScoringKnowledge: a row of items for each row."""
        blocks = self._user_blocks(self.n_items)
        return torch.cat([self.score_of(rows, items[rows]) for rows in blocks])

    def top_of_groups(self, groups: int, k: int) -> torch.Tensor:
        """As of ScoringKnowledge, of each row's user."""
        return self.users.top_of_groups(groups, k)[self.row_users]


def row_targets(knowledge: BaseKnowledge) -> torch.Tensor:
    """The target of each row of a sequence student's training data, int32, shape [n_queries, 1]; 0 for the padding."""
    ids = torch.zeros(knowledge.n_queries, 1, dtype=torch.int32, device=knowledge.device)
    ids[knowledge.positive_users, 0] = knowledge.positive_items.int()
    return ids
