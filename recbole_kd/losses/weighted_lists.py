"""Losses on the entries of a teacher's list, each with a weight: DLLM2Rec's ranking distillation."""

import torch
from torch.nn.functional import softplus

from recbole_kd.losses.numerics import at_least_float32, mask_logits
from recbole_kd.losses.pointwise import weighted_positives


def list_weights(
    mask: torch.Tensor,
    distances: torch.Tensor | None,
    common: torch.Tensor | None,
    gammas: tuple[float, float, float],
    decay: float = 1.0,
) -> torch.Tensor:
    r"""The weights of the entries of a list, which sum to 1.

    .. math:: w_k \propto \gamma_p w^{pos}_k + \gamma_c w^{conf}_k + \gamma_o w^{com}_k, \quad
        w^{pos}_k = \frac{e^{-k / \lambda}}{\sum_j e^{-j / \lambda}}, \quad
        w^{conf}_k = \frac{e^{-d_k}}{\sum_j e^{-d_j}}, \quad w^{com}_k = [k \text{ in common}]

    Args:
        mask: which slots of the lists are filled, bool, shape [n, K]; the best entry is first.
        distances: d, how unsure the teacher is of each entry, shape [n, K]; None: w^conf is 0.
        common: which entries the student has in its own list, bool, shape [n, K]; None: w^com is 0.
        gammas: gamma_p, gamma_c and gamma_o, each >= 0.
        decay: lambda > 0.

    Returns:
        shape [n, K]; 0 in an unfilled slot, and throughout a list whose weights are all 0.

    Source: Cui et al., RecSys 2024 (DLLM2Rec).

    >>> filled, common = torch.tensor([[True, True]]), torch.tensor([[False, True]])
    >>> list_weights(filled, None, common, (1.0, 0.0, 1.0), decay=1e9)  # (1/2, 1/2) + (0, 1), over 2
    tensor([[0.2500, 0.7500]])
    """
    position, confidence, consistency = gammas
    rank = torch.arange(1, mask.shape[1] + 1, dtype=torch.float32, device=mask.device)
    weights = position * _shares((-rank / decay).expand(mask.shape), mask)
    if distances is not None:
        weights = weights + confidence * _shares(-at_least_float32(distances), mask)
    if common is not None:
        weights = weights + consistency * common.float()
    weights = torch.where(mask, weights, 0.0)
    return weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


def _shares(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The softmax over the filled slots."""
    return torch.where(mask, mask_logits(torch.where(mask, logits, 0.0), mask).softmax(1), 0.0)


def weighted_pairs(
    scores: torch.Tensor,
    negatives: torch.Tensor,
    weights: torch.Tensor,
    drawn: torch.Tensor,
    margin: bool = False,
) -> torch.Tensor:
    r"""Each entry of a list as a positive item beside one negative item.

    .. math:: \ell_u = \sum_k w_{uk} \big(-\log \sigma(s_{uk}) - \log(1 - \sigma(s_{un}))\big)

    Args:
        scores: student logits of the list, shape [n, K].
        negatives: student logits of the negative item, shape [n].
        weights: w, shape [n, K].
        drawn: whether there is a negative item, bool, shape [n].
        margin: the second part as in the authors' code, :math:`-\log \sigma(1 - s_{un})`.

    Returns:
        shape [n].

    Source: Cui et al., RecSys 2024 (DLLM2Rec).

    >>> scores, negative, drawn = torch.tensor([[0.0, 2.0]]), torch.tensor([0.0]), torch.tensor([True])
    >>> weighted_pairs(scores, negative, torch.tensor([[0.5, 0.5]]), drawn)  # (log 2 + 0.1269) / 2 + log 2
    tensor([1.1032])
    """
    negatives = at_least_float32(negatives).masked_fill(~drawn, 0.0)
    negative = softplus(negatives - 1.0 if margin else negatives)
    return weighted_positives(scores, weights) + torch.where(drawn, weights.sum(1) * negative, 0.0)
