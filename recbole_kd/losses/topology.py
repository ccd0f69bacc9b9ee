"""Losses between the relations of entities: the cosines among the student's vectors and among the teacher's."""

import torch
from torch.nn.functional import normalize, one_hot

from recbole_kd.losses import at_least_float32

ROWS = 256  # at a time


def cosines(rows, others):
    """The cosine of each row with each other one; shapes [n, d] and [m, d], result [n, m]. A zero vector has 0."""
    rows, others = (normalize(at_least_float32(part), dim=-1) for part in (rows, others))
    with torch.autocast(rows.device.type, enabled=False):
        return rows @ others.T


def full_topology(student, teacher):
    r"""How far an entity's cosines with all entities, itself included, are from the teacher's.

    .. math:: \ell_x = \tfrac1n \sum_y (\cos(s_x, s_y) - \cos(t_x, t_y))^2

    Args:
        student: shape [n, d_S].
        teacher: shape [n, d_T].

    Returns:
        shape [n]. No n x n matrix is made: with unit rows, :math:`\sum_y (s_x s_y^T)(t_x t_y^T) = s_x (S^T T) t_x^T`.

    Source: FTD (Kang et al. 2021), after the authors' code.
    """
    student, teacher = (normalize(at_least_float32(part), dim=-1) for part in (student, teacher))
    with torch.autocast(student.device.type, enabled=False):  # small differences of large sums

        def over_all(one, other):
            return ((one @ (one.T @ other)) * other).sum(-1)

        squares = over_all(student, student) + over_all(teacher, teacher)
        return (squares - 2.0 * over_all(student, teacher)) / max(len(student), 1)


def group_topology(student, teacher, groups, by="entity", only_positive=False):
    r"""How far the cosines within groups, and those with the groups' prototypes, are from the teacher's.

    Args:
        student: shape [n, d_S].
        teacher: shape [n, d_T].
        groups: the group of each row, shape [n].
        by: what a prototype, the mean of its group's rows, is compared with: each ``entity``, and no gradient flows
            through the prototypes, or each other ``prototype``, with a gradient.
        only_positive: whether pairs within a group whose teacher's cosine is not above 0 are left out.

    Returns:
        (within, across): a squared difference for each pair of rows of the same group that counts, shape [p], and one
        for each group there is with each row (or group), shape [g n] (or [g g]). Some rows at a time: no n x n matrix.

    Source: HTD (Kang et al. 2021), after the authors' code, where ``prototype`` has no gradient at all.
    """
    order = torch.argsort(groups, stable=True)
    units = tuple(part[order] for part in (student, teacher))
    within = []
    for rows, partners, same in _runs(groups[order]):
        of_student, of_teacher = (cosines(part[rows], part[partners]) for part in units)
        counts = same & (of_teacher > 0) if only_positive else same
        within.append((of_student - of_teacher)[counts.nonzero(as_tuple=True)].square())
    own, theirs = prototypes(student, groups), prototypes(teacher, groups)
    if by == "entity":
        gap = cosines(own.detach(), student) - cosines(theirs, teacher)
    else:
        gap = cosines(own, own) - cosines(theirs, theirs)
    return torch.cat(within), gap.square().flatten()


def _runs(groups):
    """Of sorted groups some rows at a time: these, the run of rows that share a group with any, and which pairs do."""
    first = torch.arange(0, len(groups), ROWS, device=groups.device)
    last = (first + ROWS).clamp(max=len(groups)) - 1
    reach = torch.searchsorted(groups, groups[first]), torch.searchsorted(groups, groups[last], right=True)
    for start, low, high in torch.stack([first, *reach], 1).tolist():
        rows, partners = slice(start, start + ROWS), slice(low, high)
        yield rows, partners, groups[rows, None] == groups[partners]


def prototypes(vectors, groups):
    """The mean of each group's rows: vectors [n, d], groups [n]; result [g, d], the groups there are, ascending."""
    member = one_hot(groups.unique(return_inverse=True)[1]).T.to(at_least_float32(vectors).dtype)
    with torch.autocast(vectors.device.type, enabled=False):
        return member @ at_least_float32(vectors) / member.sum(1, keepdim=True)
