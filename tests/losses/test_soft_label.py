"""The pure losses: by hand, against plain Python, by numerical derivatives, and by what has to hold of them."""

import math

import pytest
import torch

from recbole_kd.losses import at_least_float32
from recbole_kd.losses.feature import cosine_loss, mix_soft, pair_consistency
from recbole_kd.losses.soft_label import mixed_logits, soft_label_loss

LN3 = math.log(3.0)


def draw(*shape, seed=0, scale=1.0):
    """Normal numbers in double precision."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(values):
    """A copy that collects a gradient."""
    return values.detach().clone().requires_grad_()


def gradient(loss, of):
    return torch.autograd.grad(loss.sum(), of)[0]


def partial_mask(n, c):
    """Rows with all, some and none of their candidates."""
    mask = torch.rand(n, c, generator=torch.Generator().manual_seed(9)) < 0.6
    mask[0], mask[-1] = True, False
    return mask


# the two softmax distributions


def test_soft_labels_by_hand():
    scores, even = torch.tensor([[0.0, LN3]]), torch.zeros(1, 2)  # p = (1/4, 3/4), q = (1/2, 1/2)
    assert soft_label_loss(scores, even).item() == pytest.approx(0.5 * math.log(16 / 3))
    assert soft_label_loss(even, scores).item() == pytest.approx(math.log(2))
    assert soft_label_loss(2 * scores, even, tau=2.0).item() == pytest.approx(0.5 * math.log(16 / 3))
    # p = (1/4, 3/4), q = (1/10, 9/10) once both are divided by the temperature
    label = torch.tensor([[0.0, 4 * LN3]])
    assert soft_label_loss(2 * scores, label, tau=2.0).item() == pytest.approx(
        0.1 * math.log(4) + 0.9 * math.log(4 / 3)
    )


def slow_soft_labels(scores, labels, tau, mask):
    """sum_i q_i (log sum_j exp((s_j - s_i) / tau)), with q from ratios of exponentials."""
    result = []
    for row, label, allowed in zip(scores.tolist(), labels.tolist(), mask.tolist(), strict=True):
        here = [place for place, counts in enumerate(allowed) if counts]
        loss = 0.0
        for i in here:
            q = 1.0 / sum(math.exp((label[j] - label[i]) / tau) for j in here)
            loss += q * math.log(sum(math.exp((row[j] - row[i]) / tau) for j in here))
        result.append(loss)
    return result


@pytest.mark.parametrize("tau", [0.3, 1.0, 5.0])
def test_soft_labels_equal_the_slow_reference(tau):
    scores, labels = draw(6, 9, seed=1, scale=2), draw(6, 9, seed=2, scale=2)
    everything, mask = torch.ones(6, 9, dtype=torch.bool), partial_mask(6, 9)
    assert soft_label_loss(scores, labels, tau).tolist() == pytest.approx(
        slow_soft_labels(scores, labels, tau, everything)
    )
    assert soft_label_loss(scores, labels, tau, mask).tolist() == pytest.approx(
        slow_soft_labels(scores, labels, tau, mask)
    )


@pytest.mark.parametrize("masked", [False, True])
def test_soft_labels_gradient_is_the_numerical_one(masked):
    labels, mask = draw(4, 5, seed=4), partial_mask(4, 5) if masked else None
    assert torch.autograd.gradcheck(lambda scores: soft_label_loss(scores, labels, 0.7, mask), leaf(draw(4, 5, seed=3)))


def test_soft_labels_gradient_is_the_difference_of_the_distributions():
    scores, labels = leaf(draw(3, 6, seed=1)), draw(3, 6, seed=2)
    expected = (torch.softmax(scores / 2, -1) - torch.softmax(labels / 2, -1)) / 2
    torch.testing.assert_close(gradient(soft_label_loss(scores, labels, 2.0), scores), expected)


def test_a_shift_of_the_logits_changes_nothing():
    scores, labels, mask = draw(5, 6, seed=1), draw(5, 6, seed=2), partial_mask(5, 6)
    shift = draw(5, 1, seed=3, scale=1e5)
    torch.testing.assert_close(
        soft_label_loss(scores + shift, labels - 2 * shift, 0.5, mask), soft_label_loss(scores, labels, 0.5, mask)
    )


@pytest.mark.parametrize("junk", [3.0, 1e30, math.inf, math.nan])
def test_masked_candidates_change_nothing_and_get_no_gradient(junk):
    mask = partial_mask(6, 8)
    plain, labels = draw(6, 8, seed=1), draw(6, 8, seed=2)
    scores = leaf(plain.masked_fill(~mask, junk))
    loss = soft_label_loss(scores, labels.masked_fill(~mask, -junk), 0.5, mask)
    torch.testing.assert_close(loss, soft_label_loss(plain, labels, 0.5, mask))
    assert (gradient(loss, scores)[~mask] == 0).all()


def test_a_mask_is_the_same_as_leaving_the_candidates_out():
    scores, labels = draw(4, 7, seed=1), draw(4, 7, seed=2)
    mask = torch.zeros(4, 7, dtype=torch.bool)
    mask[:, [1, 2, 5]] = True
    chosen = [1, 2, 5]
    torch.testing.assert_close(
        soft_label_loss(scores, labels, 1.0, mask), soft_label_loss(scores[:, chosen], labels[:, chosen])
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_without_candidates_counts_zero(dtype):
    scores, labels = leaf(draw(3, 5, seed=1).to(dtype)), draw(3, 5, seed=2).to(dtype)
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1] = False
    loss = soft_label_loss(scores, labels, 1.0, mask)
    with torch.autograd.set_detect_anomaly(True):  # nor is there a NaN on the way that someone would search for
        grad = gradient(soft_label_loss(scores, labels, 1.0, mask), scores)
    assert loss[1] == 0 and (grad[1] == 0).all()
    assert (loss[[0, 2]] > 0).all() and torch.isfinite(grad).all() and (grad[[0, 2]] != 0).all()


@pytest.mark.parametrize("tau", [0.01, 1.0])
def test_soft_labels_stay_finite_at_extreme_scores(tau):
    scores = torch.tensor([[80.0, -80.0, 0.0], [-80.0, 80.0, 80.0]])
    labels = torch.tensor([[-80.0, 80.0, 0.0], [80.0, -80.0, -80.0]])
    for mask in (None, torch.tensor([[True, True, False], [True, False, True]])):
        student = leaf(scores)
        loss = soft_label_loss(student, labels, tau, mask)
        # the label's winner loses by 160 / tau
        assert loss.tolist() == pytest.approx([160 / tau, 160 / tau + (0 if mask is not None else math.log(2))])
        assert torch.isfinite(gradient(loss, student)).all()


def test_no_gradient_flows_into_the_labels():
    scores, labels = leaf(draw(3, 4, seed=1)), leaf(draw(3, 4, seed=2))
    soft_label_loss(scores, labels).sum().backward()
    assert scores.grad.abs().sum() > 0 and labels.grad is None


def test_equal_student_and_label_give_the_labels_entropy_and_no_gradient():
    scores, mask = leaf(draw(5, 6, seed=1)), partial_mask(5, 6)
    loss = soft_label_loss(scores, scores, 0.5, mask)
    entropy = torch.distributions.Categorical(logits=(scores.detach() / 0.5).masked_fill(~mask, -1e300)).entropy()
    torch.testing.assert_close(loss[:-1], entropy[:-1])  # the last row has no candidate
    torch.testing.assert_close(gradient(loss, scores), torch.zeros_like(scores))


def test_the_entropy_is_the_least_loss():
    labels = draw(1, 6, seed=1)
    least = soft_label_loss(labels, labels)
    assert all(soft_label_loss(draw(1, 6, seed=seed), labels) > least for seed in range(2, 12))


# labels of both models


def test_logits_are_mixed_by_hand():
    mixture = mixed_logits(torch.tensor([4.0, 0.0]), torch.tensor([8.0, -4.0]), 0.25)
    assert mixture.tolist() == [5.0, -1.0]


def test_the_ends_of_the_mixture_are_the_two_models():
    teacher, student = draw(3, 4, seed=1), draw(3, 4, seed=2)
    torch.testing.assert_close(mixed_logits(teacher, student, 0.0), teacher)
    torch.testing.assert_close(mixed_logits(teacher, student, 1.0), student)


def test_mixed_logits_are_the_geometric_mixture():
    teacher, student = draw(3, 4, seed=1), draw(3, 4, seed=2)
    geometric = torch.softmax(teacher, -1) ** 0.7 * torch.softmax(student, -1) ** 0.3
    geometric = geometric / geometric.sum(-1, keepdim=True)
    torch.testing.assert_close(torch.softmax(mixed_logits(teacher, student, 0.3), -1), geometric)


def test_no_gradient_flows_through_the_students_share():
    teacher, student = leaf(draw(3, 4, seed=1)), leaf(draw(3, 4, seed=2))
    mixed_logits(teacher, student, 0.3).sum().backward()
    assert student.grad is None and (teacher.grad == 0.7).all()


def test_an_arithmetic_mixture_is_only_the_teacher_scaled_down():
    # why mixed_logits mixes logits: methods that mix probabilities learn nothing from the student's share
    tau, gamma, teacher, student = 1.0, 0.3, draw(4, 6, seed=1), leaf(draw(4, 6, seed=2))
    mixture = (1 - gamma) * torch.softmax(teacher, -1) + gamma * torch.softmax(student.detach(), -1)
    alone = gradient(soft_label_loss(student, teacher, tau), student)
    torch.testing.assert_close(gradient(soft_label_loss(student, mixture.log(), tau), student), (1 - gamma) * alone)


def test_a_geometric_mixture_is_not():
    gamma, teacher, student = 0.3, draw(4, 6, seed=1), leaf(draw(4, 6, seed=2))
    alone = gradient(soft_label_loss(student, teacher), student)
    mixed = gradient(soft_label_loss(student, mixed_logits(teacher, student, gamma)), student)
    cosine = torch.nn.functional.cosine_similarity(alone, mixed)
    assert (cosine < 0.9999).all()  # no multiple of the teacher's gradient
    assert (mixed.norm(dim=-1) < alone.norm(dim=-1)).all()  # what the student agrees with is taken out


def test_a_label_of_the_student_alone_teaches_nothing():
    student = leaf(draw(4, 6, seed=2))
    loss = soft_label_loss(student, mixed_logits(draw(4, 6, seed=1), student, 1.0), 0.5)
    torch.testing.assert_close(gradient(loss, student), torch.zeros_like(student))


# vectors


def test_cosine_loss_by_hand():
    student = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])
    teacher = torch.tensor([[4.0, 3.0], [5.0, 0.0], [0.0, 5.0], [7.0, 0.0], [1.0, 1.0]])
    assert cosine_loss(student, teacher).tolist() == pytest.approx([1 - 24 / 25, 0, 1, 2, 1], abs=1e-6)


def test_cosine_loss_equals_the_slow_reference():
    student, teacher = draw(6, 4, seed=1), draw(6, 4, seed=2)
    slow = []
    for one, other in zip(student.tolist(), teacher.tolist(), strict=True):
        lengths = math.hypot(*one) * math.hypot(*other)
        slow.append(1 - sum(x * y for x, y in zip(one, other, strict=True)) / lengths)
    assert cosine_loss(student, teacher).tolist() == pytest.approx(slow)


def test_cosine_loss_gradient_is_the_numerical_one():
    assert torch.autograd.gradcheck(cosine_loss, (leaf(draw(4, 3, seed=1)), leaf(draw(4, 3, seed=2))))


def test_cosine_loss_sees_no_lengths():
    student, teacher = draw(5, 4, seed=1), draw(5, 4, seed=2)
    torch.testing.assert_close(cosine_loss(80 * student, 1e-3 * teacher), cosine_loss(student, teacher))
    loss = cosine_loss(student, teacher)
    assert (loss >= 0).all() and (loss <= 2).all()


@pytest.mark.parametrize("scale", [0.0, 1e-20, 80.0, 1e15])
def test_cosine_loss_stays_finite(scale):
    student = leaf((scale * draw(4, 3, seed=1)).float())
    loss = cosine_loss(student, draw(4, 3, seed=2).float())
    assert torch.isfinite(loss).all() and torch.isfinite(gradient(loss, student)).all()


def test_a_neighbour_is_mixed_in_by_hand():
    own, other = torch.tensor([[4.0, 4.0, 4.0, 4.0]]), torch.tensor([[8.0, 8.0, 8.0, 8.0]])
    weight = torch.tensor([[0.25, 1.0, 0.0, 1.5]])  # the last one lies beyond: alpha above a half
    assert mix_soft(own, other, weight).tolist() == [[7.0, 4.0, 8.0, 2.0]]


def test_mixing_equals_the_slow_reference_and_its_numerical_gradient():
    own, other, weight = draw(3, 4, seed=1), draw(3, 4, seed=2), draw(3, 4, seed=3)
    slow = [
        [y + r * (x - y) for x, y, r in zip(*rows, strict=True)]
        for rows in zip(own.tolist(), other.tolist(), weight.tolist(), strict=True)
    ]
    torch.testing.assert_close(mix_soft(own, other, weight), torch.tensor(slow, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda one, two: mix_soft(one, two, weight), (leaf(own), leaf(other)))


# the order of two items


def test_pair_consistency_by_hand():
    before, after = torch.tensor([2.0, 2.0, -2.0, 0.0]), torch.tensor([-3.0, 3.0, -3.0, 5.0])
    assert pair_consistency(before, after).tolist() == [6.0, 0.0, 0.0, 0.0]
    agree, differ, tie = math.log1p(math.exp(-6)), 6 + math.log1p(math.exp(-6)), math.log(2)
    assert pair_consistency(before, after, "logistic").tolist() == pytest.approx([differ, agree, agree, tie])


@pytest.mark.parametrize("form", ["hinge", "logistic"])
def test_pair_consistency_equals_the_slow_reference(form):
    before, after = draw(20, seed=1), draw(20, seed=2)
    slow = []
    for a, b in zip(before.tolist(), after.tolist(), strict=True):
        if form == "hinge":
            slow.append(abs(a) * abs(b) if (a > 0) != (b > 0) else 0.0)
        else:
            slow.append(-math.log(1 / (1 + math.exp(-a * b))))
    assert pair_consistency(before, after, form).tolist() == pytest.approx(slow)


@pytest.mark.parametrize("form", ["hinge", "logistic"])
def test_pair_consistency_gradient_is_the_numerical_one(form):
    before = draw(12, seed=1)
    assert torch.autograd.gradcheck(lambda after: pair_consistency(before, after, form), leaf(draw(12, seed=2)))


@pytest.mark.parametrize("form", ["hinge", "logistic"])
def test_no_gradient_flows_into_the_order_before(form):
    before, after = leaf(torch.tensor([2.0, -1.0])), leaf(torch.tensor([-3.0, 2.0]))
    pair_consistency(before, after, form).sum().backward()
    assert before.grad is None and (after.grad != 0).all()


@pytest.mark.parametrize("form", ["hinge", "logistic"])
def test_pair_consistency_does_not_mind_which_item_comes_first(form):
    before, after = draw(9, seed=1), draw(9, seed=2)
    torch.testing.assert_close(pair_consistency(-before, -after, form), pair_consistency(before, after, form))


@pytest.mark.parametrize("form", ["hinge", "logistic"])
def test_pair_consistency_stays_finite_at_extreme_scores(form):
    before, after = torch.tensor([160.0, 160.0, -160.0]), leaf(torch.tensor([160.0, -160.0, 160.0]))
    loss = pair_consistency(before, after, form)
    assert loss.tolist() == [0.0, 25600.0, 25600.0]
    assert gradient(loss, after).tolist() == [0.0, -160.0, 160.0]


def test_the_hinge_has_a_gradient_only_where_the_order_is_lost():
    before, after = torch.tensor([2.0, 2.0]), leaf(torch.tensor([-3.0, 3.0]))
    assert gradient(pair_consistency(before, after), after).tolist() == [-2.0, 0.0]


# precision


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(half):
    scores, labels = draw(3, 4, seed=1).to(half), draw(3, 4, seed=2).to(half)
    for loss in (soft_label_loss, cosine_loss, pair_consistency):
        result = loss(scores, labels)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, loss(scores.float(), labels.float()))


def test_only_half_precision_is_cast():
    kinds = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
    kinds |= {kind: kind for kind in (torch.float32, torch.float64)}
    assert all(at_least_float32(torch.ones(1, dtype=kind)).dtype == wanted for kind, wanted in kinds.items())
