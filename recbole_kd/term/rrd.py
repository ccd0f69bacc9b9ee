"""RRD: relaxed ranking distillation, at the output layer."""

import torch
from torch import nn

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.losses.ranking import plackett_luce
from recbole_kd.ops.sampling import first_occurrence_mask, sample_outside, sample_ranks
from recbole_kd.term.base import Term
from recbole_kd.term.schedule import is_refresh_epoch


class RelaxedLists(nn.Module):
    """For each row of a TopList K of its entries, best first, and L ids from outside, without an order.

    Args:
        top: the teacher's TopList.
        outside: what the uniform draw passes over, an Excluded.
        k, uniform_k: K and L; a double among the L is masked.
        temperature: of the draw by rank, or None to take the first K.

    Attributes:
        ids: int32, shape [n + 1, K + L]; 0 where there is nothing.
        there: bool, the same shape.
    """

    ids: torch.Tensor
    there: torch.Tensor

    def __init__(self, top, outside, k, uniform_k, temperature=None):
        super().__init__()
        self.top, self.outside = top, outside
        self.k, self.uniform_k, self.temperature = k, uniform_k, temperature
        shape, device = (len(top.ids), k + uniform_k), top.ids.device
        self.register_buffer("ids", torch.zeros(shape, dtype=torch.int32, device=device))
        self.register_buffer("there", torch.zeros(shape, dtype=torch.bool, device=device))

    def draw(self, generator):
        """Fill the lists anew."""
        ranks, listed = self._ranks(generator)
        drawn, fresh = sample_outside(self.outside, self.uniform_k, generator)
        ids = torch.cat([torch.gather(self.top.ids, 1, ranks).long(), drawn], 1)
        there = torch.cat([listed, fresh], 1)
        there[0] = False  # padding
        self.there.copy_(first_occurrence_mask(ids, there))
        self.ids.copy_(torch.where(self.there, ids, 0))

    def _ranks(self, generator):
        length = self.top.length
        if self.temperature is not None:
            return sample_ranks(length, self.k, self.temperature, generator)
        ranks = torch.arange(self.k, device=length.device).expand(len(length), -1)
        there = ranks < length[:, None]
        return torch.where(there, ranks, 0), there

    def loss(self, scores, rows):
        """A value for each of the rows, from the scores of their ids, shape [b, K + L]."""
        there = self.there[rows]
        return plackett_luce(scores[:, : self.k], scores[:, self.k :], there[:, : self.k], there[:, self.k :])


class RRD(Term):
    r"""The student shall rank K items of the teacher's list in the teacher's order, and above L items from outside it.

    Of a user's items unseen in training, A are K that are drawn by rank from the teacher's list and stand in its order,
    N are L that are drawn uniformly from outside it; nothing is asked of the order within N:

    .. math:: \ell(u) = -\sum_{k=1}^{K} \log \frac{e^{s_{u A_k}}}
        {\sum_{i \ge k} e^{s_{u A_i}} + \sum_{j \in N} e^{s_{uj}}}

    averaged over the batch's unique users and the K positions. The uniform draw is with replacement, its doubles are
    masked, where the authors draw without; ``rrd_sampling: topk`` takes the first K, as the authors later advise.

    Source: Kang et al., CIKM 2020 (DE-RRD), section 3.2, after the authors' code; very sure.
    """

    layer = "output"
    teacher_needs = Capability.RANKS
    student_needs = Capability.SCORES

    @classmethod
    def list_length(cls, config, n_items):
        return config[f"{cls.__name__.lower()}_max_k"]

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        top = knowledge.top_items(self.key("max_k"))
        self.lists = self.relaxed(top, knowledge.excluded_from_sampling(top), self.key("k"), self.key("uniform_k"))

    def relaxed(self, top, outside, k, uniform_k):
        """Lists that are drawn as the term's keys say."""
        temperature = self.key("temperature") if self.key("sampling") == "rank" else None
        return RelaxedLists(top, outside, k, uniform_k, temperature)

    def start_epoch(self, epoch, student):
        if is_refresh_epoch(epoch, self.key("refresh")):
            self.draw()

    def draw(self):
        """Draw anew what lasts until the next refresh."""
        self.lists.draw(self.generator)

    def loss(self, batch):
        return self.side(self.lists, batch.users, batch.student.score)

    def side(self, lists, ids, score):
        """The loss of some of the rows ``ids`` of the lists; ``score(rows [b], ids [b, c])`` gives the scores."""
        rows = self.subsample(ids)
        return self.reduce(lists.loss(score(rows, lists.ids[rows]), rows), len(ids), parts=lists.k)
