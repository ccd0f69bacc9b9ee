"""RRD: relaxed ranking distillation, at the output layer."""

from collections.abc import Callable
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import plackett_luce
from recbole_kd.ops.sampling import ExcludedIds, sample_outside, sample_ranks
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Batch, Term
from recbole_kd.term.candidates import CandidateTable
from recbole_kd.term.schedule import is_refresh_epoch


class RelaxedLists(CandidateTable):
    """For each row of a TopList K of its entries, best first, and L ids from outside it, without an order.

    Args:
        top: the teacher's TopList.
        excluded: what the uniform draw passes over.
        k: K.
        uniform_k: L; duplicates among them are left out.
        temperature: of the draw by rank, or None to take the first K.
    """

    def __init__(
        self, top: TopList, excluded: ExcludedIds, k: int, uniform_k: int, temperature: float | None = None
    ) -> None:
        super().__init__(len(top.ids), k + uniform_k, top.ids.device)
        self.top, self.excluded = top, excluded
        self.k, self.uniform_k, self.temperature = k, uniform_k, temperature

    def draw(self, generator: torch.Generator) -> None:
        """Fill the lists anew."""
        ranks, listed = self._ranks(generator)
        drawn, mask = sample_outside(self.excluded, self.uniform_k, generator)
        listed_ids = torch.gather(self.top.ids, 1, ranks).long()
        self.fill(torch.cat([listed_ids, drawn], 1), torch.cat([listed, mask], 1))

    def _ranks(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        length = self.top.length
        if self.temperature is not None:
            return sample_ranks(length, self.k, self.temperature, generator)
        ranks = torch.arange(self.k, device=length.device).expand(len(length), -1)
        mask = ranks < length[:, None]
        return torch.where(mask, ranks, 0), mask

    def loss(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """A value for each of the rows, from the scores of their ids, shape [b, K + L]."""
        k, mask = self.k, self.ids[rows] > 0
        return plackett_luce(scores[:, :k], scores[:, k:], mask[:, :k], mask[:, k:])


class RRD(Term):
    r"""The student learns to rank K items of the teacher's list in the teacher's order, and above L items outside it.

    Of a user's items unseen in training, A are K that are drawn by rank from the teacher's list and keep its order,
    N are L that are drawn uniformly from outside it, whose order is free:

    .. math:: \ell(u) = -\sum_{k=1}^{K} \log \frac{e^{s_{u A_k}}}
        {\sum_{i \ge k} e^{s_{u A_i}} + \sum_{j \in N} e^{s_{uj}}}

    averaged over the batch's unique users and the K positions. The uniform draw is with replacement and its duplicates
    are masked, where the authors draw without; ``rrd_sampling: topk`` takes the first K, as the authors later advise.

    Source: Kang et al., CIKM 2020 (DE-RRD), section 3.2.

    Fidelity: very high, after the authors' code.
    """

    layer = "output"
    teacher_needs = Capability.RANKS
    student_needs = Capability.SCORES

    @classmethod
    def list_length(cls, config: Config, n_items: int) -> int:
        return config[f"{cls.__name__.lower()}_max_k"]

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        top = knowledge.top_items(self.key("max_k"))
        self.lists = self.relaxed(top, knowledge.excluded_from_sampling(top), self.key("k"), self.key("uniform_k"))

    def relaxed(self, top: TopList, excluded: ExcludedIds, k: int, uniform_k: int) -> RelaxedLists:
        """Lists that are drawn by the term's keys ``sampling`` and ``temperature``."""
        temperature = self.key("temperature") if self.key("sampling") == "rank" else None
        return RelaxedLists(top, excluded, k, uniform_k, temperature)

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if is_refresh_epoch(epoch, self.key("refresh")):
            self.draw()

    def draw(self) -> None:
        """Draw anew what lasts until the next refresh."""
        self.lists.draw(self.generator)

    def loss(self, batch: Batch) -> torch.Tensor:
        return self.side(self.lists, batch.users, batch.student.score)

    def side(
        self,
        lists: RelaxedLists,
        ids: torch.Tensor,
        score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """The loss over the rows ``ids`` of the lists; ``score(rows [b], ids [b, c])`` gives the student's scores."""
        rows = self.subsample(ids)
        return self.reduce(lists.loss(score(rows, lists.ids[rows]), rows), len(ids), coordinates=lists.k)
