"""A teacher's scores combined with a neighbourhood model: items near, in its space, to what a user has seen."""

import torch
from torch.nn.functional import normalize

from recbole_kd.backbone.views import FactorView


def with_neighbours(view: FactorView, positives: tuple[torch.Tensor, torch.Tensor], weight: float) -> FactorView:
    r"""Factors of the scores

    .. math:: s'_{ui} = s_{ui} + \beta \frac{\sigma_u(s)}{\sigma_u(h)} h_{ui}, \qquad
              h_{ui} = \frac{1}{|H_u|} \sum_{j \in H_u} \cos(e_i, e_j)

    where :math:`H_u` is what the user has seen in training, :math:`e` the teacher's item factors, and
    :math:`\sigma_u` the standard deviation over the catalogue. h is an item-based neighbourhood model in the teacher's
    space; the ratio gives both summands the same scale for each user. A user without training items keeps the
    teacher's scores.

    Args:
        view: the teacher's FactorView, of width d.
        positives: the training pairs, two int64 tensors (users, items), sorted by user.
        weight: beta.

    Returns:
        A FactorView of width 2d.

    Source: ours; neighbours in the teacher's space are the knowledge of Zhu & Zhang's NKD (arXiv 2311.04549 v1), which
    mixes their vectors.
    """
    users, items = view.query_table, view.item_table
    unit = normalize(items, dim=1)
    unit[0] = 0.0  # padding
    history = _mean_history(unit, positives, len(users))
    score_sd, history_sd = _score_deviations(users, items), _score_deviations(history, unit)
    ratio = torch.where(history_sd > 0, score_sd / history_sd.clamp(min=1e-12), 0.0)
    return FactorView(torch.cat([users, weight * ratio[:, None] * history], 1), torch.cat([items, unit], 1))


def _mean_history(vectors: torch.Tensor, positives: tuple[torch.Tensor, torch.Tensor], n: int) -> torch.Tensor:
    """The mean vector of each user's items, shape [n, d]; zeros for a user without items."""
    users, items = (ids.cpu() for ids in positives)  # sums on a GPU differ from call to call
    counts = torch.bincount(users, minlength=n)
    starts = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    relation = torch.sparse_csr_tensor(starts, items, 1.0 / counts[users], (n, len(vectors)), check_invariants=False)
    return (relation @ vectors.cpu()).to(vectors.device)


def _score_deviations(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """The standard deviation of each user's scores over the catalogue without padding, shape [n]."""
    covariance = items[1:].T.cov(correction=0)
    return ((users @ covariance) * users).sum(1).clamp(min=0).sqrt()
