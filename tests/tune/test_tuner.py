"""The search: what a trial may look at, what is shared by the trials, and what happens when one fails."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from recbole_kd import experiment
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.errors import KDError, NonFiniteLoss
from recbole_kd.experiment import Experiment
from recbole_kd.quick_start import objective_function, run_kd
from recbole_kd.tune.searchers import RandomSearch
from recbole_kd.tune.tuner import tune
from tests.tune.helpers import search, write_space


class Untouched:
    """A test part that nobody may look at."""

    def __getattr__(self, name):
        raise AssertionError("the test part was looked at")

    __iter__ = __len__ = __bool__ = property(lambda self: self.__getattr__(""))


@pytest.fixture
def no_test_part(monkeypatch):
    split = prepare_split
    for module in ("experiment", "trainer.training"):
        monkeypatch.setattr(
            f"recbole_kd.{module}.prepare_split", lambda config: replace(split(config), test=Untouched())
        )
    fresh = Split.fresh
    monkeypatch.setattr(Split, "fresh", lambda self, config: replace(fresh(self, config), test=Untouched()))


@pytest.mark.parametrize("side", ["method", "alone", "teacher"])
def test_the_test_part_is_never_evaluated(side, settings, no_test_part):
    assert len(search(settings, 2, side=side)["trials"]) == 2


def test_that_the_test_part_would_be_seen(settings, no_test_part):
    with pytest.raises(AssertionError, match="looked at"):
        objective_function(settings | {"model": "SLD"})


def test_teacher_and_knowledge_are_made_once(settings, monkeypatch):
    made, used = [], []
    load, train = experiment.load_knowledge, Experiment.train_side
    monkeypatch.setattr(experiment, "load_knowledge", lambda *args: made.append(load(*args)) or made[-1])
    monkeypatch.setattr(Experiment, "train_side", lambda self, *args: used.append(self.knowledge) or train(self, *args))
    search(settings)
    assert len(made) == 1 and len(used) == 3 and all(knowledge is made[0] for knowledge in used)


def test_a_given_teacher_of_another_split_is_refused_before_anything_is_written(settings, workdir):
    search(settings, 1)
    (file,) = Path("saved", "teacher").glob("*.pth")
    before = sorted(Path().rglob("*"))
    with pytest.raises(KDError, match="test pairs"):
        tune("SLD", config_dict={**settings, "teacher_path": str(file), "seed": 1}, output="other.yaml")
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("side, block", [("alone", "student"), ("teacher", "teacher")])
def test_the_other_sides_are_tuned_over_recboles_keys(side, block, settings, workdir):
    keys = {key: value for key, value in settings.items() if key not in ("learning_rate", "teacher")}
    keys["teacher"] = {"embedding_size": 12}
    result = search(keys, 3, side=side)
    names = {"learning_rate", "weight_decay"}
    assert set(result["trials"][0]["settings"]) == names  # the batch size is set by the user
    best = result["trials"][result["best"]]
    assert yaml.safe_load(Path("out.yaml").read_text()) == {block: best["settings"]}
    again = run_kd("SLD", config_file_list=["out.yaml"], config_dict=keys)
    row = again["student_alone" if side == "alone" else "teacher"]
    assert row["valid_result"]["mrr@10"] == best["value"]


def test_a_teacher_that_is_solved_is_tuned_over_its_keys(settings, workdir):
    keys = {**settings, "teacher_model": "EASE"}
    with pytest.raises(KDError, match="'learning_rate' in the space cannot be tuned for the teacher"):
        search(keys, side="teacher")
    write_space("reg_weight: [1, 1000, log]\n")
    result = search(keys, 3, side="teacher", space="my.space.yaml")
    assert len({one["settings"]["reg_weight"] for one in result["trials"]}) == 3


def test_a_trial_is_pruned_by_the_searcher(settings, workdir, monkeypatch):
    monkeypatch.setattr(RandomSearch, "should_prune", lambda self, curve, trials: len(trials) > 1 and len(curve) == 1)
    result = search({**settings, "sld_warmup": 0}, 3)
    assert [one["state"] for one in result["trials"]] == ["finished", "finished", "pruned"]
    assert [len(one["curve"]) for one in result["trials"]] == [2, 2, 1] and result["best"] != 2
    assert not list(Path("saved", "tune").iterdir())


def test_nothing_is_pruned_before_the_last_scheduled_phase(settings, monkeypatch):
    seen = []
    monkeypatch.setattr(RandomSearch, "should_prune", lambda self, curve, trials: seen.append(curve[-1][0]) or False)
    search({**settings, "epochs": 4, "sld_warmup": 2}, 1)
    assert seen == [2, 3]


def test_a_trial_that_diverges_is_noted_and_the_others_go_on(settings, workdir, monkeypatch):
    train = Experiment.train_side

    def breaking(experiment, *rest):
        if experiment.config["sld_weight"] != 1.0:
            raise NonFiniteLoss("the SLD loss is not finite")
        train(experiment, *rest)

    monkeypatch.setattr(Experiment, "train_side", breaking)
    result = search(settings, 3)
    assert [one["state"] for one in result["trials"]] == ["finished", "failed", "failed"] and result["best"] == 0
    assert result["trials"][1]["value"] is None and "not finite" in result["trials"][1]["reason"]
    recipe, defaults = yaml.safe_load(Path("out.yaml").read_text()), result["trials"][0]["settings"]
    assert {key: recipe[key] for key in defaults} == defaults


def test_recbole_hyper_tuning(settings, workdir):
    pytest.importorskip("hyperopt", reason="RecBole's HyperTuning needs hyperopt")
    from recbole.trainer import HyperTuning

    fixed = {key: value for key, value in settings.items() if key != "dataset"}
    Path("fixed.yaml").write_text(yaml.safe_dump({"model": "SLD", "dataset": "toy", **fixed}))
    tuning = HyperTuning(
        objective_function,
        params_dict={"uniform": {"sld_tau": [0.5, 2.0]}},
        fixed_config_file_list=["fixed.yaml"],
        algo="random",
        max_evals=2,
    )
    tuning.run()
    assert len(tuning.score_list) == 2 and 0.5 <= tuning.best_params["sld_tau"] <= 2.0
    assert tuning.best_score == max(tuning.score_list)
