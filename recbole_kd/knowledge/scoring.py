"""Lists that need scores of user-item pairs."""

import torch

from recbole_kd.data.popularity import popularity_groups
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.ranking import top_k
from recbole_kd.ops.top_lists import TopList


class ScoringKnowledge(BaseKnowledge):
    """Lists of what can score. A subclass gives the scores, where its ``capabilities`` include them."""

    def score_all(self, users):
        """The scores of all items, shape [b, m + 1]."""
        raise NotImplementedError

    def top_users(self, k):
        """The other way round: the teacher's TopList of users for each item, of those who have not seen it in
        training. Shapes [m + 1, k].
        """
        k = self._clip(k, self.n_users - 1)
        what = f"each item's top {k} users, as the teacher ranks them"
        parts = self._kept(f"users-{k}", lambda: self._top_users(k), what)
        return TopList(parts["ids"], parts["scores"], (parts["ids"] > 0).sum(1))

    def top_of_groups(self, groups, k):
        """Each user's best unseen items of each popularity group: ids, int32, shape [n + 1, G, K], best first; 0 where
        there are fewer. G and K are at most ``groups`` and ``k``.
        """
        what = f"each user's top {k} items of each of {groups} popularity groups, as the teacher ranks them"
        return self._kept(f"groups-{groups}-top-{k}", lambda: {"ids": self._top_of_groups(groups, k)}, what)["ids"]

    def _top_users(self, k):
        best = torch.full((self.n_items, k), -torch.inf, device=self.device)
        ids = torch.zeros(self.n_items, k, dtype=torch.int32, device=self.device)
        # any teacher scores by users: the best so far meet the next block, of k users at least, which is as much again
        for users in self._blocks(min(self.n_items, block_rows(k))):
            scores = self.score_all(users).detach().float()
            self._mask(scores, users)
            scores[users == 0] = -torch.inf
            for items in torch.arange(self.n_items, device=self.device).split(block_rows(k + len(users))):
                both = torch.cat([best[items], scores[:, items].T], 1)
                best[items], place = both.topk(k, dim=1)
                known = torch.cat([ids[items], users.int().expand(len(items), -1)], 1)
                ids[items] = torch.gather(known, 1, place)
        ids[best == -torch.inf] = 0
        ids[0], best[0] = 0, -torch.inf
        return {"ids": ids, "scores": best}

    def _top_of_groups(self, groups, k):
        members = popularity_groups(self.item_counts(), groups)
        longest = min(k, max(len(items) for items in members))
        ids = torch.zeros(self.n_users, len(members), longest, dtype=torch.int32, device=self.device)
        for users in self._blocks(self.n_items):
            scores = self.score_all(users).detach().float()
            self._mask(scores, users)
            for group, items in enumerate(members):
                best, place = top_k(scores[:, items], min(longest, len(items)))
                ids[users, group, : place.shape[1]] = torch.where(best > -torch.inf, items[place], 0).int()
        ids[0] = 0
        return ids
