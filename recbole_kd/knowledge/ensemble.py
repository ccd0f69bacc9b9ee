"""Several teachers read as one: a consensus of their rankings, or the mean of their standardised scores."""

import torch

from recbole_kd.backbone.capabilities import RANK_LISTS, SCORER
from recbole_kd.knowledge.base import TRAJECTORY_K
from recbole_kd.knowledge.scoring import ScoringKnowledge
from recbole_kd.ops.ranking import consensus, rank_weights
from recbole_kd.ops.top_lists import TopList

TEMPERATURE = 10.0  # T of an item's importance exp(-rank / T)


class EnsembleKnowledge(ScoringKnowledge):
    r"""Teachers of any kinds over one vocabulary.

    By rank an item weighs :math:`\sum_x w_x \exp(-r_x / 10)` over the lists that it stands in, and that order is what
    is offered; the lists are 100 items long, where a teacher has so many, however few are asked for. By score it has
    the mean, weighted by w, of the teachers' scores, each standardised over a user's catalogue, since scores of unlike
    models have no common scale; then scores are offered.

    Args:
        members: what is read of each teacher, a Lists each.
        store, log: as of Lists.
        by_score: whether scores are averaged; every member must offer them.
        weights: w, a number above 0 for each member; None: 1 each.

    Source: the importance of Kang et al., WWW 2023 (HetComp, Eq. 8), reconstructed after their ConCF.
    """

    width = None

    def __init__(self, members, store=None, log=lambda text: None, by_score=False, weights=None):
        first = members[0]
        positives = first.positive_users, first.positive_items
        super().__init__(first.n_users, first.n_items, positives, first.device, store, log)
        self.weights = weights or [1.0] * len(members)
        self.members, self.by_score = members, by_score
        self.capabilities = SCORER if by_score else RANK_LISTS

    def top_items(self, k, seen=False):
        k = self._clip(k, self.n_items - 1)
        of_whom = "all-" if seen else ""
        if self.by_score:
            what = f"the ensemble's top {k} items of each user"
            parts = self._kept(f"score-{of_whom}top-{k}", lambda: self._by_score(k, seen), what)
        else:
            depth = max(k, min(TRAJECTORY_K, self.max_list_length))
            lists = [member.top_items(depth, seen).ids for member in self.members]
            name, what = f"consensus-{of_whom}top-{k}-of-{depth}", f"the consensus on each user's top {k} items"
            parts = self._kept(name, lambda: self._by_rank(lists, k), what)
        return TopList(parts["ids"], parts["scores"], (parts["ids"] > 0).sum(1))

    def top_seen(self, k):
        return self._by_rank([member.top_seen(max(k, TRAJECTORY_K)) for member in self.members], k)["ids"]

    @property
    def max_list_length(self):
        return min(member.max_list_length for member in self.members)

    def trajectories(self, states, k):
        return [lists for member in self.members for lists in member.trajectories(states, k)]

    def score_all(self, users):
        """The mean of the teachers' standardised scores of all items, shape [b, m + 1]."""
        found = [member.score_all(users).float() for member in self.members]
        return self._mean(found, lambda moments: moments[users])

    def score(self, items):
        """The same of chosen items, one row a user: items [n + 1, c], result float32 of that shape."""
        return self._mean([member.score(items) for member in self.members], lambda moments: moments)

    def _mean(self, scores, rows):
        moments = self._kept("moments", self._moments, "the scale of each teacher's scores")
        total = torch.zeros_like(scores[0])
        for weight, own, mean, sd in zip(self.weights, scores, moments["mean"], moments["sd"], strict=True):
            total += weight * ((own - rows(mean)[:, None]) / rows(sd)[:, None])
        return total / sum(self.weights)

    def _moments(self):
        shape = (len(self.members), self.n_users)
        mean, sd = torch.zeros(shape, device=self.device), torch.ones(shape, device=self.device)
        for x, member in enumerate(self.members):
            for users in self._blocks(self.n_items):
                scores = member.score_all(users)[:, 1:].float()
                mean[x, users], sd[x, users] = scores.mean(1), scores.std(1).clamp(min=1e-6)
        return {"mean": mean, "sd": sd}

    def _by_score(self, k, seen):
        top = self.top_unseen(self.score_all, k, seen)
        return {"ids": top.ids, "scores": top.scores}

    def _by_rank(self, lists, k):
        ids = torch.zeros(self.n_users, k, dtype=torch.int32, device=self.device)
        weights = torch.zeros(self.n_users, k, device=self.device)
        for users in self._blocks(sum(own.shape[1] for own in lists)):
            ids[users], weights[users] = consensus_of_lists([own[users] for own in lists], k, TEMPERATURE, self.weights)
        return {"ids": ids, "scores": torch.where(ids > 0, weights, -torch.inf)}


def consensus_of_lists(lists, k, temperature, shares):
    """The consensus of several lists of the same users, each int [b, K_x] and best first, where list x counts
    ``shares[x]`` times: as ``rankings.consensus``.
    """
    weights = [
        share * rank_weights(own.shape[1], temperature, own.device) for share, own in zip(shares, lists, strict=True)
    ]
    return consensus(torch.cat(lists, 1), torch.cat(weights), k)
