"""What knowledge from files has in common: lists, item vectors, or both."""

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.errors import KDError
from recbole_kd.knowledge.base import TRAJECTORY_K, BaseKnowledge


class GivenKnowledge(BaseKnowledge):
    """Knowledge that a file gives and no model. It has item vectors where ``add_item_vectors`` was called."""

    _items: torch.Tensor | None = None

    def add_item_vectors(self, vectors: torch.Tensor) -> None:
        """Offer the vectors of the items as well.

        Args:
            vectors: shape [n_items, d_T]; row 0 is the padding.
        """
        self._items = vectors.to(self.device)
        self.capabilities, self.width = self.capabilities | Capability.ITEM_VECTORS, vectors.shape[1]

    def factors(self, side: str) -> torch.Tensor:
        """The vectors of the items, shape [n_items, d_T].

        Args:
            side: must be ``item``: there are none of users.
        """
        assert side == "item" and self._items is not None  # what the capabilities say is all that is asked for
        return self._items

    def trajectories(self, states: int, k: int) -> list[torch.Tensor]:
        """The file's lists, at a single moment: a file has no training."""
        return [self.top_items(max(k, min(TRAJECTORY_K, self.max_list_length))).ids[None]]


class ItemVectorsKnowledge(GivenKnowledge):
    """A file of item vectors alone; it ranks nothing.

    Args:
        vectors: shape [n_items, d_T]; row 0 is the padding.
        n_queries: as for BaseKnowledge.
        positives: as for BaseKnowledge.
        device: as for BaseKnowledge.
    """

    capabilities = Capability(0)

    def __init__(
        self,
        vectors: torch.Tensor,
        n_queries: int,
        positives: tuple[torch.Tensor, torch.Tensor],
        device: torch.device | str,
    ) -> None:
        super().__init__(n_queries, len(vectors), positives, device)
        self.add_item_vectors(vectors)


def refuse_seen(file: str) -> None:
    """Refuse to rank what was seen in training: a file of scores has no complete ranking of it. Raises KDError."""
    raise KDError(f"'{file}' ranks what users have not seen; this method wants what they have seen among it")
