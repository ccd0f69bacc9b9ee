"""Checks of a run, and what cannot work."""

from recbole.trainer import Trainer
from recbole.utils import InputType, ModelType, get_model, get_trainer

from recbole_kd.backbone.capabilities import FACTORS, RANK_LISTS, SCORER, Capability, describe
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.unused_keys import refuse_unused_keys
from recbole_kd.errors import KDError
from recbole_kd.method.terms import method_terms
from recbole_kd.teacher.feasibility import capabilities_of, check_measures, check_trainings, probe_backbone
from recbole_kd.term import get_term


def check_distributable(config):
    """Refuse several processes for a term that cannot be shared out to them. Raises KDError."""
    for name in method_terms(config):
        if not get_term(name).distributable:
            raise KDError(f"{name} cannot be trained by several processes: leave nproc and world_size out")


def check_sum_reduction(config):
    """Refuse to sum the loss of a model that is not trained by RecBole's Trainer, the only one that asks us for it.
    Raises KDError.
    """
    if config["kd_reduction"] == "sum" and get_trainer(config["MODEL_TYPE"], config["model"]) is not Trainer:
        raise KDError(f"kd_reduction=sum cannot reach {config['model']}, which has a trainer of its own: leave it out")


def check_kinds(student, teacher):
    """Refuse kinds of models that cannot be here yet, before RecBole's own checks speak. Raises KDError."""
    kind = _model_type(student)
    if kind != ModelType.GENERAL:
        raise KDError(student_refusal(student, f"is a {kind.name.lower()} model"))
    kind = _model_type(teacher)
    if kind not in (ModelType.GENERAL, ModelType.TRADITIONAL):
        raise KDError(
            f"teacher_model={teacher} cannot teach yet, because it is a {kind.name.lower()} model: "
            "a general model such as BPR or LightGCN would work"
        )


def _model_type(name):
    try:
        return get_model(name).type
    except ImportError:  # LightGBM and XGBoost import packages of these names
        return ModelType.DECISIONTREE


def check_factors(config, dataset):
    """Refuse, before anything is trained, a student without factors, found out on an untrained one. Raises KDError."""
    backbone = probe_backbone(plain_config(config), dataset)
    if backbone is None or FACTORS not in backbone.capabilities:
        raise KDError(student_refusal(config["model"], "has no user and item factors that make its scores"))


def check_student(config):
    """Refuse a student that cannot be distilled yet. Raises KDError."""
    kind, name = config.model_class, config["model"]
    if get_trainer(config["MODEL_TYPE"], name) is not Trainer:
        raise KDError(student_refusal(name, "has a trainer of its own"))
    if getattr(kind, "input_type", None) != InputType.PAIRWISE:
        raise KDError(student_refusal(name, "does not train on pairs of a positive and a negative item"))
    if (config["train_neg_sample_args"] or {}).get("distribution", "none") == "none":
        raise KDError(
            f"train_neg_sample_args={config['train_neg_sample_args']!r} draws no negative items, which {name} trains "
            "on: leave it out, or write {distribution: uniform}"
        )


def check_teachers(config, dataset):
    """Refuse, before one is trained, teachers that lack what a term needs. Raises KDError."""
    teachers = [
        (plan.label, RANK_LISTS if plan.config is None else capabilities_of(plan.config, dataset))
        for plan in config.teachers
    ]
    if config["neighbour_weight"]:
        _require_of_all(teachers, FACTORS, "neighbour_weight", ": leave it out")
    if len(teachers) == 1:
        ((label, capabilities),) = teachers
        check_capabilities(config, capabilities, f"{label} offers")
        return
    if config["ensemble"] == "score":
        _require_of_all(teachers, SCORER, "ensemble=score", "")
    together = SCORER if config["ensemble"] == "score" else RANK_LISTS
    check_capabilities(config, together, f"ensemble={config['ensemble']} offers")


def _require_of_all(teachers, needed, setting, remedy):
    """Refuse a setting for which one of the teachers, (label, capabilities) each, lacks a capability. Raises KDError."""
    for label, capabilities in teachers:
        if needed not in capabilities:
            raise KDError(
                f"{setting} needs teachers that offer {describe(needed)}, "
                f"and {label} offers {describe(capabilities)} only{remedy}"
            )


def check_run(config, data):
    """Refuse, before anything is trained, all that can be told from a Config and its Split. Raises KDError."""
    check_measures(config)
    check_factors(config, data.train._dataset)
    check_teachers(config, data.train._dataset)
    check_trainings(config, data)


def check_capabilities(config, capabilities: Capability, who: str):
    """Refuse a teacher whose capabilities lack what a term needs.

    Args:
        config: the run's Config.
        capabilities: those of the teacher, or of the ensemble.
        who: how the message names it, such as "EASE offers".

    Raises:
        KDError: with what is missing, and which models have it.
    """
    for name in method_terms(config):
        missing = get_term(name).teacher_needs & ~capabilities
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


def student_refusal(name, why):
    return (
        f"student_model={name} cannot be distilled yet, because it {why}: "
        "BPR, LightGCN, NGCF or SimpleX as the student would work"
    )


def find_unused_teacher_keys(config, names, layers):
    """Add them to the ``idle`` keys of a method's Config.

    Args:
        config: the Config, whose ``idle`` is added to.
        names: the names of the method's terms.
        layers: what the user asked for.

    Raises:
        KDError: one of them stands on the command line.
    """
    terms, idle = [get_term(name) for name in names], {}
    if config["neighbour_weight"] and not any(term.reads_scores for term in terms):
        idle["neighbour_weight"] = f"changes what a teacher scores, and {config.method} reads its factors alone"
    if config["teacher_states"] > 1 and not any(term.follows_training for term in terms):
        idle["teacher_states"] = f"is for HetComp, and {config.method} learns from a trained teacher alone"
    if len(config.teachers) == 1:
        idle["ensemble"] = "is for several teachers, and there is one"
    config.unused_keys |= {key: f"{key} {why}: leave it out" for key, why in idle.items() if key in layers.plain}
    refuse_unused_keys(config.unused_keys, layers.cli_keys)
