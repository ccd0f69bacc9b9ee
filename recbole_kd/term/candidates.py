"""The items that a term compares for each user, held from one refresh to the next."""

import torch
from torch import nn

from recbole_kd.ops.sampling import first_occurrence_mask


class CandidateTable(nn.Module):
    """Ids for each row, and where asked for the teacher's scores of them.

    Args:
        n: number of rows, padding included.
        columns: candidates of a row.
        device: where the table lives.
        with_scores: whether teacher scores are held too.

    Attributes:
        ids: int32, shape [n, columns]; 0 in an unfilled slot.
        scores: float32, the same shape; empty without scores.
    """

    ids: torch.Tensor
    scores: torch.Tensor

    def __init__(self, n: int, columns: int, device: torch.device | str, with_scores: bool = False) -> None:
        super().__init__()
        self.register_buffer("ids", torch.zeros((n, columns), dtype=torch.int32, device=device))
        shape = (n, columns if with_scores else 0)
        self.register_buffer("scores", torch.zeros(shape, device=device), persistent=with_scores)

    @property
    def mask(self) -> torch.Tensor:
        """Which slots are filled, bool, shape [n, columns]."""
        return self.ids > 0

    def fill(self, ids: torch.Tensor, mask: torch.Tensor) -> None:
        """Replace the candidates; an id that occurs again in its row is left out, as is the padding row.

        Args:
            ids: shape [n, columns].
            mask: bool, the same shape; which ids count.
        """
        ids = distinct_ids(ids, mask)
        ids[0] = 0
        self.ids.copy_(ids)


def distinct_ids(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The ids that count, shape [n, columns]; 0 where the mask is False, and where an id occurs again in its row.

    >>> distinct_ids(torch.tensor([[5, 7, 5]]), torch.tensor([[True, False, True]]))
    tensor([[5, 0, 0]])
    """
    return torch.where(first_occurrence_mask(ids, mask), ids, 0)
