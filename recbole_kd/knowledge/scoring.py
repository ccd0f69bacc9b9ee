"""Knowledge of teachers that score user-item pairs."""

import torch

from recbole_kd.data.popularity import popularity_groups
from recbole_kd.knowledge.array_checks import ArrayForm, list_forms
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.ranking import top_k
from recbole_kd.ops.top_lists import TopList


class ScoringKnowledge(BaseKnowledge):
    """Knowledge of a teacher that scores pairs. A subclass gives the scores where its ``capabilities`` have them."""

    def score_all(self, users: torch.Tensor) -> torch.Tensor:
        """The scores of all items for ``users`` [b], shape [b, n_items]."""
        raise NotImplementedError

    def score(self, items: torch.Tensor) -> torch.Tensor:
        """The scores of chosen items, one row a user: items [n_queries, c], result float32 of that shape."""
        raise NotImplementedError

    def score_of(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The scores of chosen items of chosen queries: queries [n], items [n, c], result float32, [n, c]."""
        return torch.gather(self.score_all(queries).float(), 1, items.long())

    def top_users(self, k: int) -> TopList:
        """For each item the teacher's best users among those who have not seen it in training.

        Args:
            k: length of a list; clipped to the number of users, which is logged once.

        Returns:
            A TopList of users, shapes [n_items, k].
        """
        k = self._clip(k, self.n_queries - 1)
        what = f"each item's top {k} users, as the teacher ranks them"
        forms = list_forms(self.n_items, k, self.n_queries)
        return self._cached_list(f"users-{k}", lambda: self._top_users(k), what, forms)

    def top_of_groups(self, groups: int, k: int) -> torch.Tensor:
        """Each user's best unseen items of each popularity group.

        Args:
            groups: the largest number of groups.
            k: the largest number of items of a group.

        Returns:
            Ids, int32, shape [n_queries, G, K], best first; 0 where a group has fewer unseen items.
        """
        what = f"each user's top {k} items of each of {groups} popularity groups, as the teacher ranks them"
        members = popularity_groups(self.item_counts(), groups)
        shape = self.n_queries, len(members), min(k, max(len(items) for items in members))
        name, forms = f"groups-{groups}-top-{k}", {"ids": ArrayForm(shape, self.n_items)}
        return self._cached(name, lambda: {"ids": self._top_of_groups(groups, k)}, what, forms)["ids"]

    def _top_users(self, k: int) -> dict[str, torch.Tensor]:
        best = torch.full((self.n_items, k), -torch.inf, device=self.device)
        ids = torch.zeros(self.n_items, k, dtype=torch.int32, device=self.device)
        # every teacher scores all items of some users: the best users so far are merged with each block of at least k
        for users in self._user_blocks(min(self.n_items, block_rows(k))):
            scores = self.score_all(users).detach().float()
            self.interactions.mask(scores, users)
            scores[users == 0] = -torch.inf
            for items in torch.arange(self.n_items, device=self.device).split(block_rows(k + len(users))):
                candidates = torch.cat([best[items], scores[:, items].T], 1)
                best[items], columns = candidates.topk(k, dim=1)
                candidate_ids = torch.cat([ids[items], users.int().expand(len(items), -1)], 1)
                ids[items] = torch.gather(candidate_ids, 1, columns)
        ids[best == -torch.inf] = 0
        ids[0], best[0] = 0, -torch.inf
        return {"ids": ids, "scores": best}

    def _top_of_groups(self, groups: int, k: int) -> torch.Tensor:
        members = popularity_groups(self.item_counts(), groups)
        longest = min(k, max(len(items) for items in members))
        ids = torch.zeros(self.n_queries, len(members), longest, dtype=torch.int32, device=self.device)
        for users in self._user_blocks(self.n_items):
            scores = self.score_all(users).detach().float()
            self.interactions.mask(scores, users)
            for group, items in enumerate(members):
                best, columns = top_k(scores[:, items], min(longest, len(items)))
                ids[users, group, : columns.shape[1]] = torch.where(best > -torch.inf, items[columns], 0).int()
        ids[0] = 0
        return ids
