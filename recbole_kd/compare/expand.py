"""Expands a plan to its runs, each with all its keys and its file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_kd.compare.consistency import (
    check_alone_defaults,
    check_same_teachers,
    check_same_trajectory,
    check_unused_keys,
    method_layer,
    shared_teachers,
)
from recbole_kd.compare.plan import (
    ALONE,
    NEIGHBOURS,
    REFERENCES,
    TEACHER,
    TEST,
    ComparisonPlan,
    PlanEntry,
    make_run_config,
    merged,
)
from recbole_kd.compare.run import Run, teachers_of
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.recbole_value_checks import metric_names
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.trainer.cache_key import outcome_settings

# keys that do not decide the weights of a model, but decide its metrics
MEASUREMENT_KEYS = ("metrics", "topk", "eval_mask")
Settings = Mapping[str, Any]


def plan_runs(plan: ComparisonPlan) -> list[Run]:
    """All runs of a plan, ordered by dataset and seed, with the teacher and the student alone first.

    Raises:
        KDError: wrong settings, or a missing dataset.
    """
    return [run for dataset in plan.datasets for run in _runs_on(plan, dataset)]


@dataclass(frozen=True)
class _DatasetSetup:
    """What the runs on one dataset share.

    Attributes:
        common: the keys of all runs on the dataset.
        layers: name to the keys that it has over ``common``.
        configs: name to its Config with the first seed.
        teachers: the settings of the teachers.
        fixed: those of the teachers whose seed is set by the plan, the same objects as in ``teachers``.
        data: the hash of the dataset's files.
        part: the part of the split that is compared.
    """

    common: dict[str, Any]
    layers: dict[str, dict[str, Any]]
    configs: dict[str, Config]
    teachers: list[dict[str, Any]]
    fixed: list[dict[str, Any]]
    data: str
    part: str

    def settings_of(self, name: str) -> list[Settings]:
        """The settings that decide the numbers of a run: those of its student, then those of its teachers."""
        config = self.configs[name]
        if name == ALONE:
            return [plain_config(config).final_config_dict]
        if name == NEIGHBOURS:  # does not depend on the method
            return [*self.teachers, {key: config[key] for key in (*MEASUREMENT_KEYS, "neighbour_weight")}]
        if name == TEACHER:  # a file of scores has no settings: it is measured on the student's data and metrics
            has_scores = any(spec.config is None for spec in config.teachers)
            return [*([plain_config(config).final_config_dict] if has_scores else []), *self.teachers]
        return [config.final_config_dict, *self.teachers]

    def run_key(self, name: str, seed: int) -> str:
        """A hash of everything that decides the numbers of a run."""
        settings = [
            outcome_settings(side, MEASUREMENT_KEYS)
            | ({} if any(side is teacher for teacher in self.fixed) else {"seed": seed})
            for side in self.settings_of(name)
        ]
        # runs on the test part have the keys that they had before there was a choice
        content = [settings, self.data, *([self.part] if self.part != TEST else [])]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _runs_on(plan: ComparisonPlan, dataset: PlanEntry) -> list[Run]:
    setup = _set_up(plan, dataset)
    methods = {method.name: method for method in plan.methods}
    runs = []
    for seed in plan.seeds:
        folder = plan.folder / "models" / dataset.name / f"seed-{seed}"
        fixed = {"seed": seed, "checkpoint_dir": str(folder), "resume": True, "show_progress": False}
        for name, layer in setup.layers.items():
            method = methods.get(name)
            alone_keys = plan.alone if name == ALONE else {}
            runs.append(
                Run(
                    dataset=dataset.name,
                    seed=seed,
                    name=name,
                    method=method.what if method else None,
                    entry_keys=method.keys if method else alone_keys,
                    keys=merged(setup.common, layer, fixed),
                    file=str(plan.folder / "runs" / dataset.name / f"seed-{seed}" / f"{name}.json"),
                    key=setup.run_key(name, seed),
                    part=plan.part,
                    metrics=tuple(metric_names(setup.configs[name])),
                )
            )
    return runs


def _set_up(plan: ComparisonPlan, dataset: PlanEntry) -> _DatasetSetup:
    """Configure and check the runs on one dataset. Raises KDError."""
    common = merged(plan.keys, dataset.keys, {"dataset": dataset.what})
    layers, configs = _configure(plan, dataset, common)
    check_unused_keys(plan, dataset, common, configs)
    check_alone_defaults(plan, dataset, common, configs[ALONE])
    check_same_teachers(dataset, configs)
    check_same_trajectory(dataset, configs)
    # the teacher's training keeps the trajectory of all methods, otherwise a later method would repeat the training
    layers[TEACHER]["teacher_states"] = max(config["teacher_states"] for config in configs.values())
    teachers = teachers_of(configs[TEACHER])
    other_seed = make_run_config(merged(common, layers[TEACHER], {"seed": plan.seeds[0] ^ 1}))
    fixed = _with_fixed_seed(teachers, other_seed)
    return _DatasetSetup(common, layers, configs, teachers, fixed, _data_hash(configs[TEACHER]), plan.part)


def _configure(
    plan: ComparisonPlan, dataset: PlanEntry, common: Settings
) -> tuple[dict[str, dict[str, Any]], dict[str, Config]]:
    """The keys of each name over ``common``, with the references first, and the Config of each name. Raises KDError."""
    shared = method_layer(plan.methods[0]) | shared_teachers(plan)
    layers = {
        TEACHER: dict(shared),
        ALONE: merged(shared, {f"student.{key}": value for key, value in plan.alone.items()}),
    }
    layers |= {method.name: merged(method.keys, {"model": method.what}) for method in plan.methods}
    configs = {}
    for name, layer in layers.items():
        try:
            configs[name] = make_run_config(merged(common, layer, {"seed": plan.seeds[0]}))
        except KDError as error:
            raise KDError(f"{dataset.name}, {name}: {error}") from error
    if configs[TEACHER]["neighbour_weight"] and len(configs[TEACHER].teachers) == 1:
        layers[NEIGHBOURS], configs[NEIGHBOURS] = dict(shared), configs[TEACHER]
    names = sorted(layers, key=lambda name: name not in REFERENCES)  # stable: keeps the order of the methods
    return {name: layers[name] for name in names}, configs


def _with_fixed_seed(teachers: Sequence[dict[str, Any]], other_seed: Config) -> list[dict[str, Any]]:
    """The teachers whose seed is set by the plan, so that it does not change with the run's seed.

    Args:
        teachers: the settings of the teachers.
        other_seed: the Config of a run with another seed.
    """
    pairs = zip(teachers, teachers_of(other_seed), strict=True)
    return [teacher for teacher, other in pairs if "seed" in teacher and teacher["seed"] == other["seed"]]


def _data_hash(config: Config) -> str:
    """The hash of a dataset's files. A missing dataset is downloaded or refused by RecBole first."""
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
