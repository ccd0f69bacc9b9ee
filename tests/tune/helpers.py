"""Helpers of the search's tests: a short search, its command line, and what a refusal looks like."""

from pathlib import Path

from recbole_kd.cli import main
from recbole_kd.tune.searchers import RandomSearch, TPESearch
from recbole_kd.tune.tuner import tune


def search(settings, trials=3, **keys):
    return tune("SLD", config_dict=settings, trials=trials, output="out.yaml", **keys)


def without_seconds(result):
    """What two searches have to have in common: all but the time that they took."""
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in result["trials"]]


def searchers():
    return [RandomSearch] + ([TPESearch] if is_installed("optuna") else [])


def is_installed(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def command_words(settings, *more):
    words = [f"--{key}={value}" for key, value in settings.items() if not isinstance(value, dict)]
    return ["tune", "--model=SLD", *words, "--output=out.yaml", *more]


def write_space(text):
    Path("my.space.yaml").write_text(text)
    return "--space=my.space.yaml"


def refused(capsys, argv):
    """Run the command line; check that it ends as a refusal has to; return its sentence."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert err.startswith("recbole_kd: ") and err.count("\n") == 1 and not out, err
    assert not list(Path().rglob("*.pth")) and not Path("out.json").exists()
    return err
