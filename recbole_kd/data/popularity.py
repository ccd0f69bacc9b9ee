"""Groups of items by their number of training pairs, and how pairs are shared among the groups."""

import torch


def popularity_groups(counts: torch.Tensor, groups: int) -> tuple[torch.Tensor, ...]:
    """Cut the items, the most popular first, into groups of about the same number of training pairs.

    A group is closed before the item that would take it above the average; an item that alone exceeds the
    average forms a group. What is left at the end joins the last group where it is half the average or less.

    Args:
        counts: how many training pairs each item has, int64, shape [m + 1]; an item without any is in no group.
        groups: G, the largest number of groups. The authors' code can make more and then stops with an error; here
            the last group takes the rest.

    Returns:
        The ids of each group's items, at most G int64 tensors.

    Source: Chen et al., WSDM 2023 (UnKD), after the authors' code.
    """
    items = torch.argsort(counts, descending=True, stable=True)
    items = items[counts[items] > 0]
    cumulative = counts[items].cumsum(0)
    total, before, cuts = int(cumulative[-1]), 0, [0]
    while len(cuts) < groups:
        # integers: the last item whose cumulative count is at most before + total / groups
        stop = max(int(torch.searchsorted(cumulative * groups, before * groups + total, right=True)), cuts[-1] + 1)
        if stop >= len(items):
            break
        cuts.append(stop)
        before = int(cumulative[stop - 1])
    if len(cuts) > 1 and 2 * groups * (total - before) <= total:
        cuts.pop()
    return items.tensor_split(cuts[1:])


def group_quotas(means: torch.Tensor, total: int, power: float) -> torch.Tensor:
    r"""Share out ``total`` pairs among the groups, more to the less popular.

    .. math:: n_g \propto \rho_g^\lambda, \quad \rho_g \propto \max c + \min c - c_g

    with :math:`\rho` normalised, rounded to two decimals and at least 0.1. Rounded down, and one more to each of the
    first groups until the total is reached.

    Args:
        means: c, how many training pairs a group's item has on average, shape [G].
        total: how many pairs there are to share out.
        power: lambda; 0: equal shares.

    Returns:
        int64, shape [G].

    Source: Chen et al., WSDM 2023 (UnKD), after the authors' code, whose rounding can exceed the total.
    """
    inverse = means.max() + means.min() - means.double()
    share = (inverse / inverse.sum()).round(decimals=2).clamp(min=0.1) ** power
    count = (total * share / share.sum() + 1e-9).long()
    count[: total - int(count.sum())] += 1
    return count
