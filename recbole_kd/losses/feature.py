"""Losses between vectors of student and teacher, and on the projectors that lie between them."""

from torch.nn.functional import logsigmoid, normalize, relu

from recbole_kd.losses import at_least_float32


def cosine_loss(student, teacher):
    """1 - cosine of each pair of rows; shapes [n, d] and [n, d], result [n]. A zero vector has cosine 0."""
    return 1.0 - (normalize(at_least_float32(student), dim=-1) * normalize(at_least_float32(teacher), dim=-1)).sum(-1)


def squared_distance(student, teacher):
    """Squared Euclidean distance of each pair of rows; shapes [n, d] and [n, d], result [n]."""
    return (at_least_float32(student) - at_least_float32(teacher)).square().sum(-1)


def mix_soft(own, other, weight):
    """``weight`` of the own vector and the rest of the other, by coordinate. All shapes [n, d].

    Source: Zhu & Zhang 2311.04549 v1, NKD; in its current code the weight is drawn from U(0, 2 alpha).
    """
    return weight * own + (1.0 - weight) * other


def pair_consistency(before, after, form="hinge"):
    r"""Whether a projector keeps the order of two items, a value for each pair.

    Args:
        before: score difference before the projector, :math:`\Delta a`, shape [n].
        after: score difference after it, :math:`\Delta b`, shape [n].
        form: ``hinge``, :math:`\max(0, -\Delta a \Delta b)` (v1), or ``logistic``,
            :math:`-\log \sigma(\Delta a \Delta b)` (v2).

    Source: Zhu & Zhang 2311.04549, CPD (v1) and PCKD (v2).
    """
    product = at_least_float32(before.detach()) * at_least_float32(after)
    return relu(-product) if form == "hinge" else -logsigmoid(product)
