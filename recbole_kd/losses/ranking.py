"""Losses on the order of items."""

import torch
from torch.nn.functional import softplus

from recbole_kd.losses.numerics import at_least_float32, mask_logits


def plackett_luce(
    listed: torch.Tensor, tail: torch.Tensor, listed_mask: torch.Tensor, tail_mask: torch.Tensor
) -> torch.Tensor:
    r"""Negative log-likelihood, by Plackett and Luce, of a list in its order above an unordered tail.

    .. math:: \ell = \sum_k \Big(\log\big(\sum_{i \ge k} e^{x_i} + \sum_j e^{y_j}\big) - x_k\Big)

    Args:
        listed: scores x in the wanted order, best first, shape [n, K].
        tail: scores y of what belongs below the list, shape [n, L].
        listed_mask: bool, shape [n, K]: which entries of the list count.
        tail_mask: bool, shape [n, L]: which entries of the tail count.

    Returns:
        shape [n], the sum over the positions; a row whose list is empty counts 0.

    Source: Kang et al. 2020 (DE-RRD), the relaxed permutation probability.

    >>> everything = torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    >>> plackett_luce(torch.zeros(1, 2), torch.zeros(1, 1), *everything)  # log 3 + log 2
    tensor([1.7918])
    """
    listed, tail = mask_logits(at_least_float32(listed), listed_mask), mask_logits(at_least_float32(tail), tail_mask)
    suffix = listed.flip(-1).logcumsumexp(-1).flip(-1)
    remaining = torch.logaddexp(suffix, tail.logsumexp(-1, keepdim=True))
    return torch.where(listed_mask, remaining - listed, 0.0).sum(-1)


def above_tail(listed: torch.Tensor, tail: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    r"""Rank each listed item above all of the tail, without an order among the listed items.

    .. math:: \ell = \sum_k \Big(\log\big(e^{x_k} + \sum_j e^{y_j}\big) - x_k\Big)

    Args:
        listed: scores x, shape [n, K].
        tail: :math:`\log \sum_j e^{y_j}`, shape [n].
        mask: bool, shape [n, K]: which entries count.

    Returns:
        shape [n].

    Source: Kang et al., WWW 2023 (HetComp), the overall ranking of the adaptive transfer.

    >>> above_tail(torch.zeros(1, 2), torch.zeros(1), torch.ones(1, 2, dtype=torch.bool))  # 2 log 2
    tensor([1.3863])
    """
    listed, tail = at_least_float32(listed), at_least_float32(tail)
    return torch.where(mask, softplus(tail[:, None] - listed), 0.0).sum(-1)


def extend_tail(tail: torch.Tensor, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    r"""Add entries to a tail that is given by the logarithm of its sum.

    Args:
        tail: :math:`\log \sum_j e^{y_j}`, shape [n].
        scores: of the further entries, shape [n, K].
        mask: bool, shape [n, K]: which of them count.

    Returns:
        the logarithm of the longer tail's sum, shape [n].

    >>> extend_tail(torch.zeros(1), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool))  # log 3
    tensor([1.0986])
    """
    if not scores.shape[1]:
        return tail
    return torch.logaddexp(tail, mask_logits(at_least_float32(scores), mask).logsumexp(1))


def nested_ranking(
    listed: torch.Tensor,
    known: torch.Tensor,
    tail: torch.Tensor,
    listed_mask: torch.Tensor,
    known_mask: torch.Tensor,
    cuts: tuple[int, int],
) -> torch.Tensor:
    r"""A list's two beginnings and a second list, each in its order above what follows.

    .. math:: \ell = PL(P; Z_h) + \tfrac12 \big(PL(T_{1..h}; Z_h) + PL(T_{1..c}; Z_c)\big)

    Args:
        listed: scores of T, best first, shape [n, K].
        known: scores of P, best first, shape [n, L].
        tail: the logarithm of the sum beyond T, shape [n].
        listed_mask: bool, shape [n, K]: which entries of T count.
        known_mask: bool, shape [n, L]: which entries of P count.
        cuts: h and c, with c <= h <= K; :math:`Z_q` is the tail together with T beyond q.

    Returns:
        shape [n].

    Source: Kang et al., WWW 2023 (HetComp), the adaptive transfer.

    >>> mask = torch.ones(1, 2, dtype=torch.bool)
    >>> nested_ranking(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1), mask, mask, (1, 1))
    tensor([3.5835])
    """
    half, tenth = cuts
    below_half = extend_tail(tail, listed[:, half:], listed_mask[:, half:])
    below_tenth = extend_tail(below_half, listed[:, tenth:half], listed_mask[:, tenth:half])

    def likelihood(scores: torch.Tensor, mask: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
        below = below[:, None]
        return plackett_luce(scores, below, mask, torch.ones_like(below, dtype=torch.bool))

    return likelihood(known, known_mask, below_half) + 0.5 * (
        likelihood(listed[:, :half], listed_mask[:, :half], below_half)
        + likelihood(listed[:, :tenth], listed_mask[:, :tenth], below_tenth)
    )
