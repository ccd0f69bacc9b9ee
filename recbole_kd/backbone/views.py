"""What a term reads of a model in one step: scores, and where they are inner products the vectors that make them."""

from typing import Any

import torch
from torch.nn.functional import embedding

from recbole_kd.losses import at_least_float32
from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.pair_scores import pair_scores


class View:
    """The scores of one step. Gradients flow where the step allows them.

    A subclass gives ``score_all``, and overrides what it can compute at less cost.

    Attributes:
        numbers_per_score: how many numbers are held for a score of ``score``, which bounds the blocks.
    """

    numbers_per_score: int = 1

    def score_all(self, queries: torch.Tensor) -> torch.Tensor:
        """Scores (logits) of all items, padding included: queries [n], result [n, m + 1]."""
        raise NotImplementedError

    def score(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Scores (logits) of chosen pairs: queries [n], items [n, c], result [n, c]."""
        return torch.gather(self.score_all(queries), 1, items.long())

    def score_cross(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Scores of the same items for each query: queries [n], items [c], result [n, c]."""
        return self.score_all(queries)[:, items]

    def score_in_blocks(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """``score`` of many pairs without gradient, in blocks: vectors take more memory than scores.

        Args:
            queries: shape [n].
            items: shape [n, c].

        Returns:
            shape [n, c].
        """
        scores = torch.empty(items.shape, device=items.device)  # made first: small results would pin large leftovers
        for rows in row_blocks(len(queries), items.shape[1] * self.numbers_per_score, "cpu"):
            scores[rows] = self.score(queries[rows], items[rows])
        return scores


class FactorView(View):
    """Query and item factors of one step, after propagation: vectors whose inner product is the score.

    Args:
        query_table: shape [n + 1, d], row 0 is padding; None where a subclass makes the vectors of a step's queries.
        item_table: shape [m + 1, d], row 0 is padding.
    """

    query_table: Any
    item_table: Any

    def __init__(self, query_table: torch.Tensor | None, item_table: torch.Tensor) -> None:
        self.query_table, self.item_table = query_table, item_table

    @property
    def width(self) -> int:
        """d, the factors' width; for NGCF that of all its layers together."""
        return self.item_table.shape[-1]

    @property
    def numbers_per_score(self) -> int:  # type: ignore[override]  # the numbers of an item's vector
        """As of View."""
        return self.width

    def query_vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of queries, shape [..., d] for ids of shape [...]."""
        return embedding(ids, self.query_table)

    def item_vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of items, shape [..., d] for ids of shape [...]."""
        return embedding(ids, self.item_table)

    def score(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """As of View, in float32 at least."""
        return pair_scores(self.query_vectors(queries), self.item_table, items)

    def score_items(self, items: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Scores of chosen queries for each item: items [n], queries [n, c], result [n, c]."""
        return pair_scores(self.item_vectors(items), self.query_table, queries)

    def score_all(self, queries: torch.Tensor) -> torch.Tensor:
        """As of View, in float32 at least."""
        return _inner_products(self.query_vectors(queries), self.item_table)

    def score_cross(self, queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """As of View, in float32 at least."""
        return _inner_products(self.query_vectors(queries), self.item_vectors(items))


def _inner_products(queries: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    with torch.autocast(queries.device.type, enabled=False):
        return at_least_float32(queries) @ at_least_float32(items).T
