"""Cross entropies against softened labels."""

import torch
from torch.nn.functional import log_softmax

from recbole_kd.losses import at_least_float32, mask_logits


def soft_label_loss(scores, labels, tau=1.0, mask=None):
    r"""Cross entropy between two softmax distributions over the same candidates, a row each.

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
    """
    scores, labels = at_least_float32(scores) / tau, at_least_float32(labels.detach()) / tau
    if mask is not None:
        scores, labels = mask_logits(scores, mask), mask_logits(labels, mask)
    loss = -(log_softmax(labels, dim=-1).exp() * log_softmax(scores, dim=-1))
    return loss.sum(-1) if mask is None else torch.where(mask, loss, 0.0).sum(-1)


def mixed_logits(teacher, student, gamma):
    """Geometric mixture of two label distributions: their logits mixed, shape as given; gamma is the student's share.

    An arithmetic mixture of the probabilities would do nothing: its gradient is the teacher's, scaled by 1 - gamma.
    """
    return (1.0 - gamma) * teacher + gamma * student.detach()
