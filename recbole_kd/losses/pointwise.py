"""Losses on single scores and on pairs of them, summed over each row."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from recbole_kd.losses.numerics import at_least_float32


def weighted_positives(scores: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    r"""Each item of a list as a positive one, with its weight.

    .. math:: \ell_u = -\sum_k w_{uk} \log \sigma(s_{uk})

    Args:
        scores: student logits, shape [n, c].
        weights: not negative, shape [n, c]; no gradient flows into them, and a score of weight 0 is ignored, even if
            it is not finite.

    Returns:
        shape [n].

    Source: Tang & Wang, KDD 2018 (RD).

    >>> weighted_positives(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.5]]))  # log 2 + 0.5 * 0.1269
    tensor([0.7566])
    """
    weights = at_least_float32(weights.detach())
    scores = at_least_float32(scores).masked_fill(weights == 0, 0.0)
    return -(weights * logsigmoid(scores)).sum(-1)


def rank_discrepancy(scores: torch.Tensor, sampled: torch.Tensor, size: int, mu: float) -> torch.Tensor:
    r"""How far the student ranks each item of a list below its position in it, estimated from sampled items.

    .. math:: w_{uk} = \max(0, \tanh(\mu (\hat r_{uk} - k))), \quad
        \hat r_{uk} = \lfloor (m - 1) \, |\{d: s_{ud} > s_{uk}\}| / D \rfloor

    Args:
        scores: student logits of the list, best first, shape [n, c]; k counts from 0.
        sampled: student logits of D other items, shape [n, D].
        size: m, the number of items that are ranked.
        mu: how sharply a difference counts.

    Returns:
        shape [n, c], without a gradient.

    Source: Tang & Wang, KDD 2018 (RD).

    >>> # half of the sample is above the second item: its rank among 11 is 5, its position 1
    >>> rank_discrepancy(torch.tensor([[9.0, 1.0]]), torch.tensor([[2.0, 0.0]]), size=11, mu=0.1)
    tensor([[0.0000, 0.3799]])
    """
    scores, sampled = at_least_float32(scores.detach()), at_least_float32(sampled.detach())
    drawn = sampled.shape[-1]
    above = drawn - torch.searchsorted(sampled.sort(-1).values, scores.contiguous(), right=True)
    rank = (size - 1) * above // drawn
    position = torch.arange(scores.shape[-1], dtype=scores.dtype, device=scores.device)
    return (mu * (rank - position)).tanh().clamp(min=0.0)


def soft_binary_loss(scores: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    r"""Binary cross entropy against a probability for each item.

    .. math:: \ell_u = -\sum_i y_{ui} \log \sigma(s_{ui}) + (1 - y_{ui}) \log(1 - \sigma(s_{ui}))

    Args:
        scores: student logits, shape [n, c].
        labels: probabilities, shape [n, c]; no gradient flows into them.
        mask: bool, shape [n, c]: which items count; all where None.

    Returns:
        shape [n].

    Source: Lee et al., ICDM 2019 (CD).

    >>> soft_binary_loss(torch.tensor([[0.0, 2.0]]), torch.tensor([[0.7, 1.0]]))  # log 2 + 0.1269
    tensor([0.8201])
    """
    scores, labels = at_least_float32(scores), at_least_float32(labels.detach())
    if mask is not None:
        scores, labels = scores.masked_fill(~mask, 0.0), labels.masked_fill(~mask, 0.0)
    loss = binary_cross_entropy_with_logits(scores, labels, reduction="none")
    return loss.sum(-1) if mask is None else torch.where(mask, loss, 0.0).sum(-1)


def pair_loss(better: torch.Tensor, worse: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    r"""Two items in their order, pair by pair: :math:`\ell_u = -\sum_p \log \sigma(s_{u,p^+} - s_{u,p^-})`.

    Args:
        better: student logits of the items that should rank higher, shape [n, p].
        worse: those of the other items, shape [n, p].
        mask: bool, shape [n, p]: which pairs count; all where None.

    Returns:
        shape [n].

    Source: Chen et al., WSDM 2023 (UnKD).

    >>> pair_loss(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 1.0]]))  # 0.1269 + log 2
    tensor([0.8201])
    """
    distance = at_least_float32(better) - at_least_float32(worse)
    if mask is not None:
        distance = distance.masked_fill(~mask, 0.0)
    loss = -logsigmoid(distance)
    return loss.sum(-1) if mask is None else torch.where(mask, loss, 0.0).sum(-1)
