"""Cross entropies against softened labels."""

import torch
from torch.nn.functional import log_softmax

from recbole_kd.losses.numerics import at_least_float32, mask_logits


def soft_label_loss(
    scores: torch.Tensor, labels: torch.Tensor, tau: float = 1.0, mask: torch.Tensor | None = None
) -> torch.Tensor:
    r"""Cross entropy between two softmax distributions over the same candidates, row by row.

    .. math:: \ell_u = -\sum_{i \in C_u} q_{ui} \log \mathrm{softmax}_i(s_{ui} / \tau),
        \quad q_u = \mathrm{softmax}(y_u / \tau)

    Args:
        scores: student logits, shape [n, c].
        labels: label logits, shape [n, c]; no gradient flows into them.
        tau: temperature, > 0.
        mask: bool, shape [n, c]: which candidates count; all where None. A row without any counts 0.

    Returns:
        shape [n].

    Source: Hinton et al. 2015; Zhu & Zhang 2311.04549 v1 (SLD, reconstructed), with labels of both models.

    >>> soft_label_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 1.0]]))  # log 2, whatever the labels
    tensor([0.6931])
    >>> soft_label_loss(torch.tensor([[2.0, 0.0, 5.0]]), torch.tensor([[2.0, 0.0, 5.0]]), tau=2.0,
    ...                 mask=torch.tensor([[True, True, False]]))  # the entropy of (0.7311, 0.2689)
    tensor([0.5822])
    """
    scores, labels = at_least_float32(scores) / tau, at_least_float32(labels.detach()) / tau
    if mask is not None:
        scores, labels = mask_logits(scores, mask), mask_logits(labels, mask)
    loss = -(log_softmax(labels, dim=-1).exp() * log_softmax(scores, dim=-1))
    return loss.sum(-1) if mask is None else torch.where(mask, loss, 0.0).sum(-1)


def mixed_logits(teacher: torch.Tensor, student: torch.Tensor, gamma: float) -> torch.Tensor:
    """Geometric mixture of two label distributions: a mixture of their logits.

    An arithmetic mixture of the probabilities would have no effect: its gradient is the teacher's, scaled by 1 - gamma.

    Args:
        teacher: logits, any shape.
        student: logits, the same shape; no gradient flows into them.
        gamma: the student's share, from 0 to 1.

    Returns:
        logits, the same shape.

    >>> mixed_logits(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0]), gamma=0.25)
    tensor([1.5000, 1.0000])
    """
    return (1.0 - gamma) * teacher + gamma * student.detach()
