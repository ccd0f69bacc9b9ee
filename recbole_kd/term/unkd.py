"""UnKD: unbiased distillation by popularity groups, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.data.popularity import group_quotas, popularity_groups
from recbole_kd.losses import pair_loss
from recbole_kd.ops.sampling import sample_rank_pairs
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch


class UnKD(Term):
    r"""The student learns the teacher's order of two items that are about as popular, so that it does not learn the
    teacher's leaning to popular ones.

    The items are cut into G groups by their number of training pairs. Each epoch draws :math:`n_d` pairs a user, each
    inside a group, from the user's unseen items of the group in the teacher's order: both ranks with weight
    :math:`\exp(-r / T)`, the better one is :math:`i^+`.

    .. math:: L = \mathrm{mean}_u \; \frac{1}{n_d} \sum_{p \le n_d} -\log \sigma(s_{u,i^+_p} - s_{u,i^-_p})

    A group of which a user has fewer than two unseen items gives no pair and counts 0. The mean takes each user of the
    batch once, where the authors' takes a user once a row; their weights of users are computed and never used.

    Source: Chen et al., WSDM 2023, arXiv 2211.14729.

    Fidelity: high, after the authors' code. Half of their pairs compare an item with itself, by a fault of their
    sampler: these have no gradient, so that their weight w acts as w / 2 over pairs of two items, as all are here.
    ``recipe/paper/UnKD.yaml`` has the weight 0.5 for their 1.
    """

    layer = "output"
    teacher_needs = Capability.ALL_SCORES
    student_needs = Capability.SCORES
    items: torch.Tensor

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.lists = knowledge.top_of_groups(self.key("groups"), self.key("max_k"))
        counts = knowledge.item_counts()
        means = torch.stack([counts[items].double().mean() for items in popularity_groups(counts, self.key("groups"))])
        groups = torch.arange(len(means), device=means.device)
        self.group = groups.repeat_interleave(group_quotas(means, self.key("k"), self.key("lambda")))  # of each pair
        self.length = (self.lists > 0).sum(2)[:, self.group]
        self.register_buffer("items", torch.zeros(0, dtype=torch.int64), persistent=False)

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        better, worse, mask = sample_rank_pairs(self.length, self.key("temperature"), self.generator)
        user = torch.arange(len(self.lists), device=mask.device)[:, None]
        pairs = [torch.where(mask, self.lists[user, self.group, rank], 0) for rank in (better, worse)]
        self.items = torch.cat(pairs, 1)

    def loss(self, batch: Batch) -> torch.Tensor:
        users = self.subsample(batch.queries)
        items = self.items[users]
        better, worse = batch.student.score(users, items).chunk(2, dim=1)
        loss = pair_loss(better, worse, items[:, : len(self.group)] > 0)
        return self.reduce_users(loss / len(self.group), users, batch)
