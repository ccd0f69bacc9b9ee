"""The options of a search and its command line."""

import time
from pathlib import Path

import pytest

from recbole_kd.cli import main
from recbole_kd.experiment import Experiment
from recbole_kd.quick_start import run_kd
from tests.tune.helpers import command_words, refused, search


def test_minutes_are_a_budget_too(settings, monkeypatch):
    clock = iter(range(0, 10000, 25))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(Experiment, "train_side", lambda *args: args[-1](0, 0.5, True))
    assert len(search(settings, None, minutes=1)["trials"]) == 3  # 25 s each: the fourth would begin after 75 s
    assert len(search(settings, None, minutes=1.5)["trials"]) == 4
    assert len(search(settings, 5, minutes=100)["trials"]) == 5


def test_the_command_line_prints_the_trials_and_the_recipe(settings, capsys, workdir):
    assert main(command_words(settings, "--trials=2")) == 0
    printed = capsys.readouterr().out
    assert "sld_weight" in printed and "best: trial" in printed and "recipe: out.yaml" in printed
    assert run_kd(argv=[*command_words(settings)[1:-1], "--config_files=out.yaml"])["distilled"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--trials=0"], "trials=0"),
        (["--pruning=1"], "pruning=1"),
        (["--trials=2.5"], "trials=2.5"),
        (["--trials=many"], "trials='many'"),
        (["--minutes=-1"], "minutes=-1"),
        (["--minutes=nan"], "minutes"),
        (["--side=student"], "method, alone, teacher"),
        (["--searcher=grid"], "random, optuna"),
        (["--space=missing.yaml"], "missing.yaml"),
        (["--output=a_folder.yaml"], "a_folder.yaml"),
        (["--output=out.json"], ".yaml"),
        (["--output=/proc/nowhere/out.yaml"], "output"),
        (["--eval_step=0"], "eval_step"),
        (["--trail=5"], "'trail'"),
        (["--sld_weight=1", "--sld_tau=1", "--sld_gamma=0"], "nothing is left"),
        (["--model=Distiller"], "terms=None"),
        (["stray"], "'stray'"),
        (["--side=teacher", "--teacher_path=t.pth"], "t.pth"),
    ],
)
def test_bad_words_are_refused_in_one_sentence(words, message, settings, capsys, workdir):
    Path("a_folder.yaml").mkdir()
    given = {word.partition("=")[0] for word in words}
    base = [word for word in command_words(settings) if word.partition("=")[0] not in given]
    assert message in refused(capsys, [*base, *words])


def test_ctrl_c_says_how_to_go_on(settings, capsys, monkeypatch):
    def stop(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("recbole_kd.cli.tune_argv", stop)
    assert main(["tune", "--model=SLD"]) == 130
    assert "the same command continues" in capsys.readouterr().err
