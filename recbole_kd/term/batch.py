"""What a term reads of one training step, whatever kind of batch the student trains on."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from recbole.config import Config
from recbole.data.interaction import Interaction
from torch import nn

from recbole_kd.backbone.training_rows import ROW_FIELD
from recbole_kd.backbone.views import FactorView
from recbole_kd.data.interactions import Interactions


@dataclass
class Batch:
    """What a term reads of one step.

    Attributes:
        query: the queries of the batch's rows, shape [b]: users, or a sequence student's training rows.
        pos_item: the positive items, shape [b].
        neg_item: the negative items, shape [b].
        student: the student's view, with gradients.
        interaction: the batch as RecBole made it.
    """

    query: torch.Tensor
    pos_item: torch.Tensor
    neg_item: torch.Tensor
    student: FactorView
    interaction: Interaction | None = None

    @cached_property
    def queries(self) -> torch.Tensor:
        """The batch's distinct queries, ascending. Shape [<= b]."""
        return self.query.unique()

    @cached_property
    def pos_items(self) -> torch.Tensor:
        """The batch's distinct positive items, ascending."""
        return self.pos_item.unique()

    @cached_property
    def neg_items(self) -> torch.Tensor:
        """The batch's distinct negative items, ascending."""
        return self.neg_item.unique()

    def row_counts(self, queries: torch.Tensor) -> torch.Tensor:
        """How many rows each of these queries of the batch has. Shape [n]."""
        batch_queries, counts = self.query.unique(return_counts=True)
        return counts[torch.searchsorted(batch_queries, queries)]

    @cached_property
    def row_order(self) -> torch.Tensor:
        """Row numbers sorted by the rows' values, shape [b].

        A draw from it does not depend on how the batch was shuffled.
        """
        size = int(torch.maximum(self.pos_item.max(), self.neg_item.max())) + 1
        return torch.argsort((self.query * size + self.pos_item) * size + self.neg_item, stable=True)


class BatchReader(nn.Module):
    """Reads queries, positive and negative items from the batches of a student's loader.

    Pairs come as RecBole has them. Rows with labels give a pair for each negative row, together with the positive row
    that it was drawn for. Where a loader draws no negative items, as for a sequence model under the cross entropy, an
    item is drawn uniformly for each row, and where it gives users alone, as for autoencoders, one of the user's
    training items too. These draws come from a separate generator.

    Args:
        config: the student's Config.
        interactions: the training pairs of the student's queries.
    """

    def __init__(self, config: Config, interactions: Interactions) -> None:
        super().__init__()
        self.user, self.item, self.label = (config[f"{name}_FIELD"] for name in ("USER_ID", "ITEM_ID", "LABEL"))
        self.negative = config["NEG_PREFIX"] + self.item
        self.interactions = interactions
        self.generator = torch.Generator(device=config["device"])
        self.generator.manual_seed(zlib.crc32(f"BatchReader {config['seed']}".encode()))

    def query_ids(self, interaction: Interaction) -> torch.Tensor:
        """The query of each row of a batch, shape [b]."""
        return interaction[ROW_FIELD if ROW_FIELD in interaction else self.user]

    def read(self, interaction: Interaction) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, positive items and negative items, int64, of the same shape [b]."""
        queries = self.query_ids(interaction)
        if self.item not in interaction:
            queries = queries[queries > 0]  # RecBole's loader of users gives the padding too
            return queries, self._draw_positives(queries), self._draw_items(queries)
        items = interaction[self.item]
        if self.negative in interaction:
            return queries, items, interaction[self.negative]
        if self.label in interaction:
            return self._pairs_of_labels(queries, items, interaction[self.label] > 0)
        return queries, items, self._draw_items(queries)

    def _pairs_of_labels(
        self, queries: torch.Tensor, items: torch.Tensor, positive: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """RecBole puts the positive rows first, and then their negative rows, in the same order, once or more."""
        queries, pos_items, neg_items = queries[positive], items[positive], items[~positive]
        times, remainder = divmod(len(neg_items), max(len(pos_items), 1))
        if remainder or not times:  # labels of the data: negative rows belong to no positive row
            return queries, pos_items, self._draw_items(queries)
        return queries.repeat(times), pos_items.repeat(times), neg_items

    def _draw_items(self, queries: torch.Tensor) -> torch.Tensor:
        shape = queries.shape
        drawn = torch.randint(1, self.interactions.n_items, shape, generator=self.generator, device=queries.device)
        return drawn[_ranks(queries)]

    def _draw_positives(self, queries: torch.Tensor) -> torch.Tensor:
        """A training item of each query; 0 for a query without any."""
        starts, ends = self.interactions.starts[queries], self.interactions.starts[queries + 1]
        draw = torch.rand(queries.shape, generator=self.generator, device=queries.device, dtype=torch.float64)
        index = starts + (draw[_ranks(queries)] * (ends - starts)).long()
        items = self.interactions.items[index.clamp(max=len(self.interactions.items) - 1)]
        return torch.where(ends > starts, items, 0)

    def get_extra_state(self) -> dict[str, Any]:
        """For the resume point: the state of the generator."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_extra_state`` returned."""
        self.generator.set_state(state["generator"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Overridden for resume points of earlier versions, which knew no such draws."""
        state_dict.setdefault(f"{prefix}_extra_state", self.get_extra_state())
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _ranks(queries: torch.Tensor) -> torch.Tensor:
    """The position of each query in ascending order: a draw by it does not depend on how a batch was shuffled."""
    return torch.argsort(torch.argsort(queries, stable=True))
