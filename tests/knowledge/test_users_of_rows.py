"""A teacher of users read by the rows of a sequence student, alone and beside a teacher of rows."""

import math
import statistics

import pytest
import torch

from recbole_kd.backbone.capabilities import FACTORS, SCORER, Capability
from recbole_kd.backbone.factors import FactorBackbone
from recbole_kd.backbone.queries import RowUserQueries
from recbole_kd.backbone.views import View
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.users_of_rows import UsersOfRows, row_targets
from recbole_kd.ops.sampling import sample_outside
from recbole_kd.testing.toy import D_T, ITEMS, SEEN, USERS, Toy

ROW_USERS = torch.tensor([0, 5, 1, 1, 4, 2, 5])  # the user of each row
TARGETS = torch.tensor([2, 1, 4, 6, 3, 6])
POSITIVES = torch.arange(1, 7), TARGETS
ROWS = torch.tensor([6, 2, 4, 2])


@pytest.fixture
def users():
    pairs = torch.tensor([(user, item) for user, items in SEEN.items() for item in items]).T
    return ModelKnowledge(FactorBackbone(Toy(D_T, 1)), tuple(pairs))


@pytest.fixture
def rows(users):
    return UsersOfRows(users, ROW_USERS, POSITIVES)


@pytest.fixture
def teacher_of_rows():
    """Knowledge of a model of 6 rows, each with a vector of its own."""
    teacher = Toy(D_T, 2)
    teacher.user_embedding = torch.nn.Embedding.from_pretrained(
        torch.randn(7, D_T, generator=torch.Generator().manual_seed(3))
    )
    return ModelKnowledge(FactorBackbone(teacher, RowUserQueries("user_id", torch.arange(7))), POSITIVES)


@pytest.mark.parametrize("seen", [False, True])
def test_each_row_has_its_users_list(users, rows, seen):
    of_users, of_rows = users.top_items(3, seen), rows.top_items(3, seen)
    assert of_rows.ids.shape == (7, 3)
    for row, user in enumerate(ROW_USERS.tolist()):
        for name in ("ids", "scores", "length"):
            assert torch.equal(getattr(of_rows, name)[row], getattr(of_users, name)[user])
    chosen = rows.top_items_of(ROWS, 3, seen)
    assert torch.equal(chosen.ids, of_rows.ids[ROWS]) and torch.equal(chosen.scores, of_rows.scores[ROWS])


def test_lists_leave_out_all_that_the_user_has_seen(rows):
    for row, user in enumerate(ROW_USERS.tolist()):
        listed = [item for item in rows.top_items(ITEMS).ids[row].tolist() if item]
        assert set(listed) == (set(range(1, ITEMS + 1)) - SEEN[user] if user else set())


def test_scores_are_those_of_the_rows_user(users, rows):
    items = torch.tensor([[1, 7], [2, 2], [3, 6], [5, 4]])
    scores = rows.score_all(ROWS)
    assert torch.equal(scores, users.score_all(ROW_USERS[ROWS]))
    torch.testing.assert_close(rows.score_of(ROWS, items), scores.gather(1, items))
    of_all = torch.arange(14).reshape(7, 2) % 7 + 1
    torch.testing.assert_close(rows.score(of_all), rows.score_all(torch.arange(7)).gather(1, of_all))


def test_vectors_are_those_of_the_rows_user(users, rows):
    assert torch.equal(rows.factors("user"), users.factors("user")[ROW_USERS])
    assert torch.equal(rows.factors("item"), users.factors("item"))
    assert rows.width == D_T
    assert FACTORS in users.capabilities and Capability.USER_TABLE not in rows.capabilities


def test_what_a_row_has_seen_is_its_target(rows):
    assert (rows.n_queries, rows.n_items, rows.per_row) == (7, ITEMS + 1, True)
    assert row_targets(rows).tolist() == [[0], *([target] for target in TARGETS.tolist())]
    assert torch.equal(rows.top_seen(5), row_targets(rows))


def test_groups_are_those_of_the_rows_user(users, rows):
    assert torch.equal(rows.top_of_groups(2, 2), users.top_of_groups(2, 2)[ROW_USERS])


def importance(lists, shares):
    """The weight of each item in a consensus."""
    weights = {}
    for items, share in zip(lists, shares, strict=True):
        for rank, item in enumerate(items, 1):
            weights[item] = weights.get(item, 0.0) + share * math.exp(-rank / 10)
    return weights


@pytest.mark.parametrize("seen", [False, True])
def test_a_consensus_of_rows_is_that_of_their_lists(rows, teacher_of_rows, seen):
    ensemble = EnsembleKnowledge([rows, teacher_of_rows], weights=[1.0, 0.7])
    assert ensemble.per_row
    top = ensemble.top_items_of(ROWS, 4, seen)
    for position, row in enumerate(ROWS.tolist()):
        # the lists of the members have up to 100 items, here all
        lists = [
            [item for item in member.top_items(ITEMS, seen).ids[row].tolist() if item]
            for member in (rows, teacher_of_rows)
        ]
        weights = importance(lists, [1.0, 0.7])
        expected = sorted(weights, key=lambda item: -weights[item])[:4]
        assert top.ids[position].tolist() == expected
        assert top.scores[position].tolist() == pytest.approx([weights[item] for item in expected], rel=1e-5)
        assert top.length[position] == 4


class ViewOf(View):
    """A student with the scores of a teacher."""

    def __init__(self, knowledge):
        self.score_all = knowledge.score_all


def standardised(scores):
    """The scores of the items without padding over their mean and standard deviation."""
    mean, sd = statistics.mean(scores[1:]), statistics.stdev(scores[1:])
    return [(score - mean) / sd for score in scores]


@pytest.mark.parametrize("together", [False, True])
def test_a_students_lists_and_a_tail_leave_out_all_that_the_user_has_seen(together, rows, teacher_of_rows):
    knowledge = EnsembleKnowledge([teacher_of_rows, rows]) if together else rows
    row, item = knowledge.seen_pairs(ROWS)
    found = [sorted(item[row == position].tolist()) for position in range(len(ROWS))]
    assert found == [sorted(SEEN[user]) for user in ROW_USERS[ROWS].tolist()]
    top = knowledge.top_unseen(ViewOf(teacher_of_rows), ITEMS)
    assert top.ids[0].tolist() == [0] * ITEMS and top.length[0] == 0
    for query in range(1, 7):
        scores = teacher_of_rows.score_all(torch.tensor([query]))[0].tolist()
        unseen = set(range(1, ITEMS + 1)) - SEEN[int(ROW_USERS[query])]
        listed = top.ids[query, : top.length[query]].tolist()
        assert listed == sorted(unseen, key=lambda item: -scores[item])
    assert len(set(knowledge.top_unseen(ViewOf(teacher_of_rows), ITEMS, seen=True).ids[1].tolist())) == ITEMS


@pytest.mark.parametrize("seen", [False, True])
def test_scores_of_rows_are_the_mean_of_standardised_scores(rows, teacher_of_rows, seen):
    ensemble = EnsembleKnowledge([rows, teacher_of_rows], by_score=True, weights=[1.0, 3.0])
    assert ensemble.capabilities == SCORER
    scores, top = ensemble.score_all(ROWS), ensemble.top_items_of(ROWS, 4, seen)
    items = torch.tensor([[1, 7], [2, 2], [3, 6], [5, 4]])
    assert torch.equal(ensemble.score_of(ROWS, items), scores.gather(1, items))
    for position, row in enumerate(ROWS.tolist()):
        first, second = (
            standardised(member.score_all(torch.tensor([row]))[0].tolist()) for member in (rows, teacher_of_rows)
        )
        mean = [(x + 3 * y) / 4 for x, y in zip(first, second, strict=True)]
        assert scores[position].tolist() == pytest.approx(mean, rel=1e-4, abs=1e-5)
        left_out = set() if seen else SEEN[int(ROW_USERS[row])] | {int(TARGETS[row - 1])}
        best = sorted(set(range(1, ITEMS + 1)) - left_out, key=lambda item: -mean[item])[:4]
        assert top.ids[position].tolist() == best + [0] * (4 - len(best))


@pytest.mark.parametrize("several", [False, True])
def test_nothing_that_the_user_has_seen_is_drawn_or_ranked(rows, teacher_of_rows, several):
    knowledge = EnsembleKnowledge([teacher_of_rows, rows], by_score=True) if several else rows
    drawn, found = sample_outside(knowledge.excluded_of(ROWS), 40, torch.Generator().manual_seed(1))
    ranked = knowledge.top_unseen_of(ViewOf(knowledge), ROWS, ITEMS).ids
    for position, row in enumerate(ROWS.tolist()):
        unseen = set(range(1, ITEMS + 1)) - SEEN[int(ROW_USERS[row])]
        assert set(drawn[position][found[position]].tolist()) == unseen
        assert set(ranked[position].tolist()) - {0} == unseen - ({int(TARGETS[row - 1])} if several else set())


def test_all_rows_have_the_lists_that_chosen_rows_have(rows, teacher_of_rows):
    for by_score in (False, True):
        ensemble = EnsembleKnowledge([rows, teacher_of_rows], by_score=by_score)
        assert torch.equal(ensemble.top_items(4).ids[ROWS], ensemble.top_items_of(ROWS, 4).ids)
    assert len(ROW_USERS) > USERS
