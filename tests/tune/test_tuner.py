"""The search for settings: its spaces, its two searchers, what a trial may look at, how it goes on, what it leaves."""

import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from recbole_kd import experiment
from recbole_kd.cli import main
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.config.schema import PROPERTIES, method_keys, method_names
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.errors import KDError, NonFiniteLoss
from recbole_kd.experiment import Experiment
from recbole_kd.method.configuration import build_config
from recbole_kd.quick_start import objective_function, run_kd
from recbole_kd.tune.searchers import GRACE, STARTUP, RandomSearch, TPESearch, best_until
from recbole_kd.tune.space import (
    Choice,
    Interval,
    check_space,
    recipe_content,
    override_layers,
    read_space,
    keys_set_by_user,
    default_space,
)
from recbole_kd.tune.tuner import tune

SPACES = sorted((PROPERTIES / "space").glob("*.yaml"))
SIDE_FILES = {"alone", "teacher"}


def name_of(file):
    return file.stem


def search(settings, trials=3, **keys):
    return tune("SLD", config_dict=settings, trials=trials, output="out.yaml", **keys)


def plain(result):
    """What two searches have to have in common: all but the time that they took."""
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in result["trials"]]


# Spaces


def test_every_method_has_a_space_and_so_have_the_two_other_sides():
    assert {name_of(file) for file in SPACES} == {*method_names(), *SIDE_FILES} - {"Distiller"}


@pytest.mark.parametrize("file", SPACES, ids=name_of)
def test_a_space_that_comes_with_us_fits_its_keys_and_holds_the_defaults(file):
    name = name_of(file)
    side, method = (name, "SLD") if name in SIDE_FILES else ("method", name)
    layers = read_layers(method, "toy")
    base = build_config(layers)
    space = read_space(file)
    assert check_space(space, side, layers, base).keys() == space.keys()
    assert "learning_rate" in space
    own = base.teacher if side == "teacher" else base
    drawn = build_config(override_layers(layers, recipe_content(side, RandomSearch(space, 0, True).suggest([]))))
    if side == "teacher":
        assert plain_config(drawn).final_config_dict == plain_config(base).final_config_dict
    else:
        assert drawn.teacher.final_config_dict == base.teacher.final_config_dict, "trials share their teacher"
    for key, part in space.items():
        inside = own[key] in part.values if isinstance(part, Choice) else part.low <= own[key] <= part.high
        assert inside, f"{key}: the default {own[key]} lies outside"
    if side == "method":
        weights = [key for key in method_keys(method) if key.endswith("_weight") and key in space]
        assert weights and all(isinstance(space[key], Choice) or space[key].log for key in weights)


def test_a_mix_is_searched_over_its_terms_spaces():
    result = default_space("method", "Distiller", ["NKD", "RRD"])
    assert result == {**default_space("method", "NKD"), **default_space("method", "RRD")}
    with pytest.raises(KDError, match="terms=None"):
        default_space("method", "Distiller")


@pytest.mark.parametrize("part", [
    Interval(0.01, 10.0, True), Interval(1e-7, 1e-3, True), Interval(-1.0, 2.5), Interval(3, 70), Interval(1, 9, True),
])  # fmt: skip
def test_an_interval_is_covered_and_never_left(part):
    values = [part.at(share) for share in np.linspace(0, 1, 400, endpoint=False)]
    assert all(part.low <= value <= part.high for value in values) and values == sorted(values)
    assert all(isinstance(value, int if part.is_integer else float) for value in values)
    assert values[0] == part.low and values[-1] == pytest.approx(part.high, rel=0.05)
    middle = (part.low * part.high) ** 0.5 if part.log else (part.low + part.high) / 2
    assert part.at(0.5) == pytest.approx(middle, rel=0.01, abs=1)
    assert all(float(f"{value:.3g}") == value for value in values)


def test_a_choice_takes_each_value_as_often():
    part = Choice(("a", "b", "c"))
    assert [part.at(share) for share in (0, 0.33, 0.34, 0.66, 0.67, 0.999)] == ["a", "a", "b", "b", "c", "c"]


def test_the_three_forms_are_read(tmp_path):
    file = tmp_path / "my.space.yaml"
    file.write_text("sld_weight: [1e-2, 10, log]\nsld_tau: [1, 3]\nsld_k: {20, 50}\nsld_mode: {union, teacher}\n")
    assert read_space(file) == {
        "sld_weight": Interval(0.01, 10, True), "sld_tau": Interval(1, 3), "sld_k": Choice((20, 50)),
        "sld_mode": Choice(("union", "teacher")),
    }  # fmt: skip


def test_ends_take_the_type_of_the_key():
    layers = read_layers("SLD", "toy")
    keys = {"sld_tau": Interval(1, 3), "sld_k": Interval(20, 50)}
    result = check_space(keys, "method", layers, build_config(layers))
    assert not result["sld_tau"].is_integer and result["sld_k"].is_integer


def test_what_the_user_sets_is_not_searched():
    argv = ["--model=SLD", "--dataset=toy", "--sld_weight=2", "--student.learning_rate=0.01", "--train_batch_size=64"]
    layers = read_layers(argv=[*argv, "--teacher.weight_decay=0.1"])
    result = check_space(default_space("method", "SLD"), "method", layers, build_config(layers))
    assert set(result) == {"sld_tau", "sld_gamma"}
    assert {"learning_rate", "train_batch_size"} <= keys_set_by_user(layers, "alone")
    own = keys_set_by_user(layers, "teacher")
    assert {"train_batch_size", "weight_decay"} <= own and "learning_rate" not in own


# Searchers


def entry(number, curve, state="finished", settings=None):
    value = best_until(curve, 1000) if curve else None
    settings = settings or {"x": 0.5, "k": 1, "n": 1 + number}
    return {"number": number, "settings": settings, "state": state, "value": value, "curve": curve}


def searchers():
    return [RandomSearch] + ([TPESearch] if _has("optuna") else [])


def _has(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


SPACE = {"x": Interval(0.01, 1.0, True), "k": Choice((1, 2, 3)), "n": Interval(1, 50)}


@pytest.mark.parametrize("kind", searchers())
def test_a_draw_depends_on_the_seed_and_the_trials_before_alone(kind):
    trials = []
    for number in range(8):
        settings = kind(SPACE, 3, True).suggest(trials)  # made anew, as after an interruption
        assert settings == kind(SPACE, 3, True).suggest(trials) != kind(SPACE, 4, True).suggest(trials)
        assert settings not in [other["settings"] for other in trials] and set(settings) == set(SPACE)
        trials.append(entry(number, [[0, settings["x"]]], settings=settings))


def test_random_search_is_spread_over_the_space():
    draws = [RandomSearch(SPACE, 0, True).suggest([{"settings": {}}] * number) for number in range(300)]
    assert {draw["k"] for draw in draws} == {1, 2, 3}
    assert statistics.median(draw["x"] for draw in draws) == pytest.approx(0.1, rel=0.3)


def test_random_search_ends_where_everything_was_tried():
    searcher, trials = RandomSearch({"k": Choice((1, 2))}, 0, True), []
    while (settings := searcher.suggest(trials)) is not None:
        trials.append(entry(len(trials), [], settings=settings))
    assert sorted(one["settings"]["k"] for one in trials) == [1, 2]


def flat(value, length=20):
    return [[epoch, value] for epoch in range(length)]


@pytest.mark.parametrize("kind", searchers())
def test_a_trial_below_the_median_is_given_up_and_one_above_is_not(kind):
    trials = [entry(number, flat(value)) for number, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])]
    searcher = kind(SPACE, 0, True)
    assert searcher.should_prune(flat(0.29, GRACE + 1), trials)
    assert not searcher.should_prune(flat(0.31, GRACE + 1), trials)
    assert not searcher.should_prune(flat(0.1, GRACE), trials), "it is too early"
    assert not searcher.should_prune(flat(0.1, GRACE + 1), trials[:-1]), "there are too few"
    lower = kind(SPACE, 0, False)
    assert lower.should_prune(flat(0.31, GRACE + 1), trials) and not lower.should_prune(flat(0.29, GRACE + 1), trials)


def test_the_best_so_far_at_the_same_epoch_counts():
    late = [entry(number, [[0, 0.1], [GRACE + 1, 0.2], [GRACE + 3, 0.9]]) for number in range(STARTUP)]
    searcher = RandomSearch(SPACE, 0, True)
    curve = [*flat(0.05, GRACE), [GRACE + 2, 0.15]]
    assert searcher.should_prune(curve, late)  # 0.2 by then, though 0.9 later
    assert not searcher.should_prune([*flat(0.05, GRACE), [GRACE, 0.15]], late)  # 0.1 by then
    assert not searcher.should_prune([[0, 0.3], *flat(0.0, GRACE + 3)[1:]], late)  # its own best so far
    others = [entry(9, flat(0.0), "pruned"), entry(10, [], "failed")]
    assert searcher.should_prune(curve, [*late, *others * 9]), "only finished trials count"


# What a search does


def test_the_defaults_come_first_and_the_recipe_gives_what_was_measured(settings, workdir):
    result = search(settings, 4)
    alone = objective_function(settings | {"model": "SLD"})["best_valid_score"]
    assert result["trials"][0]["value"] == alone
    assert result["trials"][0]["settings"] == {"sld_weight": 1.0, "sld_tau": 1.0, "sld_gamma": 0.3}
    best = result["trials"][result["best"]]
    assert best["value"] == max(one["value"] for one in result["trials"]) == best_until(best["curve"], 99)
    recipe = yaml.safe_load(Path("out.yaml").read_text())
    assert {key: recipe[key] for key in best["settings"]} == best["settings"]
    assert set(recipe) == {
        "epochs",
        "learning_rate",
        "embedding_size",
        "train_batch_size",
        "teacher",
        *best["settings"],
    }
    assert all(recipe[key] == settings[key] for key in set(recipe) - set(best["settings"]))
    left = {key: value for key, value in settings.items() if key not in recipe}
    again = run_kd("SLD", config_file_list=["out.yaml"], config_dict={**left, "baseline": False})
    assert again["distilled"]["valid_result"]["mrr@10"] == best["value"]


def test_a_recipe_of_a_mix_is_whole(settings, workdir):
    keys = {"terms": ["SLD", "KD"], "teachers": [{"model": "BPR", "embedding_size": 12, "weight_decay": 0.0}]}
    result = tune("Distiller", config_dict={**settings, **keys}, trials=2, output="out.yaml")
    recipe = yaml.safe_load(Path("out.yaml").read_text())
    assert {key: recipe[key] for key in keys} == keys
    left = {key: value for key, value in settings.items() if key not in recipe}
    again = run_kd("Distiller", config_file_list=["out.yaml"], config_dict={**left, "baseline": False})
    assert again["distilled"]["valid_result"]["mrr@10"] == result["trials"][result["best"]]["value"]


def test_the_files_hold_it_all_and_nothing_else_is_left(settings, workdir):
    result = search(settings)
    kept = json.loads(Path("out.json").read_text())
    assert kept["trials"] == result["trials"] and kept["best"] == result["best"] and kept["search"] == result["search"]
    head = [line for line in Path("out.yaml").read_text().splitlines() if line.startswith("#")]
    assert len(head) == 4 and "seed 2020, 3 trials" in head[0]
    for number in (result["best"], 0):
        assert f"{result['trials'][number]['value']:.4f}" in head[1]
    assert "run_kd.py tune --model=SLD" in head[2] and "--trials=3" in head[2] and "--config_files=out.yaml" in head[3]
    assert all("--data_path=" in line for line in head[2:])  # or the commands would not find the data


def test_the_recipe_s_commands_leave_out_what_they_would_refuse(settings, workdir):
    keys = {**settings, "n_layers": 3, "my_note": "a"}
    head = search(keys, 1)["search"]
    assert not [line for line in (head["command"], head["run"]) if "n_layers" in line or "my_note" in line]
    assert not list(Path("saved", "tune").iterdir()) and not list(Path().rglob("*.partial"))


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


def test_a_teacher_that_is_solved_is_tuned_over_its_own_keys(settings, workdir):
    keys = {**settings, "teacher_model": "EASE"}
    with pytest.raises(KDError, match="'learning_rate' in the space cannot be tuned for the teacher"):
        search(keys, side="teacher")
    space("reg_weight: [1, 1000, log]\n")
    result = search(keys, 3, side="teacher", space="my.space.yaml")
    assert len({one["settings"]["reg_weight"] for one in result["trials"]}) == 3


def test_an_interrupted_search_goes_on_to_the_same_trials(settings, workdir, monkeypatch):
    whole = search(settings, 5)
    Path("out.json").rename("whole.json")
    Path("out.yaml").rename("whole.yaml")
    train, count = Experiment.train_side, []

    def killed(*args):
        count.append(1)
        if len(count) == 3:
            args[-1](0, 0.5, True)  # half a trial
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(Experiment, "train_side", killed)
    with pytest.raises(KeyboardInterrupt):
        search(settings, 5)
    assert len(json.loads(Path("out.json").read_text())["trials"]) == 2 and not Path("out.yaml").exists()
    assert plain(search(settings, 5)) == plain(whole)
    assert len(count) == 6, "what was there is not made again"
    assert Path("out.yaml").read_text() == Path("whole.yaml").read_text().replace("whole", "out")
    assert plain(search(settings, 6))[:5] == plain(whole), "more trials go on likewise"


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
    recipe, kept = yaml.safe_load(Path("out.yaml").read_text()), result["trials"][0]["settings"]
    assert {key: recipe[key] for key in kept} == kept


def test_where_every_trial_diverges_there_is_no_recipe(settings, workdir, monkeypatch):
    def breaking(*_):
        raise NonFiniteLoss("the SLD loss is not finite")

    monkeypatch.setattr(Experiment, "train_side", breaking)
    with pytest.raises(NonFiniteLoss, match="no trial ended"):
        search(settings, 2)
    assert not Path("out.yaml").exists()


def test_minutes_are_a_budget_too(settings, monkeypatch):
    clock = iter(range(0, 10000, 25))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(Experiment, "train_side", lambda *args: args[-1](0, 0.5, True))
    assert len(search(settings, None, minutes=1)["trials"]) == 3  # 25 s each: the fourth would begin after 75 s
    assert len(search(settings, None, minutes=1.5)["trials"]) == 4
    assert len(search(settings, 5, minutes=100)["trials"]) == 5


# The command line


def command(settings, *more):
    words = [f"--{key}={value}" for key, value in settings.items() if not isinstance(value, dict)]
    return ["tune", "--model=SLD", *words, "--output=out.yaml", *more]


def test_the_command_line_prints_the_trials_and_the_recipe(settings, capsys, workdir):
    assert main(command(settings, "--trials=2")) == 0
    printed = capsys.readouterr().out
    assert "sld_weight" in printed and "best: trial" in printed and "recipe: out.yaml" in printed
    assert run_kd(argv=[*command(settings)[1:-1], "--config_files=out.yaml"])["distilled"]


def space(text):
    Path("my.space.yaml").write_text(text)
    return "--space=my.space.yaml"


@pytest.mark.parametrize("words, message", [
    (["--trials=0"], "trials=0"), (["--pruning=1"], "pruning=1"),
    (["--trials=2.5"], "trials=2.5"), (["--trials=many"], "trials='many'"),
    (["--minutes=-1"], "minutes=-1"), (["--minutes=nan"], "minutes"), (["--side=student"], "method, alone, teacher"),
    (["--searcher=grid"], "random, optuna"), (["--space=missing.yaml"], "missing.yaml"),
    (["--output=a_folder.yaml"], "a_folder.yaml"), (["--output=out.json"], ".yaml"),
    (["--output=/proc/nowhere/out.yaml"], "output"), (["--eval_step=0"], "eval_step"), (["--trail=5"], "'trail'"),
    (["--sld_weight=1", "--sld_tau=1", "--sld_gamma=0"], "nothing is left"), (["--model=Distiller"], "terms=None"),
    (["stray"], "'stray'"), (["--side=teacher", "--teacher_path=t.pth"], "t.pth"),
])  # fmt: skip
def test_bad_words_are_refused_in_one_sentence(words, message, settings, capsys, workdir):
    Path("a_folder.yaml").mkdir()
    given = {word.partition("=")[0] for word in words}
    base = [word for word in command(settings) if word.partition("=")[0] not in given]
    assert message in refused(capsys, [*base, *words])


@pytest.mark.parametrize("text, message", [
    ("", "names no key"), ("- 1\n", "my.space.yaml"), ("a: [\n", "not YAML"), ("sld_weight: 1\n", "sld_weight=1"),
    ("sld_weight: [1]\n", "sld_weight=[1]"), ("sld_weight: [1, 2, lin]\n", "log"), ("sld_weight: [a, b]\n", "write"),
    ("sld_weight: [2, 1]\n", "smaller"), ("sld_weight: [0, 1, log]\n", "above 0"), ("sld_k: {}\n", "write"),
    ("sld_weight: [0, .inf]\n", "write"), ("sld_k: {a: 1}\n", "write"), ("sld_k: {20, ~}\n", "write"),
    ("sld_wieght: [0, 1]\n", "did you mean 'sld_weight'"), ("rrd_weight: [0, 1]\n", "SLD"),
    ("sld_weight: [-1, 1]\n", "sld_weight=-1"), ("sld_k: {20, 0}\n", "sld_k=0"), ("sld_k: [1.5, 3]\n", "sld_k=1.5"),
    ("sld_mode: {union, best}\n", "sld_mode='best'"), ("seed: {1, 2}\n", "'seed'"), ("topk: {10}\n", "'topk'"),
    ("valid_metric: {MRR@10}\n", "'valid_metric'"), ("embedding_size: {8, 16}\n", "'embedding_size'"),
    ("teacher: {learning_rate: [0, 1]}\n", "teacher"), ("baseline: {True}\n", "'baseline'"),
    ("weight_decay: [-1, 0]\n", "weight_decay=-1"), ("reg_weight: [1, 10]\n", "'reg_weight'"),
])  # fmt: skip
def test_a_space_that_cannot_be_used_is_refused_in_one_sentence(text, message, settings, capsys, workdir):
    assert message in refused(capsys, command(settings, space(text)))


def refused(capsys, argv):
    """Run the command line; check that it ends as a refusal has to; return its sentence."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert err.startswith("recbole_kd: ") and err.count("\n") == 1 and not out, err
    assert not list(Path().rglob("*.pth")) and not Path("out.json").exists()
    return err


def test_files_of_something_else_are_not_overwritten(settings, capsys, workdir):
    for name, content in (("out.yaml", "sld_tau: 2\n"), ("out.json", "{}"), ("out.json", "not JSON")):
        Path(name).write_text(content)
        assert main(command(settings)) == 2
        assert "not of this search" in capsys.readouterr().err and Path(name).read_text() == content
        Path(name).unlink()
    search(settings, 1)
    with pytest.raises(KDError, match="not of this search"):
        search({**settings, "seed": 1}, 1)


def test_ctrl_c_says_how_to_go_on(settings, capsys, monkeypatch):
    def stop(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("recbole_kd.cli.tune_argv", stop)
    assert main(["tune", "--model=SLD"]) == 130
    assert "the same command continues" in capsys.readouterr().err


@pytest.mark.skipif(_has("optuna"), reason="optuna is installed")
def test_without_optuna_it_says_how_to_get_it(settings, capsys, workdir):
    assert "pip install optuna" in refused(capsys, command(settings, "--searcher=optuna"))


@pytest.mark.parametrize("searcher", searchers())
def test_no_setting_is_tried_twice_and_a_space_has_an_end(searcher):
    searcher, trials = searcher({"a": Choice((1, 2)), "b": Choice((3, 4))}, 1, True), []
    while settings := searcher.suggest(trials):
        trials.append({"number": len(trials), "settings": settings, "state": "finished", "value": 0.1, "curve": [[0, 0.1]]})
    assert sorted(tuple(trial["settings"].values()) for trial in trials) == [(1, 3), (1, 4), (2, 3), (2, 4)]


@pytest.mark.skipif(not _has("optuna"), reason="optuna is not installed")
def test_optuna_goes_on_to_the_same_trials(settings, workdir):
    whole = search(settings, 4, searcher="optuna")
    for name in ("out.json", "out.yaml"):
        Path(name).unlink()
    search(settings, 2, searcher="optuna")
    assert plain(search(settings, 4, searcher="optuna")) == plain(whole)


def test_recboles_own_hyper_tuning(settings, workdir):
    pytest.importorskip("hyperopt", reason="RecBole's HyperTuning needs hyperopt")
    from recbole.trainer import HyperTuning

    fixed = {key: value for key, value in settings.items() if key != "dataset"}
    Path("fixed.yaml").write_text(yaml.safe_dump({"model": "SLD", "dataset": "toy", **fixed}))
    tuning = HyperTuning(
        objective_function, params_dict={"uniform": {"sld_tau": [0.5, 2.0]}}, fixed_config_file_list=["fixed.yaml"],
        algo="random", max_evals=2,
    )  # fmt: skip
    tuning.run()
    assert len(tuning.score_list) == 2 and 0.5 <= tuning.best_params["sld_tau"] <= 2.0
    assert tuning.best_score == max(tuning.score_list)
