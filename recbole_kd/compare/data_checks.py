"""Checks of the runs on their data, before any training."""

import itertools
from collections.abc import Iterable, Sequence

from recbole_kd.compare.plan import TEST, make_run_config
from recbole_kd.compare.run import Run
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.config.schema import kd_keys, student_only_keys
from recbole_kd.data.split import Split, prepare_split, require_part
from recbole_kd.errors import KDError
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.loader import check_list_lengths
from recbole_kd.method.checks import check_split
from recbole_kd.method.terms import max_list_length
from recbole_kd.teacher.feasibility import check_measures, measurement_settings
from recbole_kd.teacher.provider import read_given_teachers
from recbole_kd.trainer.cache_key import NEUTRAL_KEYS


def check_datasets(runs: Sequence[Run]) -> None:
    """Check the runs of each dataset on the split of its first seed.

    Args:
        runs: the runs, grouped by dataset; each dataset has its teacher and student alone.

    Raises:
        KDError: a student or a teacher lacks what a method needs, or keys give a run another split or other metrics.
    """
    for dataset in dict.fromkeys(run.dataset for run in runs):
        group = [run for run in runs if run.dataset == dataset]
        group = [run for run in group if run.seed == group[0].seed]
        first = make_run_config(group[0].keys)
        split = prepare_split(plain_config(first))
        require_part(first, split, "test" if group[0].part == TEST else "valid", "compare models by")
        for run in group:
            config = make_run_config(run.keys)
            try:
                _check_same_split(config, first, split)
                _check_same_measures(config, first)
                if run.method is not None:
                    check_split(config, split)
                else:
                    check_measures(config)
            except KDError as error:
                raise KDError(f"{run.dataset}, {run.name}: {error}") from error


def check_given_teachers(runs: Sequence[Run]) -> None:
    """Check teachers that are files: whether they may teach on the split of each seed, and how long their lists are.

    Args:
        runs: the runs, grouped by dataset and seed.

    Raises:
        KDError: a file must not teach, or its lists are too short for a method; with the dataset, and the seed or the
            method.
    """
    for (dataset, seed), runs_of_seed in itertools.groupby(runs, key=lambda run: (run.dataset, run.seed)):
        group = list(runs_of_seed)
        config = make_run_config(group[0].keys)
        if not any(spec.entry.files or spec.entry.path for spec in config.teachers):
            continue
        split, subject = prepare_split(plain_config(config)), f"seed {seed}"
        try:
            teachers = read_given_teachers(config, split)
            _require_measurable(teachers.values())
            for run in group:
                if run.method is not None:
                    subject, run_config = run.name, make_run_config(run.keys)
                    check_list_lengths(run_config, split, teachers, max_list_length(run_config, split))
        except KDError as error:
            raise KDError(f"{dataset}, {subject}: {error}") from error


def _require_measurable(teachers: Iterable[Teacher]) -> None:
    """Refuse teachers that rank nothing for the test part, which a comparison measures them by. Raises KDError."""
    for teacher in teachers:
        if not teacher.ranks_held_out:
            raise KDError(
                f"the teacher '{teacher.file}' ranks nothing for the test part, so that compare cannot measure it: "
                "use run_kd for each method"
            )


def _check_same_measures(config: Config, first: Config) -> None:
    settings, teacher_settings = measurement_settings(config), measurement_settings(first)
    for key in settings:
        if settings[key] != teacher_settings[key]:
            raise KDError(
                f"it would be measured by {key} {settings[key]}, the teacher by {teacher_settings[key]}: "
                "write it under 'keys'"
            )


def _check_same_split(config: Config, first: Config, split: Split) -> None:
    irrelevant = student_only_keys() | kd_keys() | NEUTRAL_KEYS | model_keys(first["model"]) | {"kd_method"}

    def split_settings(config: Config) -> dict[str, str]:
        return {key: str(value) for key, value in config.final_config_dict.items() if key not in irrelevant}

    is_same = split_settings(config) == split_settings(first)
    if not is_same and prepare_split(plain_config(config)).fingerprint != split.fingerprint:
        raise KDError("its keys give it another split than the other runs: write filters and eval_args under 'keys'")
