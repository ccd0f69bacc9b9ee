"""Scores with those of a teacher's neighbours beside them: by hand, against loops, and in a run."""

import json
import math

import pytest
import torch

from recbole_kd.backbone.capabilities import FACTOR_MODEL
from recbole_kd.backbone.views import FactorView
from recbole_kd.cli import main
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.neighbour_scores import with_neighbours
from recbole_kd.quick_start import run_kd
from recbole_kd.report import result_table
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer.cache_key import outcome_settings, run_key


def pairs(*seen):
    """Training pairs of users 1, 2, ... from what each has seen."""
    users = [user for user, items in enumerate(seen, 1) for _ in items]
    return torch.tensor(users), torch.tensor([item for items in seen for item in items])


def slow(view, positives, weight):
    """The formula, a pair at a time."""
    users, items = view.query_table.double(), view.item_table.double()
    n, m = len(users), len(items)
    seen = [[] for _ in range(n)]
    for user, item in zip(*(part.tolist() for part in positives), strict=True):
        seen[user].append(item)
    result = torch.zeros(n, m, dtype=torch.float64)
    for user in range(1, n):
        scores = [float(users[user] @ items[item]) for item in range(1, m)]
        near = [
            sum(float(torch.cosine_similarity(items[item], items[other], dim=0)) for other in seen[user])
            / max(1, len(seen[user]))
            for item in range(1, m)
        ]
        spread = [
            math.sqrt(sum((x - sum(values) / (m - 1)) ** 2 for x in values) / (m - 1)) for values in (scores, near)
        ]
        ratio = spread[0] / spread[1] if spread[1] > 1e-9 else 0.0
        result[user, 1:] = torch.tensor([s + weight * ratio * h for s, h in zip(scores, near, strict=True)])
    return result


def random_view(n, m, d, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    tables = [scale * torch.randn(size, d, generator=generator) for size in (n + 1, m + 1)]
    for one in tables:
        one[0] = 0.0
    return FactorView(*tables)


def test_two_items_by_hand():
    # item 1 points east and is twice as long, item 2 north; the user looks east and has seen item 2
    view = FactorView(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    # s = (2, 0), of deviation 1; h = (0, 1), of deviation 1/2: s' = (2, 0 + beta * 2)
    scores = with_neighbours(view, pairs([2]), 0.25).score_all(torch.tensor([1]))
    torch.testing.assert_close(scores, torch.tensor([[0.0, 2.0, 0.5]]))


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_they_are_what_the_formula_says(weight):
    view, seen = random_view(5, 30, 4), pairs([1, 2, 3], [4], [30, 5, 6, 7], [], [1, 30])
    scores = with_neighbours(view, seen, weight).score_all(torch.arange(1, 6))
    torch.testing.assert_close(scores[:, 1:].double(), slow(view, seen, weight)[1:, 1:], rtol=1e-4, atol=1e-5)


def test_a_user_without_items_has_the_teachers_scores():
    view, seen = random_view(3, 20, 4), pairs([1, 2], [], [3])
    user = torch.tensor([2])
    torch.testing.assert_close(with_neighbours(view, seen, 2.0).score_all(user), view.score_all(user))


def test_the_order_does_not_hang_on_the_scale_of_the_factors_and_stays_finite():
    view, seen = random_view(4, 40, 6), pairs([1, 2], [5], [7, 8, 9], [3])
    large = FactorView(80 * view.query_table, 80 * view.item_table)
    small, big = (with_neighbours(one, seen, 1.0).score_all(torch.arange(1, 5)) for one in (view, large))
    assert big.isfinite().all()
    torch.testing.assert_close(big, 6400 * small, rtol=1e-4, atol=0.5)


def test_items_without_length_and_a_teacher_that_knows_nothing_are_finite():
    view = random_view(3, 10, 4)
    view.item_table[4] = 0.0
    flat = FactorView(view.query_table, torch.zeros_like(view.item_table))
    for one in (view, flat):
        assert with_neighbours(one, pairs([4], [1, 4], [2]), 1.0).score_all(torch.arange(4)).isfinite().all()
    assert not with_neighbours(flat, pairs([1], [1], [1]), 1.0).score_all(torch.arange(4)).any()


@pytest.fixture
def bench(settings):
    return ConformanceRun("SLD", settings, neighbour_weight=0.8)


def test_all_that_is_read_of_the_teacher_is_read_with_them_but_its_factors(bench, settings):
    plain = ConformanceRun("SLD", settings).knowledge
    knowledge, everyone = bench.knowledge, torch.arange(bench.knowledge.n_queries)
    assert knowledge.width == plain.width and knowledge.capabilities == FACTOR_MODEL
    for side in ("user", "item"):
        assert torch.equal(knowledge.factors(side), plain.factors(side))
    positives = plain.positive_users, plain.positive_items
    expected = slow(FactorView(plain.factors("user"), plain.factors("item")), positives, 0.8).float()
    full = knowledge.score_all(everyone)
    torch.testing.assert_close(full[1:, 1:], expected[1:, 1:], rtol=1e-3, atol=1e-4)
    items = torch.randint(1, plain.n_items, (plain.n_queries, 5), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(knowledge.score(items), full.gather(1, items))
    expected[plain.positive_users, plain.positive_items] = -torch.inf
    top, changed = knowledge.top_items(5), 0
    for user in range(1, plain.n_queries):
        torch.testing.assert_close(top.scores[user], full[user, top.ids[user].long()])
        assert set(top.ids[user].tolist()) == set((expected[user, 1:].topk(5).indices + 1).tolist())
        changed += set(top.ids[user].tolist()) != set(plain.top_items(5).ids[user].tolist())
    assert changed
    for user in (1, 20):
        items = [item for item in knowledge.top_seen(4)[user].tolist() if item]
        seen = plain.positive_items[plain.positive_users == user]
        assert set(items) == set(seen[full[user, seen].topk(len(items)).indices].tolist())
    turned = full.T.clone()
    turned[plain.positive_items, plain.positive_users] = -torch.inf
    turned[:, 0] = -torch.inf
    by_item = knowledge.top_users(3)
    for item in (1, 50):
        torch.testing.assert_close(by_item.scores[item], turned[item].topk(3).values)


def test_each_weight_has_another_store_and_other_runs_and_none_is_as_before(settings, bench):
    runs = [ConformanceRun("SLD", settings, **keys) for keys in ({}, {"neighbour_weight": 0.4})] + [bench]
    stores = {run.knowledge.store for run in runs}
    keys = {run_key(run.config, run.data.fingerprint) for run in runs}
    assert len(stores) == len(keys) == 3
    assert "neighbour_weight" not in outcome_settings(make_config("SLD", config_dict=settings).final_config_dict)
    teachers = {run_key(run.config.teacher, run.data.fingerprint) for run in runs}
    assert len(teachers) == 1  # the teacher is the same one


def test_earlier_moments_are_read_with_them_too(bench):
    knowledge = bench.knowledge
    states = [lambda: knowledge.backbone]
    positives = knowledge.positive_users, knowledge.positive_items
    along = ModelKnowledge(knowledge.backbone, positives, None, states=states, trajectory="some", neighbours=0.8)
    (lists,) = along.trajectories(2)
    assert torch.equal(lists[0], lists[1])


@pytest.mark.parametrize("teachers, weakest", [("EASE", "EASE offers scores"), (["BPR", "EASE"], "EASE offers scores")])
def test_a_teacher_without_factors_is_refused_before_it_is_trained(settings, teachers, weakest):
    user_keys = {**settings, "teacher_model": teachers, "neighbour_weight": 0.5}
    with pytest.raises(KDError, match=f"neighbour_weight needs teachers that offer factors, and {weakest} only"):
        run_kd("RRD", config_dict=user_keys)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_a_weight_out_of_range_is_refused(capsys, value):
    assert main(["--model=SLD", "--dataset=ml-100k", f"--neighbour_weight={value}"]) == 2
    assert "neighbour_weight" in capsys.readouterr().err


def test_a_run_shows_their_metrics_beside_the_teacher(settings, workdir):
    result = run_kd("MKD", config_dict={**settings, "neighbour_weight": 0.5, "result_file": "out.json"})
    row = json.loads((workdir / "out.json").read_text())["with_neighbours"]
    assert row["test_result"] == result["with_neighbours"]["test_result"]
    assert row["test_result"] != result["teacher"]["test_result"] and row["parameters"] is None
    lines = [line.split("  ")[0] for line in result_table(result).splitlines()]
    assert "with its neighbours" in lines


@pytest.mark.parametrize("better", [True, False])
def test_the_table_advises_them_where_they_are_better(settings, better):
    result = run_kd("SLD", config_dict=settings)
    result["neighbours_worth"] |= {"with": 0.3, "without": 0.25, "better": better}
    line = result_table(result).splitlines()[-1]
    assert line.endswith("mrr@10 0.3000 against 0.2500: --neighbour_weight=1 teaches with them") == better
