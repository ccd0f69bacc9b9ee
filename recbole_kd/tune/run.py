"""The search: trials on validation, all under one teacher, until the budget is spent; then the recipe of the best."""

import json
import logging
import math
import time
from pathlib import Path

from recbole.utils import init_logger

from recbole_kd.config import KDError, plain_config, read_layers
from recbole_kd.config.layers import parse_argv, typed
from recbole_kd.model import config_of
from recbole_kd.quick_start import check_new_file, opened, taught, train_one, versions
from recbole_kd.teacher import fit
from recbole_kd.teacher.resume import NonFiniteLoss
from recbole_kd.tune.record import Record, command
from recbole_kd.tune.search import SEARCHERS, best_until
from recbole_kd.tune.space import SIDES, checked, content_of, laid_over, read_space, space_of

TRIALS = 20
WORDS = ("trials", "minutes", "space", "output", "side", "searcher")


class Pruned(Exception):
    """A trial was given up."""


def tune(
    model=None, dataset=None, config_file_list=None, config_dict=None, argv=None,
    *, side="method", trials=None, minutes=None, space=None, searcher="random", output=None,
):  # fmt: skip
    """Search for good settings on the validation part; the test part is never evaluated.

    The same call goes on where an interrupted one stopped, and with more trials where a finished one ended. The seed
    is that of the run.

    Args:
        model, dataset, config_file_list, config_dict, argv: the run, as run_kd takes them. A key that is set here is
            not searched.
        side: what is tuned: ``method``, ``alone`` (the student alone) or ``teacher``.
        trials: how many, the default settings, which are the first, included; 20 where ``minutes`` is None too.
        minutes: no trial begins when the trials have taken this long together.
        space: a YAML file; the one that comes with the method where None.
        searcher: ``random``, or ``optuna`` where that is installed.
        output: where the recipe goes; a JSON file of all trials goes beside it.

    Returns:
        dict: ``recipe`` and ``file``, the two paths; ``search``, what was asked for; ``best``, the number of the best
        trial; ``trials``, a dict each: number, settings, state, value, curve, epochs, seconds.

    Raises:
        KDError: input that cannot work, before anything is trained.
        NonFiniteLoss: no trial ended with a finite loss.
    """
    _check(side, trials, minutes, searcher)
    layers = read_layers(model, dataset, config_file_list, config_dict, argv)
    base = config_of(layers)
    if side == "teacher" and base["teacher_path"] is not None:
        raise KDError("teacher_path is given, so there is no teacher to tune: leave it or --side=teacher out")
    found = read_space(space) if space else space_of(side, layers.method, layers.plain.get("terms"))
    found = checked(found, side, layers, base)
    suffix = "" if side == "method" else f"-{side}"
    recipe = output or f"tuned-{layers.method}-{layers.dataset}{suffix}.yaml"
    if Path(recipe).suffix not in (".yaml", ".yml"):
        raise KDError(f"output='{recipe}' is no YAML file: give it the suffix .yaml")
    check_new_file("output", recipe)
    seeker = SEARCHERS[searcher](found, base["seed"], base["valid_metric_bigger"])
    asked = {"side": side, "trials": trials, "minutes": minutes, "space": space, "searcher": searcher, "output": output}
    with opened(base) as data:
        own = base.teacher if side == "teacher" else base
        if own["eval_step"] < 1 or not len(data.pairs["valid"]):
            raise KDError("there is no validation to tune on: set eval_step to 1 or more and keep a validation part")
        record = Record(recipe, _search(layers, base, data, found, asked))
        init_logger(plain_config(base))
        _go(_Trials(side, layers, base, data, found, record), seeker, record, _limit(trials, minutes), minutes)
    if record.best is None:
        raise NonFiniteLoss(f"no trial ended with a finite loss; the first said: {record.trials[0]['reason']}")
    record.write_recipe()
    return {
        "recipe": str(record.recipe), "file": str(record.file), "search": record.search,
        "best": record.best["number"], "trials": record.trials,
    }  # fmt: skip


def tune_argv(argv):
    """The same from a command line without the program and the word ``tune``."""
    given = parse_argv(argv)
    own = {key: given.pop(key) for key in WORDS if key in given}
    own |= {key: typed(key, own[key]) for key in ("trials", "minutes") if key in own}
    return tune(argv=[f"--{key}={value}" for key, value in given.items()], **own)


def _check(side, trials, minutes, searcher):
    if side not in SIDES:
        raise KDError(f"side={side!r} is none: it takes {', '.join(SIDES)}")
    if searcher not in SEARCHERS:
        raise KDError(f"searcher={searcher!r} is none: it takes {', '.join(SEARCHERS)}")
    if trials is not None and (not isinstance(trials, int) or isinstance(trials, bool) or trials < 1):
        raise KDError(f"trials={trials!r} is out of range: it takes an int in [1, inf)")
    number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if minutes is not None and not (number and 0 < minutes < math.inf):
        raise KDError(f"minutes={minutes!r} is out of range: it takes a number in (0, inf)")


def _limit(trials, minutes):
    return trials if trials is not None else TRIALS if minutes is None else math.inf


def _search(layers, base, data, space, asked):
    """What was asked for, as the JSON file has it."""
    own = base.teacher if asked["side"] == "teacher" else base
    words = {name: value for name, value in asked.items() if value not in (None, "method", "random")}
    ranges = {key: str(part) for key, part in space.items()}
    key = fit.run_key(
        own, data.fingerprint, json.dumps(ranges), asked["side"], asked["searcher"],
        fit.run_key(base.teacher, data.fingerprint), base["teacher_path"],
    )  # fmt: skip
    return {
        "key": key, "command": command(layers, "tune", **words), "run": command(layers),
        "method": layers.method, "dataset": layers.dataset, "side": asked["side"], "seed": base["seed"],
        "searcher": asked["searcher"], "space": ranges, "valid_metric": base["valid_metric"].lower(),
        "bigger": base["valid_metric_bigger"], "versions": versions(),
    }  # fmt: skip


def _go(trials, seeker, record, limit, minutes):
    """Make trials until there are enough of them, or their time is over, or nothing new can be drawn."""
    while len(record.trials) < limit and not (record.trials and minutes and record.seconds >= 60 * minutes):
        settings = seeker.draw(record.trials) if record.trials else {}
        if settings is None:
            logging.getLogger().info("every setting of the space was tried")
            break
        record.add(trials.make(settings, lambda curve: seeker.hopeless(curve, record.trials)))
        _say(record)


def _say(record):
    trial, best = record.trials[-1], record.best
    settings = ", ".join(f"{key} {value}" for key, value in trial["settings"].items())
    value = "no score" if trial["value"] is None else f"{record.search['valid_metric']} {trial['value']:.4f}"
    so_far = f"; best so far {best['value']:.4f}, trial {best['number']}" if best else ""
    logging.getLogger().info(f"trial {trial['number']} {trial['state']}: {settings}: {value}{so_far}")


class _Trials:
    """Makes the trials of a search: one split, one teacher and its knowledge, read when first needed."""

    def __init__(self, side, layers, base, data, space, record):
        self.side, self.layers, self.base, self.data, self.space, self.record = side, layers, base, data, space, record
        self.file = Path(base["checkpoint_dir"]) / "tune" / f"{record.search['key']}.pth"
        self._knowledge = None
        self.file.parent.mkdir(exist_ok=True)

    def make(self, settings, hopeless):
        """Train once. ``settings`` {}: the defaults. Returns the trial as it is recorded."""
        knowledge = self.knowledge()
        number, began, curve = len(self.record.trials), time.perf_counter(), []

        def watch(epoch, score, settled):
            curve.append([epoch, score])
            if settled and hopeless(curve):
                raise Pruned

        state, reason = "finished", None
        try:
            train_one(self.side, self.config(settings), knowledge, self.file, watch)
        except Pruned:
            state = "pruned"
        except NonFiniteLoss as error:
            state, reason = "failed", str(error)
        except KDError as error:
            if not settings:  # what the user asked for, not what was drawn
                raise
            state, reason = "failed", str(error)
        finally:
            for left in self.file.parent.glob(f"{self.file.name}*"):
                left.unlink()
        sign = 1 if self.record.search["bigger"] else -1
        value = sign * best_until(curve, math.inf, sign) if state != "failed" else None
        return {
            "number": number, "settings": settings or self.defaults(), "state": state, "value": value,
            "reason": reason, "curve": curve, "seconds": round(time.perf_counter() - began, 2),
        }  # fmt: skip

    def config(self, settings):
        """The Config of a trial. Raises KDError: settings that do not go together."""
        config = config_of(laid_over(self.layers, content_of(self.side, settings)))
        config["resume"] = False  # a trial that was interrupted begins anew: its curve was not kept
        return config

    def knowledge(self):
        """What the terms read of the teacher; None where the method is not what is tuned."""
        if self.side == "method" and self._knowledge is None:
            self._knowledge, name = taught(self.base, self.data)
            self.record.taught_by(name)
        return self._knowledge

    def defaults(self):
        """The values that the searched keys have where nothing is said."""
        own = self.base.teacher if self.side == "teacher" else self.base
        return {key: own[key] for key in self.space}
