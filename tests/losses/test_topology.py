"""Losses between vectors and between relations: by hand, slowly, by numerical derivatives, by what must hold."""

import math

import pytest
import torch

from recbole_kd.losses.feature import squared_distance
from recbole_kd.losses.topology import cosines, full_topology, group_topology, prototypes


def draw(*shape, seed=0, scale=1.0):
    """Normal numbers in double precision."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(values):
    return values.detach().clone().requires_grad_()


def gradient(loss, of):
    return torch.autograd.grad(loss.sum(), of)[0]


def cosine(one, other):
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths


STUDENT, TEACHER = draw(6, 2, seed=1), draw(6, 4, seed=2)
GROUPS = torch.tensor([4, 0, 4, 2, 0, 4])

# squared distance


def test_squared_distance_by_hand():
    student, teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[4.0, -2.0], [0.0, 0.0]])
    assert squared_distance(student, teacher).tolist() == [25.0, 0.0]


def test_squared_distance_equals_the_slow_reference_and_its_numerical_gradient():
    student, teacher = draw(5, 3, seed=1), draw(5, 3, seed=2)
    slow = [math.dist(one, other) ** 2 for one, other in zip(student.tolist(), teacher.tolist(), strict=True)]
    assert squared_distance(student, teacher).tolist() == pytest.approx(slow)
    assert torch.autograd.gradcheck(squared_distance, (leaf(student), leaf(teacher)))


def test_squared_distance_does_not_see_a_common_shift():
    student, teacher, shift = draw(5, 3, seed=1), draw(5, 3, seed=2), draw(1, 3, seed=3, scale=10)
    torch.testing.assert_close(squared_distance(student + shift, teacher + shift), squared_distance(student, teacher))


# cosines


def test_cosines_by_hand():
    rows, others = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[4.0, 3.0], [-3.0, -4.0], [4.0, -3.0]])
    torch.testing.assert_close(cosines(rows, others), torch.tensor([[0.96, -1.0, 0.0], [0.0, 0.0, 0.0]]))


def test_prototypes_are_the_means_of_the_groups_there_are():
    vectors = torch.tensor([[1.0, 2.0], [5.0, 5.0], [3.0, 6.0]])
    assert prototypes(vectors, torch.tensor([7, 2, 7])).tolist() == [[5.0, 5.0], [2.0, 4.0]]


# all pairs


def test_full_topology_by_hand():
    student, teacher = torch.tensor([[1.0, 0.0], [5.0, 0.0]]), torch.tensor([[3.0, 4.0, 0.0], [0.0, 2.0, 0.0]])
    # the cosine is 1 and should be 0.8; each entity with itself costs nothing
    assert full_topology(student, teacher).tolist() == pytest.approx([0.02, 0.02], abs=1e-6)


def test_full_topology_equals_the_slow_reference():
    s, t = STUDENT.tolist(), TEACHER.tolist()
    slow = [sum((cosine(s[x], s[y]) - cosine(t[x], t[y])) ** 2 for y in range(6)) / 6 for x in range(6)]
    assert full_topology(STUDENT, TEACHER).tolist() == pytest.approx(slow)


def test_full_topology_gradient_is_the_numerical_one():
    assert torch.autograd.gradcheck(lambda student: full_topology(student, TEACHER), leaf(STUDENT))


def test_full_topology_sees_no_lengths_and_no_turn():
    turn = torch.linalg.qr(draw(4, 4, seed=5)).Q
    lengths = draw(6, 1, seed=6).abs() + 0.1
    plain = full_topology(STUDENT, TEACHER)
    torch.testing.assert_close(full_topology(80 * lengths * STUDENT, TEACHER @ turn), plain)
    torch.testing.assert_close(full_topology(TEACHER @ turn, TEACHER), torch.zeros(6, dtype=torch.float64))


def test_full_topology_is_precise_enough_in_single_precision():
    teacher = draw(256, 200, seed=1)
    student = teacher[:, :20] + 0.05 * draw(256, 20, seed=2)
    exact, single = leaf(student), leaf(student.float())
    losses = full_topology(exact, teacher), full_topology(single, teacher.float())
    torch.testing.assert_close(losses[1].double(), losses[0], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(gradient(losses[1], single).double(), gradient(losses[0], exact), rtol=1e-2, atol=1e-6)


# within groups and across them


def test_group_topology_by_hand():
    student = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    teacher = torch.tensor([[3.0, 4.0], [4.0, 3.0], [0.0, 9.0]])
    within, across = group_topology(student, teacher, torch.tensor([1, 1, 5]))
    # the first two are a group: 1 where the teacher says 0.96; the third is alone
    assert within.tolist() == pytest.approx([0.0, 0.0016, 0.0016, 0.0, 0.0], abs=1e-6)
    # student's prototypes: (1.5, 0), (0, 1); teacher's (3.5, 3.5), (0, 9)
    half = math.sqrt(0.5)
    teachers = [1.4 * half, 1.4 * half, half, 0.8, 0.6, 1.0]
    gaps = [(s - t) ** 2 for s, t in zip([1.0, 1.0, 0.0, 0.0, 0.0, 1.0], teachers, strict=True)]
    assert across.tolist() == pytest.approx(gaps, abs=1e-6)


def slow_group_topology(student, teacher, groups, by, only_positive, still=None):
    """``still`` stands for the student's vectors in prototypes that are detached."""
    s, t, groups = student.tolist(), teacher.tolist(), groups.tolist()
    within = [
        (cosine(s[x], s[y]) - cosine(t[x], t[y])) ** 2
        for x in range(len(s))
        for y in range(len(s))
        if groups[x] == groups[y] and not (only_positive and cosine(t[x], t[y]) <= 0)
    ]

    def means(rows):
        members = [[row for row, group in zip(rows, groups, strict=True) if group == c] for c in sorted(set(groups))]
        return [[sum(column) / len(part) for column in zip(*part, strict=True)] for part in members]

    own, teacher_side = means(s if still is None else still.tolist()), means(t)
    pairs = [(p, x) for p in range(len(own)) for x in range(len(s if by == "entity" else own))]
    ends = (s, t) if by == "entity" else (own, teacher_side)
    return within, [(cosine(own[p], ends[0][x]) - cosine(teacher_side[p], ends[1][x])) ** 2 for p, x in pairs]


@pytest.mark.parametrize("only_positive", [False, True])
@pytest.mark.parametrize("by", ["entity", "prototype"])
def test_group_topology_equals_the_slow_reference(by, only_positive):
    for seed in range(5):
        student, teacher = draw(6, 2, seed=seed), draw(6, 4, seed=seed + 50)
        result = group_topology(student, teacher, GROUPS, by, only_positive)
        slow = slow_group_topology(student, teacher, GROUPS, by, only_positive)
        assert sorted(result[0].tolist()) == pytest.approx(sorted(slow[0]))  # they come group by group
        assert result[1].tolist() == pytest.approx(slow[1])


def test_only_positive_leaves_unlike_pairs_out():
    assert len(group_topology(STUDENT, TEACHER, GROUPS)[0]) == 9 + 4 + 1
    assert len(group_topology(STUDENT, -TEACHER, GROUPS * 0)[0]) == 36
    teacher = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert len(group_topology(STUDENT[:3], teacher, GROUPS[:3] * 0, only_positive=True)[0]) == 3  # with itself each


@pytest.mark.parametrize("only_positive", [False, True])
def test_within_groups_and_among_prototypes_the_gradient_is_the_numerical_one(only_positive):
    def function(student):
        return torch.cat(group_topology(student, TEACHER, GROUPS, "prototype", only_positive))

    assert torch.autograd.gradcheck(function, leaf(STUDENT))


def test_no_gradient_flows_through_prototypes_that_entities_are_compared_with():
    student = leaf(STUDENT)
    grad, step = gradient(group_topology(student, TEACHER, GROUPS)[1], student), 1e-6
    for x in range(6):
        for c in range(2):
            values = []
            for sign in (1, -1):
                moved = STUDENT.clone()
                moved[x, c] += sign * step
                values.append(sum(slow_group_topology(moved, TEACHER, GROUPS, "entity", False, still=STUDENT)[1]))
            assert grad[x, c].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_prototypes_compared_with_prototypes_learn():
    student = leaf(STUDENT)
    assert (gradient(group_topology(student, TEACHER, GROUPS, "prototype")[1], student).abs().sum(1) > 0).all()


def test_one_group_of_all_is_the_full_topology():
    within, _ = group_topology(STUDENT, TEACHER, GROUPS * 0)
    torch.testing.assert_close(within.view(6, 6).mean(1), full_topology(STUDENT, TEACHER))


# extremes


def losses_of(student, teacher):
    groups = torch.tensor([0, 1, 0, 1])
    yield squared_distance(student, teacher)
    yield full_topology(student, teacher)
    for by in ("entity", "prototype"):
        yield from group_topology(student, teacher, groups, by)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 80.0, 1e10])
def test_everything_stays_finite(scale):
    student, teacher = leaf((scale * draw(4, 3, seed=1)).float()), draw(4, 3, seed=2).float()
    for loss in losses_of(student, teacher):
        assert torch.isfinite(loss).all() and torch.isfinite(gradient(loss, student)).all()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(half):
    student, teacher = draw(4, 3, seed=1).to(half), draw(4, 3, seed=2).to(half)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lower = list(losses_of(student, teacher))
    for loss, expected in zip(lower, losses_of(student.float(), teacher.float()), strict=True):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected)


def test_no_matrix_of_all_pairs_is_made():
    from recbole_kd.testing import AllocationCounter

    student, teacher, groups = leaf(draw(2000, 2)), draw(2000, 3), torch.arange(2000) % 20
    with AllocationCounter() as seen:
        full_topology(student, teacher).sum().backward()
        torch.cat(group_topology(student, teacher, groups)).sum().backward()
    assert seen.largest < 2000 * 2000 / 4


def test_no_one_at_all_costs_nothing():
    assert full_topology(torch.zeros(0, 2), torch.zeros(0, 4)).shape == (0,)
