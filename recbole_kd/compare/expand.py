"""From a plan to its runs: each with all its keys, and what cannot work refused before anything is trained."""

import hashlib
import itertools
import json
from pathlib import Path

from recbole_kd.compare.plan import ALONE, REFERENCES, NEIGHBOURS, TEACHER, merged
from recbole_kd.compare.run import Run, teachers_of
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.config.schema import kd_keys, student_only_keys
from recbole_kd.data.split import prepare_split, require_part
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.loader import check_list_lengths
from recbole_kd.method.checks import check_split
from recbole_kd.method.terms import max_list_length
from recbole_kd.teacher.feasibility import check_measures, measurement_settings
from recbole_kd.teacher.provider import read_given_teachers
from recbole_kd.trainer.cache_key import NEUTRAL_KEYS, outcome_settings

MEASURED = ("metrics", "topk", "eval_mask")  # beside what decides the weights, what decides the numbers
OF_TRAINING = {"epochs", "train_batch_size", "eval_step", "stopping_step"}  # plain keys of both sides, or of a block


def plan_runs(plan):
    """All runs of a plan: dataset by dataset, seed by seed, teacher and student alone first.

    Raises:
        KDError: settings that cannot work; a dataset that is not there.
    """
    return [run for dataset in plan.datasets for run in _runs_on(plan, dataset)]


def _check_reach(plan, dataset, common, configs):
    """Refuse keys of one entry that reach nothing in it, and keys of all that reach none. Raises KDError."""
    own = {ALONE: [f"student.{key}" for key in plan.alone], **{method.name: method.keys for method in plan.methods}}
    for name, keys in own.items():
        for key in keys:
            if key in configs[name].unused_keys:
                raise KDError(f"{dataset.name}, {name}: {configs[name].unused_keys[key]}")
    for key in common:
        said = [configs[method.name].unused_keys.get(key) for method in plan.methods]
        if all(said):
            raise KDError(f"{dataset.name}: {said[0]}")


def _unlike(theirs, ours):
    """What parts two lists of teachers, where it is a key that each side may have for itself, and how to say so."""
    for own, other in zip(theirs, ours, strict=False):
        of_a_side = OF_TRAINING | student_only_keys() | model_keys(own["model"]) if "model" in own else ()
        for key in (key for key in own if key in of_a_side and key in other and own[key] != other[key]):
            return (
                f", one with {key} {own[key]} where the plan's has {other[key]} (teacher.{key} under 'keys' says which)"
            )
    return ""


def _check_alone(plan, dataset, common, config):
    """Refuse methods whose defaults would give the student alone other settings than the first one's: which of them it
    has may not hang on the order of a list. Raises KDError.
    """
    ours = outcome_settings(plain_config(config).final_config_dict)
    for method in plan.methods[1:]:
        own = {key: value for key, value in method.keys.items() if key == "terms"} | {"model": method.what}
        layer = merged(own, {f"student.{key}": value for key, value in plan.alone.items()})
        theirs = make_config(config_dict=merged(common, layer, {"seed": plan.seeds[0]}))
        theirs = outcome_settings(plain_config(theirs).final_config_dict)
        for key in (key for key in ours if ours[key] != theirs.get(key)):
            raise KDError(
                f"{dataset.name}: the student alone would have {key} {ours[key]} by the defaults of "
                f"'{plan.methods[0].name}' and {theirs.get(key)} by those of '{method.name}': write it under 'alone'"
            )


def _configured(plan, dataset, common):
    """Each name's own layer of keys, and its Config over ``common``: two dicts, the ends first. Raises KDError."""
    first = plan.methods[0]
    shared = {"model": first.what, **{key: value for key, value in first.keys.items() if key == "terms"}}
    layers = {
        TEACHER: dict(shared),
        ALONE: merged(shared, {f"student.{key}": value for key, value in plan.alone.items()}),
    }
    layers |= {method.name: merged(method.keys, {"model": method.what}) for method in plan.methods}
    configs = {}
    for name, layer in layers.items():
        try:
            configs[name] = make_config(config_dict=merged(common, layer, {"seed": plan.seeds[0]}))
        except KDError as error:
            raise KDError(f"{dataset.name}, {name}: {error}") from error
    if configs[TEACHER]["neighbour_weight"] and len(configs[TEACHER].teachers) == 1:
        layers[NEIGHBOURS], configs[NEIGHBOURS] = dict(shared), configs[TEACHER]
    return {name: layers[name] for name in sorted(layers, key=lambda name: name not in REFERENCES)}, configs  # stable


def _runs_on(plan, dataset):
    common = merged(plan.keys, dataset.keys, {"dataset": dataset.what})
    kinds = {method.name: method for method in plan.methods}
    layers, configs = _configured(plan, dataset, common)
    _check_reach(plan, dataset, common, configs)
    _check_alone(plan, dataset, common, configs[ALONE])
    teachers = teachers_of(configs[TEACHER])
    for name, config in configs.items():
        if teachers_of(config) != teachers:
            how = _unlike(teachers_of(config), teachers)
            raise KDError(
                f"{dataset.name}: '{name}' asks for another teacher than the plan{how}: what is its own reaches the "
                "student and the terms alone; keys for both sides stand under 'keys'"
            )
    for key in ("neighbour_weight", "teacher_states"):  # the states are read once, and dropped then
        if len({config[key] for config in configs.values() if config["teacher_states"] > 1}) > 1:
            raise KDError(
                f"{dataset.name}: methods with teacher_states above 1 differ in {key}: write it under 'keys', for all"
            )
    # what any method learns along is kept when the teacher is trained, or it would be trained again for it
    layers[TEACHER]["teacher_states"] = max(config["teacher_states"] for config in configs.values())
    # a file of scores has no settings: what it ranks for are the student's data and metrics
    given = any(plan.config is None for plan in configs[TEACHER].teachers)
    ranks_as = [plain_config(configs[TEACHER])] if given else []
    other = merged(common, layers[TEACHER], {"seed": plan.seeds[0] ^ 1})
    still = _of_own_seed(teachers, make_config(config_dict=other))
    data = _data_hash(configs[TEACHER])
    runs = []
    for seed in plan.seeds:
        place = plan.folder / "models" / dataset.name / f"seed-{seed}"
        fixed = {"seed": seed, "checkpoint_dir": str(place), "resume": True, "show_progress": False}
        for name, layer in layers.items():
            own_sides = {TEACHER: ranks_as, ALONE: [plain_config(configs[ALONE])]}.get(name, [configs[name]])
            sides = [config.final_config_dict for config in own_sides] + ([] if name == ALONE else teachers)
            if name == NEIGHBOURS:  # none of the first method's keys, but the plan's
                sides = [*teachers, {key: configs[TEACHER][key] for key in (*MEASURED, "neighbour_weight")}]
            file = plan.folder / "runs" / dataset.name / f"seed-{seed}" / f"{name}.json"
            own = kinds[name].keys if name in kinds else plan.alone if name == ALONE else {}
            key = _key(sides, still, seed, data)
            method = kinds[name].what if name in kinds else None
            runs.append(Run(dataset.name, seed, name, method, own, merged(common, layer, fixed), str(file), key))
    return runs


def _key(sides, still, seed, data):
    settings = [
        outcome_settings(side, MEASURED) | ({} if any(side is one for one in still) else {"seed": seed})
        for side in sides
    ]
    said = json.dumps([settings, data], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _of_own_seed(teachers, config):
    """Those whose seed is not the run's but one that the plan gives them; ``config``: of a run with another seed."""
    moved = zip(teachers, teachers_of(config), strict=True)
    return [one for one, other in moved if "seed" in one and one["seed"] == other["seed"]]


def _data_hash(config):
    """Of the dataset's files; RecBole is made to fetch or refuse a dataset that is not there."""
    folder, name = Path(config["data_path"]), config["dataset"]
    if not any(folder.glob(f"{name}*.inter")):
        prepare_split(plain_config(config))
    digest = hashlib.sha256()
    for file in sorted(folder.glob(f"{name}.*")):
        if file.is_file():
            digest.update(file.name.encode())
            with open(file, "rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
    return digest.hexdigest()


def check_datasets(runs):
    """Refuse what can be told from the data before any training, on the split of each dataset's first seed.

    Args:
        runs: of which those of a dataset stand together, each with its teacher and student alone.

    Raises:
        KDError: a student or teacher that cannot do what a method needs; keys that would give a run another split.
    """
    for dataset in dict.fromkeys(run.dataset for run in runs):
        here = [run for run in runs if run.dataset == dataset]
        here = [run for run in here if run.seed == here[0].seed]
        first = make_config(config_dict=here[0].keys)
        split = prepare_split(plain_config(first))
        require_part(first, split, "test", "compare models by")
        for run in here:
            config = make_config(config_dict=run.keys)
            try:
                _check_split(config, first, split)
                _check_measures(config, first)
                if run.method is not None:
                    check_split(config, split)
                else:
                    check_measures(config)
            except KDError as error:
                raise KDError(f"{run.dataset}, {run.name}: {error}") from error


def check_given_teachers(runs):
    """Refuse teachers that are files and may not teach on the split of some seed, or whose lists are too short for some
    method, before any training.

    Args:
        runs: of which those of a dataset and a seed stand together.

    Raises:
        KDError: with the dataset, and the seed or the method.
    """
    for (dataset, seed), some in itertools.groupby(runs, key=lambda run: (run.dataset, run.seed)):
        here = list(some)
        config = make_config(config_dict=here[0].keys)
        if not any(plan.entry.scores or plan.entry.path for plan in config.teachers):
            continue
        split, place = prepare_split(plain_config(config)), f"seed {seed}"
        try:
            found = read_given_teachers(config, split)
            for run in here:
                if run.method is not None:
                    place, own = run.name, make_config(config_dict=run.keys)
                    check_list_lengths(own, split, found, max_list_length(own, split))
        except KDError as error:
            raise KDError(f"{dataset}, {place}: {error}") from error


def _check_measures(config, first):
    own, others = measurement_settings(config), measurement_settings(first)
    for key in own:
        if own[key] != others[key]:
            raise KDError(
                f"it would be measured by {key} {own[key]}, the teacher by {others[key]}: write that under 'keys'"
            )


def _check_split(config, first, split):
    harmless = student_only_keys() | kd_keys() | NEUTRAL_KEYS | model_keys(first["model"]) | {"kd_method"}

    def decisive(one):
        return {key: str(value) for key, value in one.final_config_dict.items() if key not in harmless}

    if decisive(config) != decisive(first) and prepare_split(plain_config(config)).fingerprint != split.fingerprint:
        raise KDError("its own keys give it another split than the rest: write filters and eval_args under 'keys'")
