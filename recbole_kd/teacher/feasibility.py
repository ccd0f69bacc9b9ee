"""Whether teachers can be trained, measured and read, found out before one is trained."""

import importlib.util

from recbole.trainer.trainer import PretrainTrainer
from recbole.utils import ModelType, get_trainer

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.capabilities import SCORER, Capability
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.knowledge.frozen_teacher import require_readable
from recbole_kd.teacher.leakage import SPLIT_KEYS, _equal, _normalise, check_same_split
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.model_builder import build_error, build_seeded_model, missing_package, no_tables_message
from recbole_kd.trainer.rng import preserve_rng


def check_trainings(config, data):
    """Refuse, before one is trained, teachers that would be on another split, fail when their training begins or ends,
    or be one and the same. Raises KDError.
    """
    student = plain_config(config)
    known: dict[str, int] = {}
    for place, plan in enumerate(config.teachers, 1):
        if plan.config is None or plan.entry.path is not None:
            continue
        _check_trainable(plan.config)
        first = known.setdefault(run_key(plan.config, data.fingerprint), place)
        if first != place:
            raise KDError(
                f"teachers {first} and {place}, {plan.label}, have the same settings and would be one and the same: "
                "give one of them keys of its own, or leave it out"
            )
        if any(not _equal(_normalise(key, plan.config[key]), _normalise(key, student[key])) for key in SPLIT_KEYS):
            with preserve_rng():
                check_same_split(config, plan, prepare_split(plan.config), data)


def check_measures(config):
    """Refuse a teacher that would be measured otherwise than the students: one table holds them. Raises KDError."""
    own = measurement_settings(config)
    for plan in config.teachers:
        theirs = measurement_settings(plan.config) if plan.config is not None else own
        for key in own:
            if theirs[key] != own[key]:
                raise KDError(
                    f"the teacher {plan.label} would be measured by {key} {theirs[key]}, the student "
                    f"{config['model']} by {own[key]}: write it once, outside the blocks 'teacher' and 'student'"
                )


def measurement_settings(config):
    """What a model's figures hang on beside its weights and the pairs, a dict."""
    keys = {key: config[key] for key in ("metrics", "topk", "repeatable")}
    return {**keys, "mode": config["eval_args"]["mode"], "eval_mask": config["eval_mask"] or "all"}


def _check_trainable(config):
    name = config["model"]
    if issubclass(get_trainer(config["MODEL_TYPE"], name), PretrainTrainer) and config["train_stage"] != "finetune":
        stage = config["train_stage"]
        raise KDError(
            f"teacher_model={name} with train_stage={stage} leaves no checkpoint to teach with: train it in RecBole "
            "and give it as teacher_path, or take another model"
        )
    if name == "NCL" and importlib.util.find_spec("faiss") is None:  # asked for when its training begins
        raise missing_package(config, "No module named 'faiss'")


def capabilities_of(config, dataset) -> Capability:
    """What a teacher of this plain Config can give, tried on an untrained one. Raises KDError: unreadable."""
    if config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        if config["init_std"]:
            raise KDError(no_tables_message(config))
        return SCORER  # EASE and its like are solved when they are constructed: too dear for a question
    backbone = probe_backbone(config, dataset)
    return require_readable(config, backbone).capabilities


def probe_backbone(config, dataset):
    """The backbone of a model of this plain Config before any training, or None where none can read it.

    Raises:
        KDError: there is no such model with these settings.
    """
    with preserve_rng():
        try:
            return backbone_of(build_seeded_model(config, dataset))
        except ImportError as error:
            raise missing_package(config, error) from error
        except KDError:
            raise
        except Exception as error:
            raise build_error(config, error) from error
