"""Checks that the entries of a plan fit together on one dataset, by their configs alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recbole_kd.compare.plan import ALONE, TEACHER, ComparisonPlan, PlanEntry, make_run_config, merged
from recbole_kd.compare.run import teachers_of
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.config.schema import student_only_keys
from recbole_kd.errors import KDError
from recbole_kd.trainer.cache_key import outcome_settings

# keys of a training that apply to both sides when written plain, and to one side when written in its block
TRAINING_KEYS = {"epochs", "train_batch_size", "eval_step", "stopping_step"}


def check_unused_keys(
    plan: ComparisonPlan, dataset: PlanEntry, common: Iterable[str], configs: Mapping[str, Config]
) -> None:
    """Refuse keys without effect.

    Args:
        plan: the plan.
        dataset: the dataset.
        common: the keys of all runs on the dataset.
        configs: the Config of each name.

    Raises:
        KDError: a key of one entry has no effect there, or a common key has no effect on any method.
    """
    keys_by_name: dict[str, Iterable[str]] = {ALONE: [f"student.{key}" for key in plan.alone]}
    keys_by_name |= {method.name: method.keys for method in plan.methods}
    for name, keys in keys_by_name.items():
        for key in keys:
            if key in configs[name].unused_keys:
                raise KDError(f"{dataset.name}, {name}: {configs[name].unused_keys[key]}")
    for key in common:
        messages = [configs[method.name].unused_keys.get(key) for method in plan.methods]
        if all(messages):
            raise KDError(f"{dataset.name}: {messages[0]}")


def check_alone_defaults(plan: ComparisonPlan, dataset: PlanEntry, common: Mapping[str, Any], config: Config) -> None:
    """Refuse methods whose defaults give the student alone different settings.

    The student alone takes the defaults of the first method, so its settings would depend on the order of the list.

    Args:
        plan: the plan.
        dataset: the dataset.
        common: the keys of all runs on the dataset.
        config: the Config of the student alone.

    Raises:
        KDError: two methods disagree on a setting of the student alone.
    """
    first = outcome_settings(plain_config(config).final_config_dict)
    for method in plan.methods[1:]:
        layer = merged(method_layer(method), {f"student.{key}": value for key, value in plan.alone.items()})
        other_config = make_run_config(merged(common, layer, {"seed": plan.seeds[0]}))
        other = outcome_settings(plain_config(other_config).final_config_dict)
        for key in (key for key in first if first[key] != other.get(key)):
            raise KDError(
                f"{dataset.name}: the student alone would have {key} {first[key]} by the defaults of "
                f"'{plan.methods[0].name}' and {other.get(key)} by those of '{method.name}': write it under 'alone'"
            )


def method_layer(method: PlanEntry) -> dict[str, Any]:
    """The keys of a method, its name and its terms, that decide the defaults of the teacher and the student alone."""
    return {"model": method.what, **{key: value for key, value in method.keys.items() if key == "terms"}}


def shared_teachers(plan: ComparisonPlan) -> dict[str, Any]:
    """The key ``teachers`` where every method of the plan sets it to the same value; empty otherwise.

    The teacher and the student alone take it as if it was one of the keys of every run. ``check_same_teachers`` refuses
    methods that differ in it.
    """
    entries = [method.keys.get("teachers") for method in plan.methods]
    is_shared = entries[0] is not None and all(entry == entries[0] for entry in entries)
    return {"teachers": entries[0]} if is_shared else {}


def check_same_teachers(dataset: PlanEntry, configs: Mapping[str, Config]) -> None:
    """Refuse an entry whose keys give it another teacher than the plan's.

    Args:
        dataset: the dataset.
        configs: the Config of each name.

    Raises:
        KDError: with the entry, and the key that differs where it is a key of one side.
    """
    teachers = teachers_of(configs[TEACHER])
    for name, config in configs.items():
        if teachers_of(config) != teachers:
            raise KDError(
                f"{dataset.name}: '{name}' would have another teacher than the plan"
                f"{_teacher_difference(teachers_of(config), teachers)}: keys of one entry may change only its student "
                "and its terms; write keys of both sides under 'keys'"
            )


def _teacher_difference(teachers: Sequence[Mapping[str, Any]], planned: Sequence[Mapping[str, Any]]) -> str:
    """The first key of one side in which two lists of teachers differ, as text; empty if they differ in no such key."""
    for teacher, other in zip(teachers, planned, strict=False):
        side_keys = TRAINING_KEYS | student_only_keys() | model_keys(teacher["model"]) if "model" in teacher else ()
        for key in teacher:
            if key in side_keys and key in other and teacher[key] != other[key]:
                return (
                    f", one with {key} {teacher[key]} instead of {other[key]} "
                    f"(set teacher.{key} under 'keys' to give all entries one teacher)"
                )
    return ""


def check_same_trajectory(dataset: PlanEntry, configs: Mapping[str, Config]) -> None:
    """Refuse methods that read a teacher's trajectory differently, since its lists are computed once.

    Args:
        dataset: the dataset.
        configs: the Config of each name.

    Raises:
        KDError: methods with ``teacher_states`` above 1 differ in it or in ``neighbour_weight``.
    """
    for key in ("neighbour_weight", "teacher_states"):
        if len({config[key] for config in configs.values() if config["teacher_states"] > 1}) > 1:
            raise KDError(
                f"{dataset.name}: methods with teacher_states above 1 differ in {key}: write it once, under 'keys'"
            )
