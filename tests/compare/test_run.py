"""The file of a run: its schema, its numbers, and the part of the split that they are of."""

import json

import pytest

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.run import load_trained, read_row
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.evaluation.popularity_recall import popularity_recall
from recbole_kd.experiment import make_config


def test_files_have_a_schema_version_and_files_without_it_are_version_1(done, tmp_path):
    run = plan_runs(done[0])[0]
    row = run.row()
    assert row["schema_version"] == done[1]["schema_version"] == 1
    file = tmp_path / "run.json"
    earlier = {name: value for name, value in row.items() if name != "schema_version"}
    file.write_text(json.dumps(earlier))
    assert read_row(file, run.key) == earlier
    file.write_text(json.dumps({**row, "schema_version": 2}))
    assert read_row(file, run.key) is None


def test_the_hits_by_popularity_are_those_of_recboles_precision(done):
    for run in plan_runs(done[0]):
        row = run.row()
        hits = sum(one["hits"] for one in row["popularity"])
        assert hits == pytest.approx(row["test_result"]["precision@10"] * 10 * row["users"])


def test_recall_by_popularity_is_that_of_any_batch_size(done):
    run = plan_runs(done[0])[0]
    config = make_config(config_dict=run.keys)
    data = prepare_split(plain_config(config))
    loaded = load_trained(config, run.name, data)
    results = []
    for size in (2_000_000, 300, 64):  # all users at once, a few, and less than the catalogue
        loaded.config["eval_batch_size"] = size
        results.append(popularity_recall(loaded.config, loaded.model, data))
    assert results[0] == results[1] == results[2] == run.row()["popularity"]
