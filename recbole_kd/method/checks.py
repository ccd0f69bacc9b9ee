"""What a run refuses, in three phases: before the data, after the split, after the teachers."""

import functools
import operator

from recbole.config import Config as RecBoleConfig
from recbole.data.utils import get_dataloader
from recbole.trainer import Trainer
from recbole.utils import ModelType

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import FACTORS, RANK_LISTS, SCORER, VECTORS, Capability, describe
from recbole_kd.backbone.narrow import keeps_coordinates_apart
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.config.layering import Layers
from recbole_kd.config.protocol import samples_negatives
from recbole_kd.config.teacher_specs import TeacherSpec
from recbole_kd.config.unused_keys import refuse_unused_keys
from recbole_kd.data.split import Split
from recbole_kd.errors import KDError
from recbole_kd.knowledge.teacher_files import capabilities_of_files
from recbole_kd.method.terms import method_terms
from recbole_kd.method.unsupported import (
    missing_package_of,
    reason_not_student,
    reason_not_teacher,
)
from recbole_kd.method.width_checks import check_widths
from recbole_kd.teacher.feasibility import capabilities_of, check_measures, check_trainings, probe_backbone
from recbole_kd.term import get_term
from recbole_kd.trainer.recbole_trainer import is_resumable, needs_pretraining, recbole_trainer

STUDENTS = "BPR, LightGCN, SASRec or MultiVAE"
# those that have what another student lacks; the first that applies
STUDENTS_WITH = (
    (Capability.USER_TABLE, "BPR or LightGCN"),
    (VECTORS, "BPR, LightGCN or SASRec"),
    (~Capability(0), STUDENTS),
)


# Phase 1: before the data


def check_model_types(student: str, teacher: str) -> None:
    """Refuse models that cannot be a student or a teacher, before RecBole's own checks.

    Args:
        student, teacher: names of models.

    Raises:
        KDError: with the model and the reason.
    """
    if reason := reason_not_student(student):
        raise _student_refusal(student, reason)
    if reason := reason_not_teacher(teacher):
        raise KDError(
            f"teacher_model={teacher} cannot teach, because it {reason}: use a general model such as BPR or LightGCN, "
            "or a sequential or knowledge-aware one"
        )
    for key, model in (("student_model", student), ("teacher_model", teacher)):
        if package := missing_package_of(model):
            raise KDError(
                f"{key}={model} needs the package {package}, which is not installed: install it, or take another model"
            )


def check_settings(config: Config) -> None:
    """Refuse settings that no dataset could make work. Raises KDError."""
    for side in (config, *(spec.config for spec in config.teachers if spec.config is not None)):
        _check_sum_reduction(side)
    _check_student(config)
    for spec in config.teachers:
        if spec.config is not None:
            _check_order("teacher", spec.config)
            if spec.entry.path is None:
                _check_negatives(spec.config, "the teacher ")
    check_widths(config)
    for name in method_terms(config):
        get_term(name).check(config)


def check_as_recbole_model(made: RecBoleConfig, config: Config) -> None:
    """Refuse a student that RecBole reads or trains in another way than a method, which it takes for a general model.

    Args:
        made: the Config that RecBole made with the method's name as its model.
        config: the run's Config.

    Raises:
        KDError: RecBole has another dataset, loader or trainer for the student.
    """
    plain = plain_config(config)
    same = all(made[key] == plain[key] for key in ("MODEL_TYPE", "MODEL_INPUT_TYPE"))
    if same and get_dataloader(made, "train") is get_dataloader(plain, "train") and recbole_trainer(plain) is Trainer:
        return
    raise KDError(
        f"run_recbole(model='{config.method}') reads and trains every student as BPR, which {plain['model']} does not "
        f"fit: use recbole_kd.run_kd(model='{config.method}'), or a student such as BPR or LightGCN"
    )


def _check_sum_reduction(config: RecBoleConfig) -> None:
    """Refuse to sum the loss of a model that RecBole's own Trainer does not train: no other one asks us for it."""
    if config["kd_reduction"] == "sum" and recbole_trainer(config) is not Trainer:
        raise KDError(
            f"kd_reduction=sum has no effect on {config['model']}, which is trained by "
            f"{recbole_trainer(config).__name__}: leave it out"
        )


def _check_student(config: Config) -> None:
    """Refuse a student whose training cannot begin with these settings."""
    name = config["model"]
    if needs_pretraining(config) and not (config["train_stage"] == "finetune" and config["pre_model_path"]):
        raise KDError(
            f"student_model={name} is distilled in its last stage: pre-train it in RecBole, and set "
            "train_stage=finetune and pre_model_path to the checkpoint of its pre-training"
        )
    if not is_resumable(config):
        raise _student_refusal(name, f"is trained by a {recbole_trainer(config).__name__}")
    _check_order("student", config)
    _check_negatives(config)


def _check_order(side: str, config: RecBoleConfig) -> None:
    """Refuse a sequential model where the interactions are not in the order of time."""
    order = config["eval_args"]["order"]
    if config["MODEL_TYPE"] == ModelType.SEQUENTIAL and order != "TO" and not config["benchmark_filename"]:
        raise KDError(
            f"{side}_model={config['model']} reads sequences in the order of time, and eval_args has order: {order}: "
            "write eval_args: {split: {LS: valid_and_test}, order: TO, mode: full}"
        )


def _check_negatives(config: RecBoleConfig, side: str = "") -> None:
    """Refuse a model without the negative items that it trains on."""
    name, arguments = config["model"], config["train_neg_sample_args"]
    if (arguments or {}).get("distribution", "none") != "none" or not samples_negatives(config):
        return
    if config["MODEL_TYPE"] == ModelType.TRADITIONAL:  # computed from the interactions alone
        return
    remedy = (
        ", or loss_type=CE" if config["MODEL_TYPE"] == ModelType.SEQUENTIAL and config["loss_type"] == "BPR" else ""
    )
    cause = " with loss_type=BPR" if remedy else ""
    raise KDError(
        f"train_neg_sample_args={arguments!r} draws no negative items, which {side}{name}{cause} trains "
        f"on: leave it out, or write {{distribution: uniform}}{remedy}"
    )


def check_distributable(config: Config) -> None:
    """Refuse several processes for a term whose loss cannot be computed in parts, and for a student with a trainer of
    its own. Raises KDError.
    """
    if recbole_trainer(config) is not Trainer:
        raise KDError(
            f"{config['model']} is trained by {recbole_trainer(config).__name__}, which works in one process: "
            "leave nproc and world_size out"
        )
    for name in method_terms(config):
        if not get_term(name).distributable:
            raise KDError(f"{name} cannot be trained by several processes: leave nproc and world_size out")


def find_unused_teacher_keys(config: Config, layers: Layers) -> None:
    """Add to ``config.unused_keys`` the keys about teachers that have no effect with these terms, or with one teacher.

    Raises:
        KDError: one of them is on the command line.
    """
    terms, reasons = [get_term(name) for name in method_terms(config)], {}
    if config["neighbour_weight"] and not any(term.reads_scores for term in terms):
        reasons["neighbour_weight"] = f"changes the teacher's scores, and {config.method} reads its factors alone"
    if config["teacher_states"] > 1 and not any(term.follows_training for term in terms):
        reasons["teacher_states"] = f"is for HetComp, and {config.method} learns from a trained teacher alone"
    if len(config.teachers) == 1:
        reasons["ensemble"] = "is for several teachers, and there is one"
    messages = {key: f"{key} {reason}: leave it out" for key, reason in reasons.items() if key in layers.plain}
    config.unused_keys |= messages
    refuse_unused_keys(config.unused_keys, layers.cli_keys)


# Phase 2: after the split


def check_split(config: Config, split: Split) -> None:
    """Refuse, before anything is trained, all that can be found out from a Config and its Split. Raises KDError."""
    dataset = split.train._dataset
    check_measures(config)
    check_student_capabilities(config, probe_backbone(plain_config(config), dataset))
    _check_planned_teachers(config, split)
    check_trainings(config, split)


def check_student_capabilities(config: Config, backbone: Backbone | None) -> Backbone:
    """The student's backbone, which has what the terms need.

    Args:
        config: the run's Config.
        backbone: the student's adapter; None where no family can read the student.

    Raises:
        KDError: it lacks a capability.
    """
    needs = functools.reduce(operator.or_, (get_term(name).needs_of_student(config) for name in method_terms(config)))
    if backbone is None:
        raise _student_refusal(config["model"], "does not score items in a way that can be read")
    if missing := needs & ~backbone.capabilities:
        reason = f"gives no {describe(missing)}, which {config.method} needs"
        students = next(names for capability, names in STUDENTS_WITH if missing & capability)
        raise _student_refusal(config["model"], reason, students)
    for name in method_terms(config):
        get_term(name).check_student(config, backbone)
    if config["kd_widths"] and not keeps_coordinates_apart(backbone):
        raise KDError(
            "kd_widths needs a student that is two tables of factors whose coordinates stay apart, and "
            f"{config['model']} is not: use BPR or LightGCN as the student"
        )
    return backbone


def _check_planned_teachers(config: Config, split: Split) -> None:
    """Refuse teachers that will lack what a term needs, tried on untrained models."""
    teachers = [(spec.label, _planned_capabilities(spec, split)) for spec in config.teachers]
    if config["neighbour_weight"]:
        _require_of_all(teachers, FACTORS, "neighbour_weight", ": leave it out")
    if len(teachers) == 1:
        ((label, capabilities),) = teachers
        check_capabilities(config, capabilities, f"{label} offers")
        return
    together = SCORER if config["ensemble"] == "score" else RANK_LISTS
    _require_of_all(teachers, together, f"ensemble={config['ensemble']}", "")
    check_capabilities(config, together, f"ensemble={config['ensemble']} offers")


def _planned_capabilities(spec: TeacherSpec, split: Split) -> Capability:
    return capabilities_of_files(spec.entry) if spec.config is None else capabilities_of(spec.config, split)


def _require_of_all(teachers: list[tuple[str, Capability]], needed: Capability, setting: str, remedy: str) -> None:
    """Refuse a setting for which one of the teachers, (label, capabilities) each, lacks a capability."""
    for label, capabilities in teachers:
        if needed not in capabilities:
            raise KDError(
                f"{setting} needs teachers that offer {describe(needed)}, "
                f"and {label} offers {describe(capabilities)} only{remedy}"
            )


# Phase 3: after the teachers


def check_capabilities(config: Config, capabilities: Capability, who: str) -> None:
    """Refuse a teacher whose capabilities lack what a term needs.

    Args:
        config: the run's Config.
        capabilities: those of the teacher, of the ensemble, or of the knowledge that was read.
        who: how the message names it, such as "EASE offers".

    Raises:
        KDError: with what is missing, and which models have it.
    """
    for name in method_terms(config):
        missing = get_term(name).needs_of_teacher(config) & ~capabilities
        if not missing:
            continue
        factors = bool(missing & FACTORS)
        remedy = "BPR or LightGCN" if factors else "BPR, LightGCN, EASE or MultiVAE"
        if len(config.teachers) > 1:
            remedy = "one teacher alone" if factors else "ensemble=score"
        raise KDError(
            f"{name} needs a teacher that offers {describe(missing)}, "
            f"and {who} {describe(capabilities)} only: use {remedy}"
        )


def _student_refusal(name: str, reason: str, students: str = STUDENTS) -> KDError:
    return KDError(f"student_model={name} cannot be distilled, because it {reason}: use {students} as the student")
