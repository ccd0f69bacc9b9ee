"""HetComp against its formulas in slow, plain Python, on a toy of 5 users and 7 items and two teachers with a past."""

import math
import sys

import pytest
import torch

from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.config.layering import read_layers
from recbole_kd.errors import KDError
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.losses import extend_tail, nested_ranking
from recbole_kd.method.configuration import build_config
from recbole_kd.term.hetcomp import HetComp
from recbole_kd.testing import ConformanceRun
from recbole_kd.testing.toy import (
    D_T,
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    Toy,
    World,
    assert_gradients_agree,
    average,
    best_unseen,
    dot,
    factors,
    numbers,
    once,
)

KEYS = {
    "hetcomp_weight": 1.0, "hetcomp_base_weight": 0.0, "hetcomp_k": 3, "hetcomp_agree_k": 2, "hetcomp_warm_up": 1,
    "hetcomp_refresh": 2, "hetcomp_alpha": 1.05, "hetcomp_temperature": 10.0, "hetcomp_items": 0,
    "hetcomp_transfer": "adaptive", "teacher_states": 3,
}  # fmt: skip
K = 3
PAST = {0: (30, 31), 1: (40,)}  # seeds of each teacher's earlier states: the second has one fewer


class Several(World):
    common = KEYS

    def make(self, kind, seed=1):
        positives = self.knowledge.positive_users, self.knowledge.positive_items
        self.teachers = {0: self.teacher, 1: Toy(D_T, seed + 50)}
        self.knowledge = EnsembleKnowledge([
            ModelKnowledge(FactorBackbone(teacher), positives,
                      states=[lambda own=own: FactorBackbone(Toy(D_T, own)) for own in PAST[x]], trajectory="past")
            for x, teacher in self.teachers.items()
        ])  # fmt: skip
        return super().make(kind, seed)

    def states(self, x):
        """A teacher's lists at each of its states, in plain Python."""
        past = [Toy(D_T, own) for own in PAST[x]]
        found = []
        for teacher in (*past, self.teachers[x]):
            tables = factors(teacher)
            found.append(best_unseen(tables["user"], tables["item"], ITEMS))
        return found


def slow_consensus(lists, temperature=10.0):
    weights = {}
    for items in lists:
        for rank, item in enumerate(items, 1):
            weights[item] = weights.get(item, 0.0) + math.exp(-rank / temperature)
    return sorted(weights, key=lambda item: (-round(weights[item], 9), item))


def taught(world, user):
    """T of a user at the states where the term has them, and P."""
    lists = [world.states(x)[int(world.term.trajectory.state[x, user])][user] for x in world.teachers]
    seen = []
    for teacher in world.teachers.values():
        tables = factors(teacher)
        seen.append(sorted(SEEN[user], key=lambda item: -dot(tables["user"][user], tables["item"][item])))
    return slow_consensus(lists)[:K], slow_consensus(seen)[: max(1, K // 10)]


def tail(scores, user, listed):
    return math.fsum(math.exp(scores[j]) for j in range(1, ITEMS + 1) if j not in SEEN[user] and j not in listed)


def likelihood(scores, listed, z):
    return -math.fsum(
        math.log(math.exp(scores[i]) / (math.fsum(math.exp(scores[j]) for j in listed[k:]) + z))
        for k, i in enumerate(listed)
    )


def slow_loss(world, live, rows=ROWS):
    values = []
    for user in once(rows, 0):
        best, seen = taught(world, user)
        scores = [dot(live["user"][user], item) for item in live["item"]]
        if int(world.term.ranking_since) < 0:
            z = tail(scores, user, best)
            value = -2 * sum(math.log(math.exp(scores[i]) / (math.exp(scores[i]) + z)) for i in best + seen)
        else:
            half, tenth = max(1, K // 2), max(1, K // 10)
            value = likelihood(scores, seen, tail(scores, user, best[:half]))
            value += 0.5 * likelihood(scores, best[:half], tail(scores, user, best[:half]))
            value += 0.5 * likelihood(scores, best[:tenth], tail(scores, user, best[:tenth]))
        values.append(value / (1 if world.keys["kd_reduction"] == "sum" else K))
    return average(values, world.keys)


def arrived(world):
    """All users at the last states, the ranking begun."""
    for x, states in enumerate(world.term.trajectory.lists):
        world.term.trajectory.state[x] = len(states) - 1
    world.term._merge_lists()
    world.term.start_epoch(7, world.backbone)
    assert int(world.term.ranking_since) == 7
    return world


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_whole_loss_is_that_of_the_formulas(seed, late, reduction):
    world = Several(HetComp, seed=seed, kd_reduction=reduction)
    world = arrived(world) if late else world
    assert world.loss().item() == pytest.approx(slow_loss(world, numbers(world.student, world.term)), rel=1e-5)


@pytest.mark.parametrize("late", [False, True])
def test_gradients_agree_with_the_slow_reference(late):
    world = arrived(Several(HetComp)) if late else Several(HetComp)
    assert_gradients_agree(world, lambda live, still: slow_loss(world, live))


def test_longer_lists_are_nested_tails():
    generator = torch.Generator().manual_seed(0)
    k, half, tenth, n = 20, 10, 2, 4
    scores, seen, rest = (torch.randn(n, width, generator=generator) for width in (k, tenth, 9))
    there = torch.ones_like(scores, dtype=torch.bool)
    there[1, 15:] = False  # a user with a shorter list
    found = nested_ranking(
        scores, seen, rest.logsumexp(1), there, torch.ones_like(seen, dtype=torch.bool), (half, tenth)
    )
    for row in range(n):
        listed = [x for x, ok in zip(scores[row].tolist(), there[row].tolist(), strict=True) if ok]
        below = {q: math.fsum(map(math.exp, rest[row].tolist() + listed[q:])) for q in (half, tenth)}
        values = dict(enumerate(listed)) | {100 + i: x for i, x in enumerate(seen[row].tolist())}
        expected = likelihood(values, [100, 101], below[half])
        expected += 0.5 * likelihood(values, list(range(half)), below[half])
        expected += 0.5 * likelihood(values, list(range(tenth)), below[tenth])
        assert found[row].item() == pytest.approx(expected, rel=1e-5)


def test_a_tenth_as_many_training_items_are_taught(settings):
    term = ConformanceRun("HetComp", settings, hetcomp_k=20).model().terms[0]
    assert (term.k, term.cuts, term.seen.shape[1]) == (20, (10, 2), 2)


def test_nothing_is_added_to_a_tail_by_an_empty_list():
    below = torch.tensor([0.5, 1.0])
    assert torch.equal(extend_tail(below, torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)), below)
    none = extend_tail(below, torch.full((2, 3), 9.0), torch.zeros(2, 3, dtype=torch.bool))
    torch.testing.assert_close(none, below)


def test_the_drawn_tail_estimates_the_whole_without_bias():
    world = Several(HetComp)
    users = torch.tensor([1, 2, 5])
    with world.backbone.eval_view() as view:
        whole = world.term._tail(view, users, world.term.best[users]).exp()
        world.keys["hetcomp_items"] = 4
        draws = torch.stack([world.term._tail(view, users, world.term.best[users]).exp() for _ in range(4000)])
    torch.testing.assert_close(draws.mean(0), whole, rtol=0.06, atol=0.0)
    assert draws.std(0).min() > 0


# the construction, a user at a time


def slow_discrepancy(own, wanted, k):
    gains = [(2 ** math.exp(-t / 10) - 1) / math.log2(t + 2) for t in range(len(own))]
    met = math.fsum(gain for item, gain in zip(own, gains, strict=True) if item in wanted[:k])
    return round(1 - met / math.fsum(gains), 4) if gains else 1.0


class SlowConstruction:
    """The states of every user by the rules, one after the other."""

    def __init__(self, lists, alpha, every, warm_up, k):
        self.lists, self.alpha, self.every, self.warm_up, self.k = lists, alpha, every, warm_up, k
        self.place = {(x, user): 0 for x in lists for user in range(1, USERS + 1)}
        self.last, self.began = {}, None

    def final(self):
        for x, states in self.lists.items():
            mean = sum(self.place[x, user] for user in range(1, USERS + 1)) / USERS
            if round(mean, 2) < len(states) - 1:
                return False
        return True

    def epoch(self, epoch, own):
        if epoch >= self.warm_up and epoch % self.every == 0 and not self.final():
            threshold = self.alpha * 0.995 ** (epoch // self.every)
            first = not self.last
            for (x, user), at in list(self.place.items()):
                states = self.lists[x]
                end = len(states) - 1

                def distance(state, user=user, states=states, end=end):
                    return slow_discrepancy(own[user], states[min(state, end)][user], self.k)

                now = distance(at + 1)
                if first:
                    self.last[x, user] = now
                elif at < end and (now == 0 or self.last[x, user] / now > threshold or self.last[x, user] / now < 1):
                    self.place[x, user] = at + 1
                    self.last[x, user] = distance(at + 2)
        if self.began is None and self.final():
            self.began = epoch


@pytest.mark.parametrize("alpha", [0.9, 1.05, 1.4])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_construction_reaches_the_same_states_at_every_step(seed, alpha):
    world = Several(HetComp, seed=seed, hetcomp_alpha=alpha)
    slow = SlowConstruction({x: world.states(x) for x in world.teachers}, alpha, every=2, warm_up=1, k=2)
    moved = set()
    for epoch in range(16):
        world.student.shake(seed * 1000 + epoch // 4)  # now and then as it was, now and then another
        world.term.start_epoch(epoch, world.backbone)
        tables = factors(world.student)
        slow.epoch(epoch, best_unseen(tables["user"], tables["item"], 2))
        for (x, user), at in slow.place.items():
            assert int(world.term.trajectory.state[x, user]) == at, (epoch, x, user)
            assert [item for item in world.term.best[user].tolist() if item] == taught(world, user)[0]
        moved.add(tuple(slow.place.values()))
        assert int(world.term.ranking_since) == (-1 if slow.began is None else slow.began)
    assert len(moved) > 1


def test_a_student_that_stands_still_is_led_on_from_the_tenth_comparison():
    world = Several(HetComp)  # 1.05 * 0.995^10 is the first threshold below 1
    reached = {}
    for epoch in range(0, 26):
        world.term.start_epoch(epoch, world.backbone)
        reached[epoch] = world.term.trajectory.state[0, 1:].tolist()
    stuck = [user for user in range(USERS) if reached[19][user] == 0]
    assert stuck  # the others had met a state's list at once
    assert all(reached[20][user] == 1 and reached[22][user] == 2 for user in stuck)
    assert int(world.term.ranking_since) == 22  # (10 + V - 2) p


def test_patience_counts_from_the_ranking_on():
    world = Several(HetComp)
    assert world.term.last_phase == sys.maxsize
    assert arrived(world).term.last_phase == 7


def test_one_phase_throughout():
    early, late = Several(HetComp), arrived(Several(HetComp))
    overall = arrived(Several(HetComp, hetcomp_transfer="overall"))
    ranking = Several(HetComp, hetcomp_transfer="rank")
    early.term.best.copy_(late.term.best), ranking.term.best.copy_(late.term.best)
    assert overall.loss().item() == early.loss().item() != ranking.loss().item() == late.loss().item()


def test_progress_is_said_in_numbers():
    world = Several(HetComp)
    said = world.term.progress()
    assert said["teacher 1 mean state"] == 1.0 and said["teacher 2 users at the last state"] == 0.0
    assert not any("discrepancy" in name for name in said)
    world.term.start_epoch(2, world.backbone)
    said = world.term.progress()
    assert said["teacher 1 discrepancy"] == pytest.approx(float(world.term.trajectory.discrepancy[0, 1:].mean()))
    assert arrived(world).term.progress()["teacher 1 mean state"] == 3.0


def test_padding_is_in_no_list():
    world = Several(HetComp)
    assert not world.term.best[0].any() and not world.term.seen[0].any()
    assert not world.term.best[3].any()  # has seen everything
    assert set(world.term.best[4].tolist()) == {0, 3, 4}


@pytest.mark.parametrize("key", ["hetcomp_k=5", "hetcomp_k=101", "teacher_states=0", "teacher_states=17"])
def test_k_and_v_have_their_ranges(key):
    with pytest.raises(KDError, match=key.partition("=")[0]):
        build_config(read_layers("HetComp", "toy", argv=[f"--{key}"]))


def test_a_teacher_that_counts_for_nearly_nothing_is_nearly_not_there():
    world, alone = arrived(Several(HetComp)), arrived(Several(HetComp))
    world.term.trajectory.weights = [1.0, 1e-6]
    world.term._merge_lists()
    first = alone.term.trajectory.lists[0]
    expected = torch.where(first[-1] > 0, first[-1], 0)
    assert torch.equal(world.term.best[:, 0], expected[:, 0].int())
    assert not torch.equal(world.term.best, alone.term.best)


def test_a_term_of_weight_0_leaves_the_students_own_loss():
    assert Several(HetComp).term.base_weight == 0.0
    assert Several(HetComp, hetcomp_weight=0.0).term.base_weight == 1.0
    assert Several(HetComp, hetcomp_base_weight=0.5).term.base_weight == 0.5
