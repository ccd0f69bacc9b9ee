"""RCEKD, UnKD, CD and RD: each term's whole loss and gradient against plain Python, and what it draws.

As in test_terms.py: the references work on lists of numbers, and only the random draws are replayed.
"""

import math
from fractions import Fraction
from itertools import permutations

import pytest
import torch
from scipy.stats import chi2

from recbole_kd.backbone.capabilities import SCORER_MODEL, Capability
from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.data.popularity import group_quotas, popularity_groups
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.ops.ranking import membership
from recbole_kd.ops.sampling import sample_rank_pairs, sample_ranks_tournament, sample_without_replacement
from recbole_kd.term import get_term, rcekd
from recbole_kd.term.cd import CD
from recbole_kd.term.rcekd import RCEKD
from recbole_kd.term.rd import RD
from recbole_kd.term.unkd import UnKD
from recbole_kd.testing import ConformanceRun, toy
from recbole_kd.testing.toy import (
    APART,
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    assert_gradients_agree,
    best_unseen,
    chosen,
    cross_entropy,
    dot,
    factors,
    moved_on,
    named,
    numbers,
    once,
    replay,
    row_average,
    rows_with_gradient,
)

KEYS = {
    "rcekd_weight": 1.0, "rcekd_k": 3, "rcekd_sample_k": 2, "rcekd_sampling": "rce", "rcekd_temperature": 0.8,
    "rcekd_max_k": 5, "rcekd_beta": 1.5, "rcekd_tau": 0.7, "rcekd_seen": True, "rcekd_refresh": 1,
    "unkd_weight": 0.9, "unkd_groups": 2, "unkd_k": 5, "unkd_lambda": 0.0, "unkd_temperature": 1.5, "unkd_max_k": 4,
    "cd_weight": 0.8, "cd_guide": "teacher", "cd_k": 4, "cd_max_k": 5, "cd_temperature": 0.5, "cd_t1": 2.0,
    "cd_t2": 0.3, "cd_refresh": 1,
    "rd_weight": 0.7, "rd_k": 4, "rd_lambda": 2.0, "rd_mu": 0.4, "rd_negatives": 6, "rd_start": 2,
    "rd_normalise": False,
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
        self.batch = rows
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
        return row_average(losses, self.users, self.batch, self.keys)


# UnKD


def popularity():
    return {item: sum(item in seen for seen in SEEN.values()) for item in range(1, ITEMS + 1)}


def slow_groups(counts, groups):
    """One item after the other, the most popular first; counts: a dict of item to count."""
    items = sorted((item for item in counts if counts[item]), key=lambda item: (-counts[item], item))
    average, closed, open_, running = Fraction(sum(counts.values()), groups), [], [], 0
    for item in items:
        if open_ and running + counts[item] > average and len(closed) < groups - 1:
            closed.append(open_)
            open_, running = [], 0
        open_.append(item)
        running += counts[item]
    if closed and running <= average / 2:
        closed[-1] += open_
        return closed
    return [*closed, open_]


def slow_quotas(means, total, power):
    rho = [max(means) + min(means) - mean for mean in means]
    rho = [max(0.1, round(value / sum(rho), 2)) ** power for value in rho]
    count = [math.floor(total * value / sum(rho)) for value in rho]
    group = 0
    while sum(count) < total:
        count[group] += 1
        group += 1
    return count


class SlowUnKD:
    def __init__(self, world, rows):
        self.keys = keys = world.keys
        table, counts = factors(world.teacher), popularity()
        groups = slow_groups(counts, keys["unkd_groups"])
        means = [sum(counts[item] for item in group) / len(group) for group in groups]
        shares = slow_quotas(means, keys["unkd_k"], keys["unkd_lambda"])
        best = best_unseen(table["user"], table["item"], ITEMS)
        draw = torch.rand(USERS + 1, keys["unkd_k"], generator=world.early, dtype=torch.float64).tolist()
        self.batch = rows
        self.users = chosen(once(rows, 0), keys["kd_rows"], replay(world.term))
        self.pairs = {user: [] for user in range(1, USERS + 1)}
        for user, pairs in self.pairs.items():
            of_group = [group for group, share in zip(groups, shares, strict=True) for _ in range(share)]
            for group, u in zip(of_group, draw[user], strict=True):
                items = [item for item in best[user] if item in group][: keys["unkd_max_k"]]
                places = [(a, b) for b in range(len(items)) for a in range(b)]
                weights = [math.exp(-(a + b) / keys["unkd_temperature"]) for a, b in places]
                point, place = u * sum(weights), 0
                if places:
                    while point >= weights[place]:
                        point -= weights[place]
                        place += 1
                    pairs.append(tuple(items[rank] for rank in places[place]))

    def __call__(self, live, still):
        losses = []
        for user in self.users:
            gaps = [score(live, user, better) - score(live, user, worse) for better, worse in self.pairs[user]]
            losses.append(sum(math.log(1 + math.exp(-gap)) for gap in gaps) / self.keys["unkd_k"])
        return row_average(losses, self.users, self.batch, self.keys)


# CD


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


class SlowCD:
    def __init__(self, world, rows):
        self.keys = keys = world.keys
        self.table, old, k = factors(world.teacher), world.before, keys["cd_k"]
        self.batch = rows
        self.users = chosen(once(rows, 0), keys["kd_rows"], replay(world.term))
        self.items = {}
        if keys["cd_guide"] == "random":
            draw = torch.rand(USERS + 1, k, generator=world.early, dtype=torch.float64).tolist()
            for user in range(1, USERS + 1):
                free = [item for item in range(1, ITEMS + 1) if item not in SEEN[user]]
                self.items[user] = {free[int(u * len(free))] for u in draw[user]} if free else set()
            return
        guide = self.table if keys["cd_guide"] == "teacher" else old
        longest = min(keys["cd_max_k"], ITEMS)
        lists = best_unseen(guide["user"], guide["item"], longest)
        first, second = torch.rand(2, USERS + 1, k, generator=world.early, dtype=torch.float64).tolist()
        for user in range(1, USERS + 1):
            weights = [math.exp(-r / (longest * keys["cd_temperature"])) for r in range(len(lists[user]))]

            def rank(u, weights=weights):
                return sum(sum(weights[: r + 1]) / sum(weights) <= u for r in range(len(weights)))

            ranks = [min(rank(u), rank(v)) for u, v in zip(first[user], second[user], strict=True)]
            self.items[user] = {lists[user][r] for r in ranks} if lists[user] else set()

    def __call__(self, live, still):
        losses, keys = [], self.keys
        for user in self.users:
            loss = 0.0
            for item in self.items[user]:
                label = sigmoid((score(self.table, user, item) + keys["cd_t2"]) / keys["cd_t1"])
                chance = sigmoid(score(live, user, item))
                loss -= label * math.log(chance) + (1 - label) * math.log(1 - chance)
            losses.append(loss if keys["kd_reduction"] == "sum" else loss / keys["cd_k"])
        return row_average(losses, self.users, self.batch, keys)


# RD


class SlowRD:
    def __init__(self, world, rows):
        self.keys = keys = world.keys
        table = factors(world.teacher)
        self.width = min(keys["rd_k"], ITEMS)
        self.lists = best_unseen(table["user"], table["item"], self.width)
        self.batch = rows
        self.users = chosen(once(rows, 0), keys["kd_rows"], replay(world.term))
        self.sampled = None
        if world.epoch >= keys["rd_start"]:
            draw = torch.rand(USERS + 1, keys["rd_negatives"], generator=world.early, dtype=torch.float64).tolist()
            self.sampled = {}
            for user in range(1, USERS + 1):
                free = [item for item in range(1, ITEMS + 1) if item not in SEEN[user]]
                self.sampled[user] = [free[int(u * len(free))] for u in draw[user]] if free else []

    def weights(self, user, tables):
        keys, result = self.keys, []
        for k, item in enumerate(self.lists[user], start=1):
            weight = math.exp(-k / keys["rd_lambda"])
            weight /= sum(math.exp(-j / keys["rd_lambda"]) for j in range(1, self.width + 1))
            if self.sampled is not None:
                own = score(tables, user, item)
                above = sum(score(tables, user, other) > own for other in self.sampled[user])
                rank = math.floor((ITEMS - 1) * above / keys["rd_negatives"])
                weight *= max(0.0, math.tanh(keys["rd_mu"] * (rank - (k - 1))))
            result.append(weight)
        whole = sum(result) if keys["rd_normalise"] and any(result) else 1.0
        return [weight / whole for weight in result]

    def __call__(self, live, still):
        losses = []
        for user in self.users:
            terms = zip(self.weights(user, still), self.lists[user], strict=True)
            losses.append(sum(weight * math.log(1 + math.exp(-score(live, user, item))) for weight, item in terms))
        return row_average(losses, self.users, self.batch, self.keys)


SLOW = {RCEKD: SlowRCEKD, UnKD: SlowUnKD, CD: SlowCD, RD: SlowRD}
KINDS = list(SLOW)

SETTINGS = [
    (RCEKD, {}),
    (RCEKD, {"rcekd_sampling": "rank"}),
    (RCEKD, {"rcekd_seen": False, "rcekd_temperature": 2.0}),
    (RCEKD, {"rcekd_k": 50, "rcekd_sample_k": 50, "rcekd_max_k": 200, "rcekd_tau": 2.0}),
    (RCEKD, {"rcekd_k": 4, "rcekd_max_k": 2, "rcekd_sample_k": 1, "rcekd_beta": 0.0, "kd_rows": 2}),
    (RCEKD, {"rcekd_beta": 10.0, "rcekd_sample_k": 4, "kd_reduction": "sum"}),
    (UnKD, {}),
    (UnKD, {"unkd_groups": 1, "unkd_max_k": 3, "unkd_temperature": 0.6}),
    (UnKD, {"unkd_groups": 3, "unkd_lambda": 2.0, "unkd_k": 8, "unkd_temperature": 20.0}),
    (UnKD, {"unkd_groups": 50, "unkd_max_k": 100}),
    (UnKD, {"kd_rows": 2, "unkd_k": 1}),
    (UnKD, {"kd_reduction": "sum", "unkd_groups": 1, "unkd_k": 30}),
    (CD, {}),
    (CD, {"cd_guide": "student", "cd_temperature": 20.0, "cd_k": 10}),
    (CD, {"cd_guide": "random", "cd_t2": -0.5}),
    (CD, {"cd_max_k": 500, "cd_k": 50, "cd_t1": 0.7}),
    (CD, {"kd_rows": 2, "cd_max_k": 3}),
    (CD, {"kd_reduction": "sum", "cd_guide": "student"}),
    (RD, {"epoch": 1}),
    (RD, {"epoch": 2}),
    (RD, {"epoch": 9, "rd_normalise": True, "rd_mu": 0.1}),
    (RD, {"epoch": 1, "rd_normalise": True, "rd_lambda": 1.0, "rd_k": 10}),
    (RD, {"epoch": 0, "rd_start": 0, "kd_rows": 2, "rd_k": 10, "rd_negatives": 100}),
    (RD, {"epoch": 2, "kd_reduction": "sum", "rd_lambda": 0.5}),
]
NAMES = named(SETTINGS)
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
LATE = {RD: 2}  # the epoch at which all of a term's parts are at work


def both(kind, keys, seed=1, rows=ROWS):
    """A world and its slow reference; between the two draws and the loss the student has moved on."""
    world = moved_on(World(kind, seed=seed, **keys), seed)
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


def test_unkd_reaches_the_items_of_the_pairs():
    world = World(UnKD)
    slow, grads = SlowUnKD(world, ROWS), world.gradients()
    assert rows_with_gradient(grads["user"]) == {user for user in slow.users if slow.pairs[user]} == {1, 2, 4}
    assert rows_with_gradient(grads["item"]) == {
        item for user in slow.users for pair in slow.pairs[user] for item in pair
    }


@pytest.mark.parametrize("guide", ["teacher", "student", "random"])
def test_cd_reaches_what_is_drawn(guide):
    world = World(CD, cd_guide=guide)
    slow, grads = SlowCD(world, ROWS), world.gradients()
    assert rows_with_gradient(grads["user"]) == {user for user in slow.users if slow.items[user]} == {1, 2, 4}
    assert rows_with_gradient(grads["item"]) == {item for user in slow.users for item in slow.items[user]}


@pytest.mark.parametrize("epoch", [0, 2])
def test_rd_reaches_what_has_a_weight_and_not_the_sampled(epoch):
    world = World(RD, epoch=epoch, rd_k=2)
    slow, grads, now = SlowRD(world, ROWS), world.gradients(), numbers(world.student, world.term)
    weighted = {
        (user, item)
        for user in slow.users
        for weight, item in zip(slow.weights(user, now), slow.lists[user], strict=True)
        if weight
    }
    assert rows_with_gradient(grads["user"]) == {user for user, _ in weighted}
    assert rows_with_gradient(grads["item"]) == {item for _, item in weighted}
    if epoch == 2:
        assert {item for user in slow.users for item in slow.sampled[user]} - {item for _, item in weighted}


# the batch


@EACH
@pytest.mark.parametrize("looked_at", [0, 3])
def test_the_order_of_the_rows_does_not_matter(kind, looked_at):
    plain = late(kind, kd_rows=looked_at).loss(ROWS).item()
    assert plain != 0
    for seed in range(4):
        turned = [ROWS[place] for place in torch.randperm(len(ROWS), generator=seeded(seed))]
        assert late(kind, kd_rows=looked_at).loss(turned).item() == pytest.approx(plain, rel=1e-6)


PARTS = {
    CD: KEYS["cd_k"]
}  # how many positions a row's value sums under kd_reduction: sum, where the mean is over them too


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
            best, drawn, rest = (filled(part) for part in world.term.candidates.ids[user].split([3, 2, 3]))
            assert best == students[user][:3]
            places = [students[user].index(item) for item in drawn]
            assert places == sorted(set(places)) and len(drawn) == min(2, len(students[user]))
            assert rest == [item for item in teachers[user] if item not in best and item not in drawn]
        assert not world.term.candidates.ids[0].any()


def test_rcekd_prefers_what_stands_above_the_teachers_items():
    # the student's list backwards is the teacher's: at the first position all of the teacher's stand below
    world = World(RCEKD, rcekd_temperature=1e-3, rcekd_sample_k=4, rcekd_max_k=7, rcekd_k=3)
    own = torch.cat([world.term.top.ids.new_tensor([[9, 8]] * (USERS + 1)), world.term.top.ids.flip(1)], 1)
    logits = world.term._logits(world.term.top, own)[1:]
    assert (logits * 1e-3).round().tolist() == [[3.0, 3.0, 3.0, 2.0, 1.0]] * USERS


def test_rcekd_counts_no_more_than_the_authors_cap(monkeypatch):
    assert rcekd.MAX_COUNT == 50
    monkeypatch.setattr(rcekd, "MAX_COUNT", 1)
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
        before = world.term.candidates.ids.clone()
        world.term.start_epoch(epoch, world.backbone)
        drawn.append(not torch.equal(before, world.term.candidates.ids))
    assert drawn == [True, False, False, True, False, False, True]


def test_unkd_draws_its_pairs_anew_inside_the_groups_in_the_teachers_order():
    world = World(UnKD, unkd_k=6)
    table = factors(world.teacher)
    best, groups = best_unseen(table["user"], table["item"], ITEMS), slow_groups(popularity(), 2)
    draws = []
    for epoch in range(6):
        world.term.start_epoch(epoch, world.backbone)
        draws.append(world.term.items.tolist())
        for user in range(1, USERS + 1):
            better, worse = (world.term.items[user].tolist()[part] for part in (slice(6), slice(6, None)))
            for place, (one, other) in enumerate(zip(better, worse, strict=True)):
                group = groups[place // 3]  # three pairs each
                if len([item for item in best[user] if item in group]) < 2:
                    assert one == other == 0
                    continue
                assert one in group and other in group
                assert best[user].index(one) < best[user].index(other)  # unseen, and in order
        assert not any(draws[-1][0])
    assert len({str(draw) for draw in draws}) > 1


@pytest.mark.parametrize("guide", ["teacher", "student", "random"])
def test_cds_items_are_unseen_and_distinct_and_of_the_guides_list(guide):
    world = World(CD, cd_guide=guide, cd_max_k=3)
    for epoch in range(5):
        world.student.shake(epoch)
        world.term.start_epoch(epoch, world.backbone)
        table = numbers(world.student, world.term) if guide == "student" else factors(world.teacher)
        lists = best_unseen(table["user"], table["item"], ITEMS if guide == "random" else 3)
        for user in range(1, USERS + 1):
            items = filled(world.term.candidates.ids[user])
            assert len(items) == len(set(items)) and set(items) <= set(lists[user]) and bool(items) == (user != 3)
        assert not world.term.candidates.ids[0].any()


def test_cd_draws_when_a_refresh_is_due():
    world = World(CD, cd_refresh=3)
    drawn = []
    for epoch in range(7):
        before = world.term.generator.get_state()
        world.term.start_epoch(epoch, world.backbone)
        drawn.append(not torch.equal(world.term.generator.get_state(), before))
    assert drawn == [True, False, False, True, False, False, True]


def test_rd_draws_unseen_items_anew_from_its_start_on():
    world = World(RD)
    draws = []
    for epoch in range(5):
        before = world.term.generator.get_state()
        world.term.start_epoch(epoch, world.backbone)
        assert torch.equal(world.term.generator.get_state(), before) == (epoch < 2) != world.term.dynamic
        if epoch >= 2:
            draws.append(str(world.term.negatives.tolist()))
            for user in range(1, USERS + 1):
                items = set(filled(world.term.negatives[user]))
                assert not SEEN[user] & items and bool(items) == (user != 3)
    assert len(set(draws)) == 3


# what the teacher knows


@pytest.mark.parametrize("groups", [1, 2, 3, 7, 50])
def test_groups_hold_about_as_many_pairs_each(groups):
    for seed in range(20):
        counts = (torch.rand(40, generator=seeded(seed)).pow(-1.5) - 1).long().clamp(max=60)
        counts[0] = 0
        found = [group.tolist() for group in popularity_groups(counts, groups)]
        assert found == slow_groups(dict(enumerate(counts.tolist())), groups)
        assert 1 <= len(found) <= groups
        assert sorted(item for group in found for item in group) == counts.nonzero().flatten().tolist()


def test_groups_by_hand():
    def cut(counts, groups):
        return [group.tolist() for group in popularity_groups(torch.tensor([0, *counts]), groups)]

    assert cut([1, 5, 0, 2, 2], 2) == [[2], [4, 5, 1]]  # 10 pairs, 5 each
    assert cut([9, 1, 1, 1, 1], 2) == [[1], [2, 3, 4, 5]]  # above the average of 6.5 by itself
    assert cut([9, 1, 1, 1], 2) == [[1, 2, 3, 4]]  # 3 left, half the average of 6
    assert cut([2, 2, 2, 2, 2], 3) == [[1], [2], [3, 4, 5]]  # an average of 10 / 3 lets in one at a time
    assert cut([3, 1], 1) == [[1, 2]]


def test_quotas():
    assert group_quotas(torch.tensor([8.0, 4.0, 2.0, 1.0]), 30, 0.0).tolist() == [8, 8, 7, 7]
    assert group_quotas(torch.tensor([3.0, 1.0]), 20, 1.0).tolist() == [5, 15]
    assert group_quotas(torch.tensor([99.0, 1.0]), 109, 1.0).tolist() == [10, 99]  # 0.01 is lifted to 0.1
    for seed in range(20):
        means = 30 * torch.rand(5, generator=seeded(seed), dtype=torch.float64) + 1
        for total, power in ((1, 0.0), (30, 0.5), (47, 2.0)):
            count = group_quotas(means, total, power).tolist()
            assert count == slow_quotas(means.tolist(), total, power) and sum(count) == total


def test_the_lists_of_groups_are_the_teachers_and_are_kept_apart(tmp_path, monkeypatch):
    world, said = World(UnKD), []
    table = factors(world.teacher)
    best = best_unseen(table["user"], table["item"], ITEMS)
    pairs = world.knowledge.positive_users, world.knowledge.positive_items

    def fresh():
        return ModelKnowledge(FactorBackbone(world.teacher), pairs, tmp_path, said.append)

    monkeypatch.setattr("recbole_kd.ops.blocks.BLOCK_SIZE", 2 * (ITEMS + 1))  # two users at a time
    for groups, k in ((2, 3), (3, 3), (2, 2), (2, 100)):
        found = fresh().top_of_groups(groups, k)
        assert found.dtype == torch.int32
        for user in range(USERS + 1):
            for place, group in enumerate(slow_groups(popularity(), groups)):
                assert filled(found[user, place]) == [item for item in best[user] if item in group][:k]
        assert torch.equal(fresh().top_of_groups(groups, k), found)  # read back
    assert len(said) == len(list(tmp_path.iterdir())) == 4


def test_what_is_unseen_may_be_narrowed_by_lists():
    knowledge = World(RD).knowledge
    top, free = knowledge.top_items(1), {user: ITEMS - len(SEEN[user]) for user in SEEN}
    assert knowledge.excluded_from_sampling().free_counts()[1:].tolist() == list(free.values())
    assert knowledge.excluded_from_sampling(top).free_counts()[1:].tolist() == [
        max(0, count - 1) for count in free.values()
    ]


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
    columns, filled_in = sample_without_replacement(logits, there, 2, seeded(3))
    drawn = [tuple(row) for row in columns.tolist()]
    assert filled_in.all()
    assert fits([drawn.count(pair) for pair in pairs], [n * (law[pair] + law[pair[::-1]]) for pair in pairs])


def test_a_row_with_too_few_columns_leaves_its_last_slots_open():
    there = torch.tensor([[False, True, False, True], [False] * 4])
    columns, filled_in = sample_without_replacement(torch.zeros(2, 4), there, 6, seeded())
    assert columns.tolist() == [[1, 3, 0, 0, 0, 0], [0] * 6]
    assert filled_in.sum(1).tolist() == [2, 0]


def test_membership_is_that_of_the_rows_own_list():
    draw = seeded(4)
    ids, lists = (torch.randint(0, 9, (50, width), generator=draw, dtype=torch.int32) for width in (6, 4))
    slow = [[x in row and x != 0 for x in own] for own, row in zip(ids.tolist(), lists.tolist(), strict=True)]
    assert membership(ids, lists).tolist() == slow


@pytest.mark.parametrize("temperature", [0.7, 3.0])
def test_pairs_follow_the_law_of_two_ranks_without_ties(temperature):
    n, sizes = 20000, (2, 3, 5)
    length = torch.tensor([sizes]).expand(n, -1)
    better, worse, there = sample_rank_pairs(length, temperature, seeded(5))
    assert there.all() and (better < worse).all()
    for column, size in enumerate(sizes):
        weights = [math.exp(-r / temperature) for r in range(size)]
        law = {(a, b): weights[a] * weights[b] for b in range(size) for a in range(b)}
        drawn = list(zip(better[:, column].tolist(), worse[:, column].tolist(), strict=True))
        if size > 2:
            assert fits([drawn.count(pair) for pair in law], [n * w / sum(law.values()) for w in law.values()])
        assert set(drawn) == set(law)


def test_a_list_of_fewer_than_two_gives_no_pair():
    better, worse, there = sample_rank_pairs(torch.tensor([[0, 1], [2, 0]]), 5.0, seeded())
    assert better.tolist() == [[0, 0], [0, 0]] and worse.tolist() == [[0, 0], [1, 0]]
    assert there.tolist() == [[False, False], [True, False]]
    assert not sample_rank_pairs(torch.tensor([0, 1]), 5.0, seeded())[2].any()


def test_pairs_of_a_cold_draw_are_the_first_two():
    better, worse, _ = sample_rank_pairs(torch.full((500,), 100), 1e-3, seeded())
    assert not better.any() and (worse == 1).all()


@pytest.mark.parametrize("temperature", [0.7, 1e6])
def test_tournaments_follow_the_law_of_the_better_of_two(temperature):
    n, sizes = 20000, (1, 3, 5)
    ranks, there = sample_ranks_tournament(torch.tensor(sizes), n, temperature, seeded(2))
    assert there.all()
    for row, size in enumerate(sizes):
        weights = [math.exp(-r / temperature) for r in range(size)]
        beyond = [(sum(weights[r:]) / sum(weights)) ** 2 for r in range(size + 1)]  # both at r or further down
        counts = torch.bincount(ranks[row], minlength=size).tolist()
        assert len(counts) == size
        if size > 1:
            assert fits(counts, [n * (beyond[r] - beyond[r + 1]) for r in range(size)])


def test_the_ports_temperature_lets_the_chance_fall_linearly():
    size = 300
    ranks, _ = sample_ranks_tournament(torch.tensor([size]), 200000, 20.0 * size, seeded(3))
    counts = torch.bincount(ranks.flatten(), minlength=size).view(10, -1).sum(1)
    linear = [sum(2 * (size - r) - 1 for r in range(part * 30, part * 30 + 30)) / size**2 for part in range(10)]
    assert (counts / 200000).tolist() == pytest.approx(linear, abs=5e-3)


def test_an_empty_list_has_no_tournament():
    ranks, there = sample_ranks_tournament(torch.tensor([0, 2]), 3, 5.0, seeded())
    assert there.tolist() == [[False] * 3, [True] * 3] and ranks[0].tolist() == [0] * 3


# randomness


@EACH
def test_the_global_generator_is_left_alone(kind):
    world = late(kind, kd_rows=2)
    before = torch.get_rng_state()
    world.term.start_epoch(world.epoch, world.backbone)
    world.loss()
    assert torch.equal(torch.get_rng_state(), before)


LASTING = {RCEKD: "rcekd_refresh", CD: "cd_refresh"}  # what is drawn may last for several epochs


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


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("RCEKD", Capability.RANKS | Capability.SCORES),
        ("UnKD", Capability.ALL_SCORES),
        ("CD", Capability.RANKS | Capability.SCORES),
        ("RD", Capability.RANKS),
    ],
)
def test_a_term_is_found_by_its_name(name, needs):
    kind = get_term(name)
    assert (kind.__name__, kind.layer, kind.teacher_needs) == (name, "output", needs)
    assert World(kind).term.weight == KEYS[f"{name.lower()}_weight"]
    assert World(kind).term.last_phase == (2 if name == "RD" else 0)


@pytest.mark.parametrize("name", ["RCEKD", "UnKD", "CD", "RD"])
def test_a_teacher_without_factors_will_do(settings, name):
    bench = ConformanceRun(name, settings, teacher_model="EASE")
    model = bench.model()
    losses = model.calculate_loss(bench.batch())
    assert bench.knowledge.capabilities == SCORER_MODEL and all(torch.isfinite(loss) and loss > 0 for loss in losses)
