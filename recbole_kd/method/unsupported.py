"""RecBole's models that cannot be a student or a teacher, each with its reason: for messages and for the docs.

A reason completes the sentence "cannot be distilled, because it …".
"""

import importlib.util

from recbole.utils import ModelType

from recbole_kd.config.model_names import class_name, resolve_model

SOLVED = "is computed from the interactions, and has no gradient training that a teacher could change"
DIFFUSION = "denoises a user's row step by step, and has no single forward pass whose scores could be compared"
CONTEXT = "reads rows of features with a label, which is not supported yet"
NO_SEQUENCE = "scores rows of features with a label rather than all items, which is not supported yet"

# models by name; whole families are in STUDENT_TYPES and TEACHER_TYPES
NOT_STUDENTS: dict[str, str] = {
    "NCEPLRec": SOLVED,
    "DiffRec": DIFFUSION,
    "LDiffRec": DIFFUSION,
    "DIN": NO_SEQUENCE,
    "DIEN": NO_SEQUENCE,
}
NOT_TEACHERS: dict[str, str] = {"DIN": NO_SEQUENCE, "DIEN": NO_SEQUENCE}
STUDENT_TYPES: dict[ModelType, str] = {
    ModelType.TRADITIONAL: SOLVED,
    ModelType.CONTEXT: CONTEXT,
    ModelType.DECISIONTREE: "is an ensemble of trees, which is not trained by a gradient",
}
TEACHER_TYPES: dict[ModelType, str] = {
    ModelType.CONTEXT: CONTEXT,
    ModelType.DECISIONTREE: "is an ensemble of trees over rows of features, which is not supported",
}
# packages that RecBole imports while a model is built or trained
PACKAGES: dict[str, str] = {
    "KGAT": "dgl",
    "KGIN": "torch_scatter",
    "LightGBM": "lightgbm",
    "MCCLK": "torch_scatter",
    "NCL": "faiss",
    "XGBoost": "xgboost",
}
# models that RecBole trains in stages, of which the last alone ranks items
LAST_STAGE: dict[str, str] = {"RaCT": "finetune", "S3Rec": "finetune"}


def reason_not_student(model: str) -> str | None:
    """Why a model cannot be a student; None where it can.

    Args:
        model: a RecBole model's name, or ``package.module:Class``.
    """
    return NOT_STUDENTS.get(model) or STUDENT_TYPES.get(model_type(model))


def reason_not_teacher(model: str) -> str | None:
    """Why a model cannot be a teacher; None where it can. The argument as of ``reason_not_student``."""
    return NOT_TEACHERS.get(model) or TEACHER_TYPES.get(model_type(model))


def missing_package_of(model: str) -> str | None:
    """The package that a model needs and that is not installed; None where there is none."""
    package = PACKAGES.get(class_name(model))
    return package if package is not None and importlib.util.find_spec(package) is None else None


def model_type(model: str) -> ModelType:
    """The family of a model, by RecBole's name for it."""
    try:
        return resolve_model(model).type
    except ImportError:  # LightGBM and XGBoost import packages of these names
        return ModelType.DECISIONTREE
