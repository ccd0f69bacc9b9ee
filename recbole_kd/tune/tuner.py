"""The search: trials on validation until the budget is spent, then the recipe of the best."""

import json
import logging

from recbole.utils import init_logger

from recbole_kd.config.configurator import plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.config.parsing import parse_argv, parse_value
from recbole_kd.config.recbole_schema import recbole_keys
from recbole_kd.config.schema import kd_keys
from recbole_kd.errors import KDError, NonFiniteLoss, did_you_mean
from recbole_kd.evaluation.result import versions
from recbole_kd.experiment import Experiment
from recbole_kd.io import check_output_file
from recbole_kd.method.configuration import build_config
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.tune.options import NAMES, Options
from recbole_kd.tune.record import OF_THE_RUN, SearchRecord, command, requested_keys
from recbole_kd.tune.searchers import SEARCHERS
from recbole_kd.tune.space import check_space, read_space, space_of
from recbole_kd.tune.trial import TrialRunner


def tune(model=None, dataset=None, config_file_list=None, config_dict=None, argv=None, **options):
    """Search for good settings on the validation part; the test part is never evaluated.

    The same call goes on where an interrupted one stopped, and with more trials where one has ended. The seed is that
    of the run.

    Args:
        model, dataset, config_file_list, config_dict, argv: the run, as run_kd takes them. A key that is set here is
            not searched.
        **options: as of Options.

    Returns:
        dict: ``recipe`` and ``file``, the two paths; ``search``, what was asked for; ``best``, the number of the best
        trial; ``trials``, a dict each: number, settings, state, value, reason, curve, seconds.

    Raises:
        KDError: input that cannot work, before anything is trained.
        NonFiniteLoss: no trial ended with a finite loss.
    """
    asked = Options(**options)
    layers = read_layers(model, dataset, config_file_list, config_dict, argv)
    base = build_config(layers)
    given = [plan for plan in base.teachers if plan.entry.path or plan.entry.scores]
    if asked.side == "teacher" and (given or len(base.teachers) > 1):
        what = "teacher_path is given, so there is no teacher" if given else "there is more than one teacher"
        raise KDError(f"{what} to tune: leave it or --side=teacher out")
    space = read_space(asked.space) if asked.space else space_of(asked.side, layers.method, layers.plain.get("terms"))
    space = check_space(space, asked.side, layers, base)
    recipe = asked.output or f"tuned-{layers.method}-{layers.dataset}{_suffix(asked.side)}.yaml"
    check_output_file("output", recipe)
    seeker = SEARCHERS[asked.searcher](space, base["seed"], base["valid_metric_bigger"])
    with Experiment.open(base) as experiment:
        data = experiment.split
        if _side(base, asked)["eval_step"] < 1 or not len(data.pairs["valid"]):
            raise KDError("there is no validation to tune on: set eval_step to 1 or more and keep a validation part")
        record = SearchRecord(recipe, _search(layers, base, data, space, asked))
        trials = TrialRunner(asked.side, layers, experiment, space, record)
        if given:
            trials.knowledge()
        init_logger(plain_config(base))  # nothing can be refused any more
        base.warn_unused_keys()
        _go(trials, seeker, record, asked)
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
    own = {key: given.pop(key) for key in NAMES if key in given}
    for key in given:
        hint = did_you_mean(key, NAMES, cutoff=0.8)
        if hint and key not in recbole_keys() | kd_keys():
            raise KDError(f"nobody knows the key '{key}' on the command line{hint}")
    own |= {key: parse_value(key, own[key]) for key in ("trials", "minutes", "pruning") if key in own}
    return tune(argv=[f"--{key}={value}" for key, value in given.items()], **own)


def _suffix(side):
    return "" if side == "method" else f"-{side}"


def _side(base, asked):
    return base.teacher if asked.side == "teacher" else base


def _taught_by(plan, data):
    return plan.entry.path or plan.entry.scores or run_key(plan.config, data.fingerprint)


def _search(layers, base, data, space, asked):
    """What was asked for, as the JSON file has it; ``key`` stands for all that decides the trials."""
    ranges = {key: str(part) for key, part in space.items()}
    key = run_key(
        _side(base, asked), data.fingerprint, *(_taught_by(plan, data) for plan in base.teachers),
        json.dumps(ranges), asked.side, asked.searcher, asked.pruning,
    )  # fmt: skip
    keys = requested_keys(layers, base.unused_keys)
    # of a method the recipe is whole; of one side it goes beside the other keys of a run
    kept = {name: value for name, value in keys.items() if asked.side == "method" and name not in OF_THE_RUN}
    return {
        "key": key, "command": command(layers, keys, "tune", **asked.given), "keys": kept,
        "run": command(layers, {name: value for name, value in keys.items() if name not in kept}),
        "method": layers.method, "dataset": layers.dataset, "side": asked.side, "seed": base["seed"],
        "searcher": asked.searcher, "pruning": asked.pruning, "space": ranges,
        "valid_metric": base["valid_metric"].lower(), "bigger": base["valid_metric_bigger"], "versions": versions(),
    }  # fmt: skip


def _go(trials, seeker, record, asked):
    """Make trials until there are enough of them, or their time is over, or nothing new can be drawn."""
    past = record.trials
    while len(past) < asked.limit and not (past and asked.minutes and record.seconds >= 60 * asked.minutes):
        settings = seeker.draw(past) if past else {}
        if settings is None:
            logging.getLogger().info("every setting of the space was tried")
            break
        record.add(trials.make(settings, lambda curve: asked.pruning and seeker.should_prune(curve, past)))
        _say(record)


def _say(record):
    trial, best = record.trials[-1], record.best
    settings = ", ".join(f"{key} {value}" for key, value in trial["settings"].items())
    value = "no score" if trial["value"] is None else f"{record.search['valid_metric']} {trial['value']:.4f}"
    so_far = f"; best so far {best['value']:.4f}, trial {best['number']}" if best else ""
    logging.getLogger().info(f"trial {trial['number']} {trial['state']}: {settings}: {value}{so_far}")
