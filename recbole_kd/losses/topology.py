"""Losses between the relations of entities: the cosines among the student's vectors and among the teacher's."""

from collections.abc import Iterator

import torch
from torch.nn.functional import normalize, one_hot

from recbole_kd.losses.numerics import at_least_float32

ROWS_AT_ONCE = 256  # whose cosines are held together


def cosines(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The cosine of each row with each of the others. A zero vector has the cosine 0.

    Args:
        rows: vectors, shape [n, d].
        others: vectors, shape [m, d].

    Returns:
        shape [n, m].

    >>> cosines(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0]]))
    tensor([[ 1.,  0., -1.]])
    """
    rows, others = (normalize(at_least_float32(vectors), dim=-1) for vectors in (rows, others))
    with torch.autocast(rows.device.type, enabled=False):
        return rows @ others.T


def full_topology(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    r"""How far an entity's cosines with all entities, itself included, are from the teacher's.

    .. math:: \ell_x = \tfrac1n \sum_y (\cos(s_x, s_y) - \cos(t_x, t_y))^2

    No n x n matrix is made: with unit rows, :math:`\sum_y (s_x s_y^T)(t_x t_y^T) = s_x (S^T T) t_x^T`.

    Args:
        student: vectors, shape [n, d_S].
        teacher: vectors, shape [n, d_T].

    Returns:
        shape [n].

    Source: FTD (Kang et al. 2021), after the authors' code.

    >>> full_topology(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0], [3.0]]))  # cosine 0 against 1
    tensor([0.5000, 0.5000])
    """
    student, teacher = (normalize(at_least_float32(vectors), dim=-1) for vectors in (student, teacher))
    with torch.autocast(student.device.type, enabled=False):  # small differences of large sums

        def product_sums(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return ((one @ (one.T @ other)) * other).sum(-1)

        squares = product_sums(student, student) + product_sums(teacher, teacher)
        return (squares - 2.0 * product_sums(student, teacher)) / max(len(student), 1)


def group_topology(
    student: torch.Tensor,
    teacher: torch.Tensor,
    groups: torch.Tensor,
    by: str = "entity",
    only_positive: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""How far the cosines within groups, and those with the groups' prototypes, are from the teacher's.

    Rows are compared ``ROWS_AT_ONCE`` at a time: no n x n matrix is made.

    Args:
        student: vectors, shape [n, d_S].
        teacher: vectors, shape [n, d_T].
        groups: the group of each row, shape [n].
        by: what a prototype, the mean of its group's rows, is compared with: each ``entity``, where no gradient flows
            through the prototypes, or each other ``prototype``, where it does.
        only_positive: whether pairs within a group are left out where the teacher's cosine is not above 0.

    Returns:
        (within, across): a squared difference for each pair of rows of the same group that counts, shape [p], and one
        for each of the g groups and each row (or group), shape [g n] (or [g g]).

    Source: HTD (Kang et al. 2021), after the authors' code, where ``prototype`` has no gradient at all.

    >>> student, teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0], [1.0], [1.0]])
    >>> within, across = group_topology(student, teacher, torch.tensor([0, 0, 1]))
    >>> within, across.shape  # the pairs (0, 0), (0, 1), (1, 0), (1, 1) and (2, 2); two prototypes with three rows
    (tensor([0., 1., 1., 0., 0.]), torch.Size([6]))
    """
    order = torch.argsort(groups, stable=True)
    sorted_vectors = tuple(vectors[order] for vectors in (student, teacher))
    within = []
    for rows, partners, same in _group_runs(groups[order]):
        of_student, of_teacher = (cosines(vectors[rows], vectors[partners]) for vectors in sorted_vectors)
        counts = same & (of_teacher > 0) if only_positive else same
        within.append((of_student - of_teacher)[counts.nonzero(as_tuple=True)].square())
    student_means, teacher_means = prototypes(student, groups), prototypes(teacher, groups)
    if by == "entity":
        gap = cosines(student_means.detach(), student) - cosines(teacher_means, teacher)
    else:
        gap = cosines(student_means, student_means) - cosines(teacher_means, teacher_means)
    return torch.cat(within), gap.square().flatten()


def _group_runs(groups: torch.Tensor) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Cut sorted groups into runs: the rows, the rows that share a group with any of them, and which pairs do."""
    first = torch.arange(0, len(groups), ROWS_AT_ONCE, device=groups.device)
    last = (first + ROWS_AT_ONCE).clamp(max=len(groups)) - 1
    bounds = torch.searchsorted(groups, groups[first]), torch.searchsorted(groups, groups[last], right=True)
    for start, low, high in torch.stack([first, *bounds], 1).tolist():
        rows, partners = slice(start, start + ROWS_AT_ONCE), slice(low, high)
        yield rows, partners, groups[rows, None] == groups[partners]


def prototypes(vectors: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The mean of each group's rows.

    Args:
        vectors: shape [n, d].
        groups: the group of each row, shape [n].

    Returns:
        shape [g, d]: the g groups that occur, in ascending order.

    >>> prototypes(torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]]), torch.tensor([7, 7, 4]))
    tensor([[5., 5.],
            [2., 1.]])
    """
    member = one_hot(groups.unique(return_inverse=True)[1]).T.to(at_least_float32(vectors).dtype)
    with torch.autocast(vectors.device.type, enabled=False):
        return member @ at_least_float32(vectors) / member.sum(1, keepdim=True)
