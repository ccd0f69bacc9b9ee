"""The search: trials on the validation part until the budget is spent, then the recipe of the best trial."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole.utils import init_logger

from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.layering import Layers, read_layers
from recbole_kd.config.parsing import parse_argv, parse_value
from recbole_kd.config.recbole_schema import recbole_keys
from recbole_kd.config.schema import kd_keys
from recbole_kd.config.teacher_specs import TeacherSpec
from recbole_kd.data.split import Split
from recbole_kd.errors import KDError, NonFiniteLoss, did_you_mean
from recbole_kd.evaluation.result import versions
from recbole_kd.experiment import Experiment
from recbole_kd.io import check_output_file
from recbole_kd.method.configuration import build_config
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.tune.options import NAMES, Options
from recbole_kd.tune.record import RUN_KEYS, SearchRecord, command_line, user_keys
from recbole_kd.tune.searchers import SEARCHERS, Searcher
from recbole_kd.tune.space import Space, check_space, default_space, read_space, side_config
from recbole_kd.tune.trial import TrialRunner
from recbole_kd.tune.types import SearchResult


def tune(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | str | Path | None = None,
    config_dict: Mapping[str, Any] | None = None,
    argv: Iterable[str] | None = None,
    **options: Any,
) -> SearchResult:
    """Search for good settings on the validation part; the test part is never evaluated.

    The same call continues an interrupted search, and adds trials to a finished one if more are requested. The seed of
    the search is that of the run.

    Args:
        model, dataset, config_file_list, config_dict, argv: the run, as run_kd takes them. Keys that are set here are
            not searched.
        **options: the fields of Options.

    Returns:
        The paths of the recipe and the JSON file, and all trials; see SearchResult.

    Raises:
        KDError: invalid input, before anything is trained.
        NonFiniteLoss: no trial ended with a finite loss.
    """
    search_options = Options(**options)
    layers = read_layers(model, dataset, config_file_list, config_dict, argv)
    record = _run(_Plan.make(layers, search_options))
    if record.best is None:
        raise NonFiniteLoss(f"no trial ended with a finite loss; the first failed with: {record.trials[0]['reason']}")
    record.write_recipe()
    return SearchResult(
        recipe=str(record.recipe),
        file=str(record.file),
        search=record.search,
        best=record.best["number"],
        trials=record.trials,
    )


def tune_argv(argv: Iterable[str]) -> SearchResult:
    """``tune`` for a command line without the program and the word ``tune``."""
    keys = parse_argv(argv)
    options: dict[str, Any] = {key: keys.pop(key) for key in NAMES if key in keys}
    for key in keys:
        hint = did_you_mean(key, NAMES, cutoff=0.8)
        if hint and key not in recbole_keys() | kd_keys():
            raise KDError(f"unknown key '{key}' on the command line{hint}")
    options |= {key: parse_value(key, options[key]) for key in ("trials", "minutes", "pruning") if key in options}
    return tune(argv=[f"--{key}={value}" for key, value in keys.items()], **options)


@dataclass(frozen=True)
class _Plan:
    """A search, checked as far as possible before the dataset is read.

    Attributes:
        options: the options of the search.
        layers: the user's Layers.
        base: their Config, which has the default settings.
        space: the search space, checked.
        recipe: path of the recipe.
    """

    options: Options
    layers: Layers
    base: Config
    space: Space
    recipe: str

    @classmethod
    def make(cls, layers: Layers, options: Options) -> "_Plan":
        """Check the request. Raises KDError."""
        side, base = options.side, build_config(layers)
        _check_teachers(base, side)
        terms = layers.plain.get("terms")
        space = read_space(options.space) if options.space else default_space(side, layers.method, terms)
        space = check_space(space, side, layers, base)
        suffix = "" if side == "method" else f"-{side}"
        recipe = options.output or f"tuned-{layers.method}-{layers.dataset}{suffix}.yaml"
        for file in (recipe, Path(recipe).with_suffix(".json")):
            check_output_file("output", file)
        return cls(options, layers, base, space, recipe)


def _given_teachers(base: Config) -> list[TeacherSpec]:
    """The teachers that the user gives as files."""
    return [spec for spec in base.teachers if spec.entry.path or spec.entry.files]


def _check_teachers(base: Config, side: str) -> None:
    """Refuse to tune the teacher unless there is exactly one, and it is trained here. Raises KDError."""
    if side != "teacher":
        return
    if _given_teachers(base):
        raise KDError("teacher_path is given, so there is no teacher to tune: leave it or --side=teacher out")
    if len(base.teachers) > 1:
        raise KDError("there is more than one teacher to tune: leave it or --side=teacher out")


def _run(plan: _Plan) -> SearchRecord:
    """Run the trials of a plan, those of an earlier call included; returns their record."""
    options, base = plan.options, plan.base
    searcher = SEARCHERS[options.searcher](plan.space, base["seed"], base["valid_metric_bigger"])
    with Experiment.open(base) as experiment:
        split = experiment.split
        if side_config(base, options.side)["eval_step"] < 1 or not len(split.pairs["valid"]):
            raise KDError("there is no validation to tune on: set eval_step to 1 or more and keep a validation part")
        record = SearchRecord(plan.recipe, _describe(plan, split), plan.space)
        runner = TrialRunner(options.side, plan.layers, experiment, plan.space, record)
        if _given_teachers(base):
            runner.knowledge()  # refuses a wrong file before the log is opened
        init_logger(plain_config(base))
        base.warn_unused_keys()
        experiment.warn_shared_pairs()
        _run_trials(runner, searcher, record, options)
    return record


def _describe(plan: _Plan, split: Split) -> dict[str, Any]:
    """What was requested, as the JSON file stores it."""
    options, layers, base = plan.options, plan.layers, plan.base
    keys = user_keys(layers, base.unused_keys)
    # the recipe of a method is complete; that of another side is used beside the other keys of a run
    recipe_keys = {name: value for name, value in keys.items() if options.side == "method" and name not in RUN_KEYS}
    other_keys = {name: value for name, value in keys.items() if name not in recipe_keys}
    return {
        "key": _search_key(plan, split),
        "command": command_line(layers, keys, "tune", **options.given),
        "keys": recipe_keys,
        "run": command_line(layers, other_keys),
        "method": layers.method,
        "dataset": layers.dataset,
        "side": options.side,
        "seed": base["seed"],
        "searcher": options.searcher,
        "pruning": options.pruning,
        "space": _ranges(plan.space),
        "valid_metric": base["valid_metric"].lower(),
        "bigger": base["valid_metric_bigger"],
        "versions": versions(),
    }


def _search_key(plan: _Plan, split: Split) -> str:
    """A hash of everything that decides the trials."""
    options, base = plan.options, plan.base
    teachers = (_teacher_name(spec, split) for spec in base.teachers)
    ranges = json.dumps(_ranges(plan.space))
    config = side_config(base, options.side)
    return run_key(config, split.fingerprint, *teachers, ranges, options.side, options.searcher, str(options.pruning))


def _ranges(space: Space) -> dict[str, str]:
    return {key: str(domain) for key, domain in space.items()}


def _teacher_name(spec: TeacherSpec, split: Split) -> str:
    """The file of a given teacher, or the key of one that is trained here."""
    if spec.config is None:
        return str(spec.entry.path or " ".join(spec.entry.files))
    return spec.entry.path or run_key(spec.config, split.fingerprint)


def _run_trials(runner: TrialRunner, searcher: Searcher, record: SearchRecord, options: Options) -> None:
    """Add trials until their number or time is reached, or the searcher suggests no new settings."""
    trials = record.trials
    while len(trials) < options.limit and not _is_time_over(record, options):
        settings = searcher.suggest(trials) if trials else {}
        if settings is None:
            logging.getLogger().info("every setting of the space was tried")
            break
        record.add(runner.run(settings, lambda curve: options.pruning and searcher.should_prune(curve, trials)))
        _log_trial(record)


def _is_time_over(record: SearchRecord, options: Options) -> bool:
    return bool(record.trials) and options.minutes is not None and record.seconds >= 60 * options.minutes


def _log_trial(record: SearchRecord) -> None:
    trial, best = record.trials[-1], record.best
    settings = ", ".join(f"{key} {value}" for key, value in trial["settings"].items())
    value = "no score" if trial["value"] is None else f"{record.search['valid_metric']} {trial['value']:.4f}"
    best_text = f"; best so far {best['value']:.4f}, trial {best['number']}" if best else ""
    logging.getLogger().info(f"trial {trial['number']} {trial['state']}: {settings}: {value}{best_text}")
