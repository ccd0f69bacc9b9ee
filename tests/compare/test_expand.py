"""The runs of a plan: which keys they have, and what decides that a run is executed again."""

from pathlib import Path

import pytest

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import make_plan
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from tests.compare.helpers import NAMES


def test_keys_apply_to_the_runs_that_they_are_for(done):
    made = {run.name: make_config(config_dict=run.keys) for run in plan_runs(done[0])}
    assert [made[name]["learning_rate"] for name in NAMES] == [0.01, 0.02, 0.01, 0.01]
    assert [made[name]["rrd_weight"] for name in ("RRD, half",)] == [0.5]
    assert {made[name].teacher["embedding_size"] for name in NAMES} == {12}


def test_the_teacher_stores_the_trajectory_that_a_later_method_needs(content, workdir):
    plan = make_plan({**content, "folder": "both", "methods": ["RD", "HetComp"]})
    made = {run.name: make_config(config_dict=run.keys) for run in plan_runs(plan)}
    assert made["RD"]["teacher_states"] == 1 and made["teacher"]["teacher_states"] == 4


def test_students_of_several_widths_have_one_teacher_when_its_width_is_set(content):
    methods = ["SLD", {"model": "SLD", "embedding_size": 2, "name": "SLD, narrow"}]
    runs = plan_runs(make_plan({**content, "methods": methods}))
    assert [run.keys["embedding_size"] for run in runs if run.method and run.seed == 1] == [4, 2]


def test_only_what_a_change_reaches_is_run_again(done, content):
    plan, _ = done

    def missing(**changed):
        return [
            run.name
            for run in plan_runs(make_plan({**content, "folder": str(plan.folder), **changed}))
            if not run.row()
        ]

    assert missing() == missing(processes=3) == missing(seeds=[2]) == []
    assert missing(methods=["SLD", {"model": "RRD", "rrd_weight": 0.25, "name": "RRD, half"}]) == ["RRD, half"] * 2
    assert missing(alone={"learning_rate": 0.03}) == ["student alone"] * 2
    assert missing(seeds=[1, 3]) == NAMES
    for one in ({"epochs": 4}, {"metrics": ["NDCG", "MRR"]}):
        assert missing(keys={**content["keys"], **one}) == NAMES * 2
    assert missing(keys={**content["keys"], "resume_interval": 7}) == []


def test_teachers_combined_differently_are_another_teacher(content, workdir):
    def keys(**more):
        keys = {**content["keys"], "teacher_model": ["BPR", "ItemKNN"], **more}
        plan = make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": keys})
        return {run.name: run.key for run in plan_runs(plan)}

    settings = ({}, {"ensemble": "score"}, {"ensemble_weights": [1, 2]}, {"ensemble_weights": [2, 1]})
    keys_by_setting = [keys(**more) for more in settings]
    for name in ("teacher", "RRD"):
        assert len({run_keys[name] for run_keys in keys_by_setting}) == len(settings)
    assert len({run_keys["student alone"] for run_keys in keys_by_setting}) == 1
    methods = [{"model": "RRD", "ensemble_weights": [1, 2]}]
    with pytest.raises(KDError, match="another teacher"):
        plan_runs(
            make_plan({**content, "methods": methods, "keys": {**content["keys"], "teacher_model": ["BPR", "EASE"]}})
        )


def test_teachers_under_the_methods_are_the_plans_where_every_method_has_them(content):
    keys = {key: value for key, value in content["keys"].items() if key != "teacher"}
    teachers = [{"model": "BPR"}, {"model": "ItemKNN"}]

    def runs(methods, **more):
        return plan_runs(make_plan({**content, "keys": {**keys, **more}, "methods": methods}))

    methods = [{"model": "SLD", "teachers": teachers}, {"model": "RRD", "teachers": teachers}]
    by_method, by_plan = runs(methods), runs(["SLD", "RRD"], teachers=teachers)
    assert [(run.name, run.seed, run.key) for run in by_method] == [(run.name, run.seed, run.key) for run in by_plan]
    assert all(len(make_config(config_dict=run.keys).teachers) == 2 for run in by_method)
    for other in ("RRD", {"model": "RRD", "teachers": teachers[:1]}):
        with pytest.raises(KDError, match=r"^toy: .* another teacher"):
            runs([methods[0], other])


def test_a_given_teacher_is_known_by_what_is_in_its_file(done, content, workdir):
    first, second = (next((done[0].folder / f"models/toy/seed-{seed}/teacher").glob("*.pth")) for seed in (1, 2))

    def keys(file):
        (workdir / "t.pth").write_bytes(file.read_bytes())
        given = {key: value for key, value in content["keys"].items() if key != "teacher"} | {"teacher_path": "t.pth"}
        return {run.name: run.key for run in plan_runs(make_plan({**content, "folder": "c", "keys": given}))}

    one, again, other = keys(first), keys(first), keys(second)
    assert one == again and all(one[name] != other[name] for name in ("teacher", "SLD", "RRD, half"))


def test_a_teacher_of_scores_is_measured_again_when_the_metrics_change(content, workdir):
    (workdir / "s.tsv").write_text("u1\ti1\t0.5\n")
    keys = {key: value for key, value in content["keys"].items() if key != "teacher"}

    def key(**more):
        settings = {**keys, "teachers": [{"scores": "s.tsv"}], **more}
        runs = plan_runs(make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": settings}))
        return next(run.key for run in runs if run.name == "teacher")

    split = {"eval_args": {"split": {"RS": [0.5, 0.2, 0.3]}}}
    assert key() == key() and len({key(), key(**split), key(topk=[5, 20], valid_metric="MRR@5")}) == 3


def test_the_seed_of_a_teacher_decides_its_runs(content, workdir):
    """A teacher may have a fixed seed where the split does not depend on the seed."""

    def keys(*seeds):
        fixed = {"eval_args": {"order": "TO"}, "load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
        fixed |= {key: value for key, value in content["keys"].items() if key not in ("teacher", *fixed)}
        fixed["teachers"] = [{"model": "BPR", "seed": seed} for seed in seeds]
        runs = plan_runs(make_plan({**content, "methods": ["RRD"], "folder": "c", "keys": fixed}))
        return {(run.name, run.seed): run.key for run in runs}

    one, other = keys(11, 12), keys(11, 13)
    assert {name for (name, _), key in one.items() if other[name, _] != key} == {"teacher", "RRD"}


def test_a_changed_dataset_is_noticed(content, tmp_path):
    (tmp_path / "toy").mkdir()
    for file in (Path(content["keys"]["data_path"]) / "toy").iterdir():
        (tmp_path / "toy" / file.name).write_bytes(file.read_bytes())
    plan = make_plan(
        {**content, "keys": {**content["keys"], "data_path": str(tmp_path)}, "folder": str(tmp_path / "c")}
    )
    before = [run.key for run in plan_runs(plan)]
    with open(tmp_path / "toy" / "toy.inter", "a") as stream:
        stream.write("u1\ti1\t99\n")
    after = [run.key for run in plan_runs(plan)]
    assert not set(before) & set(after)
