"""Losses on the order of items."""

import torch
from torch.nn.functional import softplus

from recbole_kd.losses import at_least_float32, mask_logits


def plackett_luce(listed, tail, there, tail_there):
    r"""Negative log-likelihood, by Plackett and Luce, of a list in its order above a tail without one.

    .. math:: \ell = \sum_k \Big(\log\big(\sum_{i \ge k} e^{x_i} + \sum_j e^{y_j}\big) - x_k\Big)

    Args:
        listed: scores x in the order that is wanted, best first, shape [n, K].
        tail: scores y of what belongs below the list, shape [n, L].
        there: bool, shape [n, K]: which entries of the list count.
        tail_there: bool, shape [n, L], likewise.

    Returns:
        shape [n], the sum over the positions; a row whose list is empty counts 0.

    Source: Kang et al. 2020 (DE-RRD), the relaxed permutation probability.
    """
    listed, tail = mask_logits(at_least_float32(listed), there), mask_logits(at_least_float32(tail), tail_there)
    from_here = listed.flip(-1).logcumsumexp(-1).flip(-1)
    remaining = torch.logaddexp(from_here, tail.logsumexp(-1, keepdim=True))
    return torch.where(there, remaining - listed, 0.0).sum(-1)


def above_tail(listed, tail, there):
    r"""Each listed item by itself above a tail, without an order among the listed.

    .. math:: \ell = \sum_k \Big(\log\big(e^{x_k} + \sum_j e^{y_j}\big) - x_k\Big)

    Args:
        listed: scores x, shape [n, K].
        tail: the logarithm of the tail's sum, shape [n].
        there: bool, shape [n, K]: which entries count.

    Returns:
        shape [n].

    Source: Kang et al., WWW 2023 (HetComp), the overall ranking of the adaptive transfer.
    """
    listed, tail = at_least_float32(listed), at_least_float32(tail)
    return torch.where(there, softplus(tail[:, None] - listed), 0.0).sum(-1)
