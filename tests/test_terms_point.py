"""RCEKD, UnKD, CD and RD: each term's whole loss and gradient against plain Python, and what it draws.

As in test_terms.py: the references work on lists of numbers, and only the random draws are replayed.
"""

import math
from itertools import permutations

import pytest
import torch
import toy
from scipy.stats import chi2
from toy import (
    APART,
    ITEMS,
    ROWS,
    USERS,
    assert_gradients_agree,
    average,
    best_unseen,
    chosen,
    cross_entropy,
    dot,
    factors,
    numbers,
    once,
    replay,
)

from recbole_kd.sampling import is_in, without_replacement
from recbole_kd.term import get_term
from recbole_kd.term import rcekd as rcekd_module
from recbole_kd.term.rcekd import RCEKD

KEYS = {
    "rcekd_weight": 1.0, "rcekd_k": 3, "rcekd_sample_k": 2, "rcekd_sampling": "rce", "rcekd_temperature": 0.8,
    "rcekd_max_k": 5, "rcekd_beta": 1.5, "rcekd_tau": 0.7, "rcekd_seen": True, "rcekd_refresh": 1,
}  # fmt: skip


class World(toy.World):
    common = KEYS


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fits(counts, expected, least=1e-3):
    """Whether counts could be drawn from what is expected, by chi-square; the seeds are fixed, so is the answer."""
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))
    return chi2.sf(statistic, len(counts) - 1) > least


def score(tables, user, item):
    return dot(tables["user"][user], tables["item"][item])


# RCEKD


class SlowRCEKD:
    def __init__(self, world, rows, cap=50):
        self.keys = keys = world.keys
        self.table, old = factors(world.teacher), world.before  # the student's list is of the student as it was
        k, longest = keys["rcekd_k"], min(max(keys["rcekd_k"], keys["rcekd_max_k"]), ITEMS)
        teachers = best_unseen(self.table["user"], self.table["item"], k, keys["rcekd_seen"])
        students = best_unseen(old["user"], old["item"], longest, keys["rcekd_seen"])
        draw = torch.rand(USERS + 1, longest, generator=world.early).tolist()
        self.users = chosen(once(rows, 0), keys["kd_rows"], replay(world.term))
        self.sets = {}
        for user in range(1, USERS + 1):
            own, teacher, times = students[user], teachers[user], {}
            for r, item in enumerate(own):
                count = min(cap, sum(other in teacher for other in own[r:]))
                logit = count + 1 if keys["rcekd_sampling"] == "rce" else -(r + 1)
                times[item] = -math.log(draw[user][r]) / math.exp(logit / keys["rcekd_temperature"])
            drawn = set(sorted(times, key=times.get)[: keys["rcekd_sample_k"]])
            best = set(own[:k])
            both = drawn | {item for item in teacher if item not in drawn and item not in best}
            weight = math.exp(-keys["rcekd_beta"] * len(drawn & set(teacher)) / min(k, ITEMS))
            self.sets[user] = best, both, weight

    def __call__(self, live, still):
        losses = []
        for user in self.users:
            best, both, weight = self.sets[user]
            of_best, of_both = (
                cross_entropy(
                    [score(self.table, user, item) for item in items],
                    [score(live, user, item) for item in items],
                    self.keys["rcekd_tau"],
                )
                for items in (best, both)
            )
            losses.append((1 - weight) * of_best + weight * of_both)
        return average(losses, self.keys)


SLOW = {RCEKD: SlowRCEKD}
KINDS = list(SLOW)

SETTINGS = [
    (RCEKD, {}),
    (RCEKD, {"rcekd_sampling": "rank"}),
    (RCEKD, {"rcekd_seen": False, "rcekd_temperature": 2.0}),
    (RCEKD, {"rcekd_k": 50, "rcekd_sample_k": 50, "rcekd_max_k": 200, "rcekd_tau": 2.0}),
    (RCEKD, {"rcekd_k": 4, "rcekd_max_k": 2, "rcekd_sample_k": 1, "rcekd_beta": 0.0, "kd_rows": 2}),
    (RCEKD, {"rcekd_beta": 10.0, "rcekd_sample_k": 4, "kd_reduction": "sum"}),
]
NAMES = [" ".join([kind.__name__, *(f"{key}={value}" for key, value in keys.items())]) for kind, keys in SETTINGS]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
LATE = {}  # the epoch at which all of a term's parts are at work


def both(kind, keys, seed=1, rows=ROWS):
    """A world and its slow reference; between the two draws and the loss the student has moved on."""
    world = World(kind, seed=seed, **keys)
    world.student.shake(seed + 200)
    return world, SLOW[kind](world, rows)


def late(kind, **keys):
    return World(kind, epoch=LATE.get(kind, 0), **keys)


@pytest.mark.parametrize(("kind", "keys"), SETTINGS, ids=NAMES)
def test_the_whole_loss_is_that_of_the_formulas(kind, keys):
    for seed in range(1, 6):
        world, slow = both(kind, keys, seed)
        now = numbers(world.student, world.term)
        assert world.loss().item() == pytest.approx(slow(now, now), rel=1e-5)


@pytest.mark.parametrize(("kind", "keys"), SETTINGS, ids=NAMES)
def test_the_gradient_is_that_of_the_formulas(kind, keys):
    assert_gradients_agree(*both(kind, keys))


# where the gradient goes


def rows_with_gradient(table):
    return set(table.abs().sum(1).nonzero().flatten().tolist())


@EACH
def test_padding_gets_no_gradient_and_no_say(kind):
    grads = late(kind).gradients()
    assert not grads["user"][0].any() and not grads["item"][0].any()
    plain, changed = late(kind), late(kind)
    with torch.no_grad():
        for table in (changed.student.user_embedding.weight, changed.student.item_embedding.weight):
            table[0] = 1e3
    for world in (plain, changed):
        world.term.start_epoch(world.epoch, world.backbone)
    assert plain.loss().item() == changed.loss().item() != 0


@EACH
def test_the_teacher_gets_no_gradient(kind):
    world = late(kind)
    world.loss().backward()
    assert all(weight.grad is None for weight in world.teacher.parameters())
    assert not any(world.knowledge.factors(side).requires_grad for side in ("user", "item"))


def test_rcekd_reaches_the_items_of_both_sets_of_the_batchs_users():
    world = World(RCEKD)
    slow, grads = SlowRCEKD(world, ROWS), world.gradients()
    reached = [set().union(*slow.sets[user][:2]) for user in slow.users]
    assert rows_with_gradient(grads["user"]) == set(slow.users)
    assert rows_with_gradient(grads["item"]) == set().union(*reached)


# the batch


@EACH
@pytest.mark.parametrize("looked_at", [0, 3])
def test_the_order_of_the_rows_does_not_matter(kind, looked_at):
    plain = late(kind, kd_rows=looked_at).loss(ROWS).item()
    assert plain != 0
    for seed in range(4):
        turned = [ROWS[place] for place in torch.randperm(len(ROWS), generator=seeded(seed))]
        assert late(kind, kd_rows=looked_at).loss(turned).item() == pytest.approx(plain, rel=1e-6)


PARTS = {}  # how many positions a row's value sums under kd_reduction: sum, where the mean is over them too


@EACH
def test_a_sum_is_the_mean_times_what_is_compared(kind):
    mean, total = (late(kind, kd_reduction=how) for how in ("mean", "sum"))
    compared = len(APART) * PARTS.get(kind, 1)
    assert total.loss(APART).item() == pytest.approx(compared * mean.loss(APART).item(), rel=1e-6)
    mean, total = (world.gradients(APART) for world in (mean, total))
    for name in mean:
        torch.testing.assert_close(total[name], compared * mean[name])


@EACH
def test_a_user_that_comes_again_counts_once(kind):
    assert late(kind).loss(APART + APART[:2]).item() == pytest.approx(late(kind).loss(APART).item())


# what is drawn


def filled(items):
    return [item for item in items.tolist() if item]


@pytest.mark.parametrize("seen", [True, False])
def test_rcekds_sets_are_what_they_are_called(seen):
    for seed in range(1, 6):
        world = World(RCEKD, seed=seed, rcekd_seen=seen)
        table, old = factors(world.teacher), world.before
        teachers = best_unseen(table["user"], table["item"], 3, seen)
        students = best_unseen(old["user"], old["item"], 5, seen)
        for user in range(1, USERS + 1):
            best, drawn, rest = (filled(part) for part in world.term.items[user].split([3, 2, 3]))
            assert best == students[user][:3]
            places = [students[user].index(item) for item in drawn]
            assert places == sorted(set(places)) and len(drawn) == min(2, len(students[user]))
            assert rest == [item for item in teachers[user] if item not in best and item not in drawn]
        assert not world.term.items[0].any()


def test_rcekd_prefers_what_stands_above_the_teachers_items():
    # the student's list backwards is the teacher's: at the first position all of the teacher's stand below
    world = World(RCEKD, rcekd_temperature=1e-3, rcekd_sample_k=4, rcekd_max_k=7, rcekd_k=3)
    own = torch.cat([world.term.top.ids.new_tensor([[9, 8]] * (USERS + 1)), world.term.top.ids.flip(1)], 1)
    logits = world.term._logits(own)[1:]
    assert (logits * 1e-3).round().tolist() == [[3.0, 3.0, 3.0, 2.0, 1.0]] * USERS


def test_rcekd_counts_no_more_than_the_authors_cap(monkeypatch):
    assert rcekd_module.CAP == 50
    monkeypatch.setattr(rcekd_module, "CAP", 1)
    capped = False
    for seed in range(1, 9):
        world = World(RCEKD, seed=seed, rcekd_k=4)
        slow, other = SlowRCEKD(world, ROWS, cap=1), SlowRCEKD(World(RCEKD, seed=seed, rcekd_k=4), ROWS)
        now = numbers(world.student, world.term)
        assert world.loss().item() == pytest.approx(slow(now, now), rel=1e-5)
        capped |= slow.sets != other.sets
    assert capped


def test_rcekd_reads_the_student_when_a_refresh_is_due():
    world = World(RCEKD, rcekd_refresh=3)
    drawn = []
    for epoch in range(7):
        world.student.shake(epoch)
        before = world.term.items.clone()
        world.term.start_epoch(epoch, world.backbone)
        drawn.append(not torch.equal(before, world.term.items))
    assert drawn == [True, False, False, True, False, False, True]


# the samplers


def test_columns_follow_the_law_of_their_weights_exactly():
    logits, n = torch.tensor([0.5, -1.0, 1.5, 0.0, 9.0]), 20000
    there = torch.tensor([True, True, True, True, False]).expand(n, 5)
    weights = logits.exp().tolist()[:4]
    law = {}
    for first, second in permutations(range(4), 2):  # one after the other, without putting back
        chance = weights[first] / sum(weights) * weights[second] / (sum(weights) - weights[first])
        law[first, second] = chance
    pairs = sorted({tuple(sorted(pair)) for pair in law})
    columns, filled_in = without_replacement(logits, there, 2, seeded(3))
    drawn = [tuple(row) for row in columns.tolist()]
    assert filled_in.all()
    assert fits([drawn.count(pair) for pair in pairs], [n * (law[pair] + law[pair[::-1]]) for pair in pairs])


def test_a_row_with_too_few_columns_leaves_its_last_slots_open():
    there = torch.tensor([[False, True, False, True], [False] * 4])
    columns, filled_in = without_replacement(torch.zeros(2, 4), there, 6, seeded())
    assert columns.tolist() == [[1, 3, 0, 0, 0, 0], [0] * 6]
    assert filled_in.sum(1).tolist() == [2, 0]


def test_membership_is_that_of_the_rows_own_list():
    draw = seeded(4)
    ids, lists = (torch.randint(0, 9, (50, width), generator=draw, dtype=torch.int32) for width in (6, 4))
    slow = [[x in row and x != 0 for x in own] for own, row in zip(ids.tolist(), lists.tolist(), strict=True)]
    assert is_in(ids, lists).tolist() == slow


# randomness


@EACH
def test_the_global_generator_is_left_alone(kind):
    world = late(kind, kd_rows=2)
    before = torch.get_rng_state()
    world.term.start_epoch(world.epoch, world.backbone)
    world.loss()
    assert torch.equal(torch.get_rng_state(), before)


LASTING = {RCEKD: "rcekd_refresh"}  # what is drawn may last for several epochs


@pytest.mark.parametrize("kind", LASTING, ids=lambda kind: kind.__name__)
def test_a_terms_state_brings_back_what_it_drew_and_its_stream(kind):
    world = World(kind, kd_rows=2)
    state = dict(world.term.state_dict())
    losses = [world.loss().item() for _ in range(3)]
    fresh = World(kind, epoch=1, kd_rows=2, **{LASTING[kind]: 2})  # it has drawn nothing yet
    assert fresh.loss().item() == 0.0
    fresh.term.load_state_dict(state)
    assert [fresh.loss().item() for _ in range(3)] == losses != [0.0] * 3


# what a term is


@pytest.mark.parametrize(("name", "needs"), [("RCEKD", "scores")])
def test_a_term_is_found_by_its_name(name, needs):
    kind = get_term(name)
    assert (kind.__name__, kind.layer, kind.needs) == (name, "output", needs)
    assert World(kind).term.weight == KEYS[f"{name.lower()}_weight"]
    assert World(kind).term.last_phase == (10 if name == "RD" else 0)
