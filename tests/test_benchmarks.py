"""The scripts behind the published tables run: on the toy dataset, with the kinds of keys that their commands have."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def script(data_path, workdir, monkeypatch):
    """Runs a script of benchmarks/ with a command line; gives its result file's content."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])

    def run(name, *argv):
        spec = importlib.util.spec_from_file_location(name, ROOT / f"benchmarks/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        toy = ["--dataset=toy", f"--data_path={data_path}", "--checkpoint_dir=saved", "--embedding_size=4"]
        toy += ["--epochs=2", "--result_file=found.json"]
        monkeypatch.setattr(sys, "argv", [name, *argv, *toy])
        module.main()
        return json.loads((workdir / "found.json").read_text())

    return run


def test_methods_over_seeds_with_keys_of_the_teacher(script):
    mix = "Distiller --terms=\"['SLD','RCEKD']\" --sld_weight=3"
    found = script("methods", "--seeds=1,2", f"--methods=MKD;{mix}", "--alone=--learning_rate=0.003",
                   "--neighbour_weight=1.0", "--teacher.eval_step=1", "--teacher.embedding_size=12")  # fmt: skip
    names = ["teacher", "student alone", "with its neighbours", "MKD", mix]
    assert list(found["runs"]) == ["1", "2"] and list(found["summary"]) == names
    assert found["seeds"] == "1,2" and found["alone"] == "--learning_rate=0.003"


def test_a_method_that_asks_for_another_teacher_is_refused_before_anything_is_trained(script, workdir):
    with pytest.raises(SystemExit, match="'SLD --neighbour_weight=1' asks for another teacher"):
        script("methods", "--methods=SLD;SLD --neighbour_weight=1")
    assert not list(workdir.rglob("*.pth*"))


def test_hetcomp_over_rows_from_the_teachers_states_and_from_their_files(script):
    rows = "HetComp;last states only;best teacher only;RRD;SLD --learning_rate=0.003 --ensemble_weights=[1,0.3]"
    teachers = "[{model: BPR, embedding_size: 12}, {model: ItemKNN, k: 5}]"
    found = script("hetcomp", "--seeds=1", f"--only={rows}", f"--teachers={teachers}", "--alone=--learning_rate=0.003",
                   "--teacher.eval_step=1", "--teacher.stopping_step=10")  # fmt: skip
    names = ["teacher BPR", "teacher ItemKNN", "ensemble", "student alone", *rows.split(";")]
    assert list(found["runs"][0]["rows"]) == names
    assert all(0 <= row["test_result"]["ndcg@10"] <= 1 for row in found["runs"][0]["rows"].values())
