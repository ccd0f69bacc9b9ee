"""The summary: means, comparisons with the references and the best rival, ranks."""

import inspect
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from scipy import stats

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import make_plan
from recbole_kd.compare.report.findings import findings
from recbole_kd.compare.report.tables import accuracy
from recbole_kd.compare.run import write_row
from recbole_kd.compare.summary import complete, ranked, summarise
from recbole_kd.compare.types import (
    Comparison,
    DatasetSummary,
    MetricSummary,
    ModelSummary,
    PopularitySummary,
    RivalComparison,
    Summary,
)
from recbole_kd.evaluation.result import recovered_share
from recbole_kd.evaluation.statistics import describe, holm
from tests.compare.helpers import NAMES


def write_values(plan, values):
    """Write the files of runs whose ndcg@10 is given, by name and seed."""
    for run in plan_runs(plan):
        if run.seed in values[run.name]:
            row = {"key": run.key, "method": run.method, "keys": {}, "parameters": 1, "bytes": 4, "popularity": None}
            row |= {"users": 1, "items": 1, "interactions": {"train": 1}, "valid_metric": "mrr@10", "k": 10}
            row |= {"epochs": 1, "seconds": 1.0, "test_result": {"ndcg@10": values[run.name][run.seed]}}
            Path(run.file).parent.mkdir(parents=True, exist_ok=True)
            write_row(run.file, row)


def test_a_method_on_fewer_seeds_is_no_rival_and_not_the_best(content, tmp_path):
    methods = [{"model": "SLD", "name": "good"}, {"model": "RRD", "name": "wild"}]
    plan = make_plan({**content, "seeds": [1, 2, 3], "methods": methods, "folder": str(tmp_path)})
    scores = {"teacher": [3.0, 4.0, 5.0], "student alone": [2.0, 3.0, 4.0], "good": [2.9, 3.9, 4.9]}
    values = {name: dict(zip((1, 2, 3), row, strict=True)) for name, row in scores.items()} | {"wild": {3: 4.4}}
    write_values(plan, values)
    dataset = summarise(plan, plan_runs(plan), "ndcg@10", {})["datasets"]["toy"]
    rows = dataset["rows"]
    assert rows["good"]["metrics"]["ndcg@10"]["against_rival"]["rival"] is None
    assert rows["wild"]["metrics"]["ndcg@10"]["against_rival"]["rival"] == "good"
    text = " ".join(findings(dataset, "ndcg@10"))
    assert "good has the best mean ndcg@10 of 1 method" in text and "wild (1)" in text
    header, lines = accuracy(dataset, "ndcg@10")
    assert header[1] == "seeds" and [line[1] for line in lines] == ["3 of 3", "3 of 3", "3 of 3", "1 of 3"]
    assert complete({"A": [1, 2], "B": [2, 3], "C": [1, 2]}) == ["A", "C"]


def test_every_field_of_the_summary_is_described(done):
    dataset = done[1]["datasets"]["toy"]
    method, teacher = dataset["rows"]["SLD"], dataset["rows"]["teacher"]
    entry = method["metrics"]["ndcg@10"]
    described = (
        (done[1], Summary),
        (dataset, DatasetSummary),
        (method, ModelSummary),
        (teacher, ModelSummary),
        (method["popularity"][0], PopularitySummary),
        (entry, MetricSummary),
        (entry["against_alone"], Comparison),
        (entry["against_teacher"], Comparison),
        (entry["against_rival"], RivalComparison),
    )
    text = "".join(inspect.getdoc(kind) for _, kind in described)
    for content, kind in described:
        assert content.keys() == get_type_hints(kind).keys(), kind
        assert all(f"\n    {name}: " in text for name in content), kind
    assert teacher["metrics"]["ndcg@10"].keys() == MetricSummary.__required_keys__


def test_differences_to_the_teacher_have_a_paired_t_interval_and_holms_p(content, tmp_path):
    plan = make_plan({**content, "seeds": [1, 2, 3, 4], "folder": str(tmp_path)})
    draw = np.random.default_rng(0)
    values = {name: dict(zip((1, 2, 3, 4), draw.random(4).tolist(), strict=True)) for name in NAMES}
    write_values(plan, values)
    rows = summarise(plan, plan_runs(plan), "ndcg@10", {})["datasets"]["toy"]["rows"]
    for against, opponent in (("against_teacher", "teacher"), ("against_alone", "student alone")):
        p_values = []
        for name in NAMES[2:]:
            comparison = rows[name]["metrics"]["ndcg@10"][against]
            expected = stats.ttest_rel(list(values[name].values()), list(values[opponent].values()))
            interval = expected.confidence_interval(0.95)
            assert [comparison["p"], comparison["t_low"], comparison["t_high"]] == pytest.approx(
                [expected.pvalue, interval.low, interval.high]
            )
            p_values.append(expected.pvalue)
        low, high = sorted(p_values)
        adjusted = [min(1, 2 * low) if p == low else min(1, max(2 * low, high)) for p in p_values]
        assert [rows[name]["metrics"]["ndcg@10"][against]["p_holm"] for name in NAMES[2:]] == pytest.approx(adjusted)


def test_the_summary_compares_with_the_student_alone_and_the_best_rival(done):
    rows = done[1]["datasets"]["toy"]["rows"]
    for metric, entry in rows["SLD"]["metrics"].items():
        other = rows["RRD, half"]["metrics"][metric]
        values, rival, alone, teacher = (
            np.array(list(one["values"].values()))
            for one in (entry, other, rows["student alone"]["metrics"][metric], rows["teacher"]["metrics"][metric])
        )
        assert entry["against_alone"]["difference"] == pytest.approx(np.mean(values - alone))
        assert entry["against_teacher"]["difference"] == pytest.approx(np.mean(values - teacher))
        assert entry["against_rival"]["rival"] == "RRD, half"
        assert entry["against_rival"]["difference"] == pytest.approx(np.mean(values - rival))
        for against in ("against_alone", "against_teacher", "against_rival"):
            pair = [one[against]["p"] for one in (entry, other)]
            assert [one[against]["p_holm"] for one in (entry, other)] == holm(pair)
        gap = teacher.mean() - alone.mean()
        wanted = (values.mean() - alone.mean()) / gap if gap > 0 else None
        assert entry["share"] == (pytest.approx(wanted) if wanted is not None else None)


def test_means_shares_and_ranks_by_hand():
    assert describe([1.0, 2.0, 6.0]) == {"n": 3, "mean": 3.0, "sd": pytest.approx(7**0.5)}
    assert describe([1.0])["sd"] is None and describe([]) == {"n": 0, "mean": None, "sd": None}
    assert recovered_share([0.3, 0.5], [0.2, 0.2], [0.5, 0.5]) == pytest.approx(2 / 3)
    assert recovered_share([0.3], [0.2], [0.1]) is None and recovered_share([], [], []) is None
    assert recovered_share([0.2], [0.3], [0.1], smaller=True) == pytest.approx(0.5)
    rows = {
        name: {"metrics": {metric: {"mean": mean, "values": "123"[:n]} for metric in ("recall@10", "giniindex@10")}}
        for name, mean, n in (("teacher", 9, 3), ("A", 1, 3), ("B", 2, 3), ("C", 1, 3), ("D", 5, 2), ("E", 0, 2))
    }
    assert ranked(rows, "recall@10") == ["B", "A", "C", "D", "E"]
    assert ranked(rows, "giniindex@10") == ["A", "C", "B", "E", "D"]
