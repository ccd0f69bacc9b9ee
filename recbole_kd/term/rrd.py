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
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.candidates import CandidateTable, distinct_ids
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
        self.fill(*relaxed_candidates(self.top, self.excluded, (self.k, self.uniform_k), self.temperature, generator))

    def loss(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """A value for each of the rows, from the scores of their ids, shape [b, K + L]."""
        return relaxed_ranking(scores, self.ids[rows], self.k)


def relaxed_candidates(
    top: TopList, excluded: ExcludedIds, sizes: tuple[int, int], temperature: float | None, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """K entries of each list, best first, and L ids from outside it.

    Args:
        top: the teacher's lists.
        excluded: what the uniform draw passes over, for each list.
        sizes: K and L.
        temperature: of the draw by rank, or None to take the first K.
        generator: where the randomness comes from.

    Returns:
        (ids, mask): int64 and bool, shape [n, K + L] each.
    """
    k, uniform_k = sizes
    if temperature is None:
        ranks = torch.arange(k, device=top.length.device).expand(len(top.length), -1)
        listed = ranks < top.length[:, None]
        ranks = torch.where(listed, ranks, 0)
    else:
        ranks, listed = sample_ranks(top.length, k, temperature, generator)
    drawn, mask = sample_outside(excluded, uniform_k, generator)
    return torch.cat([torch.gather(top.ids, 1, ranks).long(), drawn], 1), torch.cat([listed, mask], 1)


def relaxed_ranking(scores: torch.Tensor, ids: torch.Tensor, k: int) -> torch.Tensor:
    """The likelihood of the order of the first k entries of each row above the others, negated, shape [n]."""
    mask = ids > 0
    return plackett_luce(scores[:, :k], scores[:, k:], mask[:, :k], mask[:, k:])


class RRD(Term):
    r"""The student learns to rank K items of the teacher's list in the teacher's order, and above L items outside it.

    Of a query's items unseen in training, A are K that are drawn by rank from the teacher's list and keep its order,
    N are L that are drawn uniformly from outside it, whose order is free:

    .. math:: \ell(u) = -\sum_{k=1}^{K} \log \frac{e^{s_{u A_k}}}
        {\sum_{i \ge k} e^{s_{u A_i}} + \sum_{j \in N} e^{s_{uj}}}

    averaged over the batch's unique queries and the K positions. The lists of a sequence student's rows are drawn in
    each step. The uniform draw is with replacement and its duplicates
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
        if knowledge.per_row:
            return
        top = knowledge.top_items(self.key("max_k"))
        self.lists = self.relaxed(top, knowledge.excluded_from_sampling(top), self.key("k"), self.key("uniform_k"))

    def relaxed(self, top: TopList, excluded: ExcludedIds, k: int, uniform_k: int) -> RelaxedLists:
        """Lists that are drawn by the term's keys ``sampling`` and ``temperature``."""
        return RelaxedLists(top, excluded, k, uniform_k, self.temperature)

    @property
    def temperature(self) -> float | None:
        """The temperature of the draw by rank; None where the first K are taken."""
        return self.key("temperature") if self.key("sampling") == "rank" else None

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if not self.knowledge.per_row and is_refresh_epoch(epoch, self.key("refresh")):
            self.draw()

    def draw(self) -> None:
        """Draw anew what lasts until the next refresh."""
        self.lists.draw(self.generator)

    def loss(self, batch: Batch) -> torch.Tensor:
        if self.knowledge.per_row:
            return self._rows(batch)
        return self.side(self.lists, batch.queries, batch.student.score)

    def _rows(self, batch: Batch) -> torch.Tensor:
        """The loss over rows of a sequence student, whose lists are drawn now."""
        queries, sizes = self.subsample(batch.queries), (self.key("k"), self.key("uniform_k"))
        top = self.knowledge.top_items_of(queries, self.key("max_k"))
        excluded = self.knowledge.excluded_of(queries, top)
        ids = distinct_ids(*relaxed_candidates(top, excluded, sizes, self.temperature, self.generator))
        values = relaxed_ranking(batch.student.score(queries, ids), ids, sizes[0])
        return self.reduce(values, len(batch.queries), coordinates=sizes[0])

    def side(
        self,
        lists: RelaxedLists,
        ids: torch.Tensor,
        score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """The loss over the rows ``ids`` of the lists; ``score(rows [b], ids [b, c])`` gives the student's scores."""
        rows = self.subsample(ids)
        return self.reduce(lists.loss(score(rows, lists.ids[rows]), rows), len(ids), coordinates=lists.k)
