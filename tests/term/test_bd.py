"""BD: both losses of a step and their gradients against plain Python, and what its samplers draw."""

import math
import random

import numpy as np
import pytest
import torch

from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.term.bd import BD
from recbole_kd.testing import toy
from recbole_kd.testing.toy import (
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    assert_gradients_agree,
    average,
    chosen,
    dot,
    numbers,
    replay,
)


class World(toy.World):
    common = {
        "bd_weight": 0.5, "bd_teacher_weight": 0.7, "bd_teacher_temperature": 2.0, "bd_student_temperature": 3.0,
        "bd_sign": "paper", "bd_epsilon_t": 0.3, "bd_epsilon_e": 0.2, "bd_candidates": 6, "bd_pool": 4, "bd_refresh": 2,
        "train_neg_sample_args": {"sample_num": 1},
    }  # fmt: skip


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def soft_cross_entropy(logit, label):
    return -label * math.log(sigmoid(logit)) - (1 - label) * math.log(1 - sigmoid(logit))


class SlowBD:
    """Of the student, or with ``side="teacher"`` of the teacher."""

    def __init__(self, world, rows, side="student"):
        self.keys, self.side, self.batch = world.keys, side, rows
        keys, generator = world.keys, world.early
        draw = torch.rand(USERS + 1, keys["bd_candidates"], generator=generator, dtype=torch.float64).tolist()
        weights = {"student": [[1.0] * keys["bd_candidates"]], "teacher": [[1.0] * keys["bd_candidates"]]}
        items, empty = [[0] * keys["bd_candidates"]], set()
        for user in range(1, USERS + 1):
            free = [item for item in range(1, ITEMS + 1) if item not in SEEN[user]]
            items.append([free[int(u * len(free))] for u in draw[user]] if free else [0] * keys["bd_candidates"])
            old = world.before
            s = [dot(old["user"][user], old["item"][item]) for item in items[-1]]
            t = [
                dot(old["teacher.user_embedding.weight"][user], old["teacher.item_embedding.weight"][item])
                for item in items[-1]
            ]

            def ranks(scores):  # equal scores are of the same item: the earlier place counts as better
                best = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
                return [best.index(place) * ITEMS / keys["bd_candidates"] for place in range(len(scores))]

            ahead = [a - b for a, b in zip(ranks(s), ranks(t), strict=True)]
            if keys["bd_sign"] == "notebook":
                ahead = [-x for x in ahead]
            to_student = [math.tanh(max(keys["bd_epsilon_t"] * x, 0.0)) if free else 0.0 for x in ahead]
            weights["student"].append(to_student if sum(to_student) else [1.0] * len(ahead))
            steep = keys["bd_epsilon_e"]
            weights["teacher"].append(
                [1 / sum(math.exp(min(steep * (x - y), 700.0)) for y in ahead) if free else 1.0 for x in ahead]
            )
            if not sum(to_student):
                empty.add(user)
        self.pool = {}
        for kind in ("student", "teacher"):
            drawn = torch.multinomial(torch.tensor(weights[kind]), keys["bd_pool"], True, generator=generator).tolist()
            self.pool[kind] = [[row[place] for place in places] for row, places in zip(items, drawn, strict=True)]
        for user in empty:
            self.pool["student"][user] = [0] * keys["bd_pool"]
        generator = replay(world.term)
        self.rows = chosen(sorted(rows), keys["kd_rows"], generator)
        slots = torch.randint(keys["bd_pool"], (len(self.rows), 2), generator=generator).tolist()
        self.drawn = [
            (user, self.pool["student"][user][own], self.pool["teacher"][user][other])
            for (user, _, _), (own, other) in zip(self.rows, slots, strict=True)
        ]

    def score(self, of, kind, user, item):
        prefix = {"student": "{}", "teacher": "teacher.{}_embedding.weight"}[kind]
        return dot(of[prefix.format("user")][user], of[prefix.format("item")][item])

    def __call__(self, live, still):
        keys, losses = self.keys, []
        for user, own, other in self.drawn:
            if self.side == "student":
                label = sigmoid(self.score(still, "teacher", user, own) / keys["bd_teacher_temperature"])
                losses.append(soft_cross_entropy(self.score(live, "student", user, own), label) if own else 0.0)
            else:
                label = sigmoid(self.score(still, "student", user, other) / keys["bd_student_temperature"])
                losses.append(soft_cross_entropy(self.score(live, "teacher", user, other), label) if other else 0.0)
        whole = len(self.batch) / len(losses) if keys["kd_reduction"] == "sum" else 1.0
        total = average(losses, keys) * whole
        if self.side == "student":
            return total
        base = [
            -math.log(sigmoid(self.score(live, "teacher", u, i) - self.score(live, "teacher", u, j)))
            for u, i, j in self.batch
        ]
        return average(base, keys) + keys["bd_teacher_weight"] * total


class OfTeacher(World):
    """The same world, asked for the teacher's loss."""

    def loss(self, rows=ROWS):
        super().loss(rows)
        return self.term.teacher_loss


SETTINGS = [
    {},
    {"bd_sign": "notebook"},
    {"kd_rows": 3},
    {"kd_reduction": "sum", "kd_rows": 2},
    {"bd_candidates": 2},
    {"bd_epsilon_e": 50.0},  # whose exp overflows
]
EACH = pytest.mark.parametrize("keys", SETTINGS, ids=str)
SIDES = pytest.mark.parametrize(("kind", "side"), [(World, "student"), (OfTeacher, "teacher")], ids=["S", "T"])


@EACH
@SIDES
def test_the_whole_loss_is_that_of_the_formulas(kind, side, keys):
    for seed in range(1, 6):
        world = kind(BD, seed=seed, **keys)
        world.student.shake(seed + 200)
        slow = SlowBD(world, ROWS, side)
        assert world.term.student_pool.tolist() == slow.pool["student"]
        assert world.term.teacher_pool.tolist() == slow.pool["teacher"]
        now = numbers(world.student, world.term)
        assert world.loss().item() == pytest.approx(slow(now, now), rel=1e-5)


@EACH
@SIDES
def test_the_gradient_is_that_of_the_formulas_and_stays_on_its_side(kind, side, keys):
    world = kind(BD, **keys)
    world.student.shake(201)
    assert_gradients_agree(world, SlowBD(world, ROWS, side))


def test_the_teacher_that_was_read_is_not_the_one_that_learns():
    world = World(BD)
    before = [weight.clone() for weight in world.teacher.parameters()]
    optimizer = torch.optim.SGD(world.term.parameters(), 0.1)
    world.loss()
    world.term.teacher_loss.backward()
    optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(before, world.teacher.parameters(), strict=True))
    assert not torch.equal(world.term.teacher.item_embedding.weight, world.teacher.item_embedding.weight)


def test_the_step_adds_both_losses_and_only_the_students_is_weighted():
    world = World(BD, bd_weight=0.0)
    columns = torch.tensor(ROWS).T
    interaction = dict(zip(("user_id", "item_id", "neg_item_id"), columns, strict=True))
    with world.backbone.view() as view:
        parts = world.term.weighted(toy.Batch(*columns, view, interaction))
    assert list(parts) == ["BD", "BD teacher"] and parts["BD"] == 0 and parts["BD teacher"] > 0


def test_what_is_drawn_is_unseen_and_the_one_who_is_ahead_decides():
    world = World(BD, bd_candidates=60, bd_pool=400, bd_epsilon_e=5.0)
    now = numbers(world.student, world.term)
    for user in range(1, USERS + 1):
        for pool in (world.term.student_pool, world.term.teacher_pool):
            assert not SEEN[user] & set(pool[user].tolist())
        if len(SEEN[user]) < ITEMS - 1:
            unseen = [item for item in range(1, ITEMS + 1) if item not in SEEN[user]]
            place = {
                kind: sorted(unseen, key=lambda item: -dot(now[u][user], now[i][item]))
                for kind, u, i in (
                    ("s", "user", "item"),
                    ("t", "teacher.user_embedding.weight", "teacher.item_embedding.weight"),
                )
            }
            behind = {item for item in unseen if place["s"].index(item) > place["t"].index(item)}
            if behind:  # ranks among doubles are near the ranks among items: most draws are of these
                drawn = world.term.student_pool[user].tolist()
                assert sum(item in behind for item in drawn) > 0.5 * len(drawn)


def test_the_pools_are_drawn_when_a_refresh_is_due():
    world = World(BD)
    drawn = []
    for epoch in range(4):
        before = world.term.generator.get_state()
        world.term.start_epoch(epoch, world.backbone)
        drawn.append(not torch.equal(world.term.generator.get_state(), before))
    assert drawn == [True, False, True, False]


def test_a_teacher_that_draws_has_sources_of_its_own():
    class Drawing(World):
        def make(self, kind, seed=1):
            term = super().make(kind, seed)
            plain = term.teacher.calculate_loss

            def drawing(interaction):
                drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
                return plain(interaction) * drawn[-1][2]

            term.teacher.calculate_loss = drawing
            return term

    drawn = []
    world = Drawing(BD)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    world.loss(), world.loss()
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])
    assert all(one != other for one, other in zip(*drawn, strict=True))
    state = world.term.get_extra_state()
    world.loss()
    world.term.set_extra_state(state)
    world.loss()
    assert drawn[2] == drawn[3]


def test_a_teacher_that_cuts_the_students_batch_up_otherwise_is_refused():
    keys = {"teacher_model": "SimpleX", "teacher": {"train_neg_sample_args": {"sample_num": 3}}}
    with pytest.raises(KDError, match=r"1 negative items.*expects 3.*train_neg_sample_args"):
        make_config("BD", "ml-100k", config_dict=keys)


def test_a_norm_that_both_models_would_share_is_refused():
    with pytest.raises(KDError, match="clip_grad_norm"):
        make_config("BD", "ml-100k", config_dict={"clip_grad_norm": {"max_norm": 1}})
