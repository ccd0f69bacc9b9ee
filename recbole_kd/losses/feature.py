"""Losses between vectors of student and teacher, and on the projectors between the two spaces."""

import torch
from torch.nn.functional import logsigmoid, normalize, relu

from recbole_kd.losses.numerics import at_least_float32


def cosine_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """One minus the cosine of each pair of rows. A zero vector has the cosine 0.

    Args:
        student: vectors, shape [n, d].
        teacher: vectors, shape [n, d].

    Returns:
        shape [n].

    >>> cosine_loss(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[5.0, 0.0], [1.0, -1.0]]))
    tensor([0., 1.])
    """
    return 1.0 - (normalize(at_least_float32(student), dim=-1) * normalize(at_least_float32(teacher), dim=-1)).sum(-1)


def squared_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distance of each pair of rows.

    Args:
        student: vectors, shape [n, d].
        teacher: vectors, shape [n, d].

    Returns:
        shape [n].

    >>> squared_distance(torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, 6.0]]))
    tensor([25.])
    """
    return (at_least_float32(student) - at_least_float32(teacher)).square().sum(-1)


def mix_soft(vectors: torch.Tensor, neighbours: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mix each vector with that of a neighbour, coordinate by coordinate.

    Args:
        vectors: shape [n, d].
        neighbours: shape [n, d].
        weight: the share of ``vectors``, shape [n, d].

    Returns:
        shape [n, d].

    Source: Zhu & Zhang 2311.04549 v1, NKD; in its current code the weight is drawn from U(0, 2 alpha).

    >>> mix_soft(torch.tensor([[4.0, 4.0]]), torch.tensor([[0.0, 8.0]]), torch.tensor([[0.25, 0.75]]))
    tensor([[1., 5.]])
    """
    return weight * vectors + (1.0 - weight) * neighbours


def pair_consistency(before: torch.Tensor, after: torch.Tensor, form: str = "hinge") -> torch.Tensor:
    r"""Whether a projector keeps the order of two items, a value for each pair.

    Args:
        before: score difference before the projector, :math:`\Delta a`, shape [n]; no gradient flows into it.
        after: score difference after it, :math:`\Delta b`, shape [n].
        form: ``hinge``, :math:`\max(0, -\Delta a \Delta b)` (v1), or ``logistic``,
            :math:`-\log \sigma(\Delta a \Delta b)` (v2).

    Returns:
        shape [n].

    Source: Zhu & Zhang 2311.04549, CPD (v1) and PCKD (v2).

    >>> pair_consistency(torch.tensor([1.0, 1.0]), torch.tensor([2.0, -2.0]))
    tensor([0., 2.])
    """
    product = at_least_float32(before.detach()) * at_least_float32(after)
    return relu(-product) if form == "hinge" else -logsigmoid(product)
