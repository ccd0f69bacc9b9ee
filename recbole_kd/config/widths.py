"""Widths of student and teachers: one to ten unless given.

A model's *leading* width is the first of ``LEADING_KEYS`` in its YAML file, such as ``embedding_size`` or
``hidden_size``; its other widths, such as ``inner_size``, follow it in RecBole's proportions.

General models with an ``embedding_size`` begin with 20 for the student and 200 for the teacher. For all other models
the teacher has RecBole's own widths, and the student a tenth of them, rounded to a multiple of 4 that the attention
heads divide: 64 becomes 8, and 128 becomes 12.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recbole.config import Config as RecBoleConfig
from recbole.utils import ModelType

from recbole_kd.config.model_names import class_name, model_reference, resolve_model
from recbole_kd.config.recbole_schema import model_defaults, model_keys
from recbole_kd.errors import KDError

if TYPE_CHECKING:
    from recbole_kd.config.layering import Layers

STUDENT_WIDTH, WIDTH_RATIO = 20, 10
# their embedding_size is the width of other features, or of a diffusion's step
MODELS_WITHOUT_WIDTH = ("DMF", "DiffRec", "LDiffRec")
VECTOR_KEYS = ("embedding_size", "hidden_size")  # lengths of the vectors that score: comparable across models
LEADING_KEYS = (
    *VECTOR_KEYS,
    "latent_dimension",  # autoencoders
    "mf_embedding_size",  # NeuMF
    "ui_embedding_size",  # NNCF
    "user_embedding_size",  # DMF
)
FOLLOWING_KEYS = (
    *("hidden_size", "inner_size"),
    *("kg_embedding_size", "layers"),
    *("mlp_hidden_size", "hidden_dimension", "encoder_hidden_size", "gcn_output_dim"),
    *("mlp_embedding_size", "neigh_embedding_size", "num_conv_kernel"),
    *("item_embedding_size", "user_hidden_size_list", "item_hidden_size_list"),
)
# widths that a file of vectors decides (preload_weight)
PRELOADED = {"GRU4RecKG": "embedding_size", "KSR": "kg_embedding_size"}
LEAST_WIDTH = {"ConvNCF": 64}  # the size that its convolutions reduce to one number
_STEP = 4


def leading_key(model: str) -> str | None:
    """The key of a model's width; None for a model without one, such as EASE."""
    known = model_keys(model) - _fixed_keys(model)
    return next((key for key in LEADING_KEYS if key in known), None)


def resolve_widths(
    layers: "Layers", models: Sequence[str | None], checkpoints: Sequence[Mapping[str, Any] | None]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The width keys of the student, and those of each teacher.

    The width that is given sets the others at one to ten, where both are lengths of vectors or have the same key. A
    teacher's own width goes before one derived from the student's.

    Args:
        layers: what the user requests.
        models: each teacher's model, None for a file of scores.
        checkpoints: for each teacher the config in its checkpoint, or None.

    Raises:
        KDError: a width that is not a whole number above 0.
    """
    student_keys = {**layers.plain, **layers.block("student")}
    student = _given_width("student", layers.student_model, student_keys)
    settings = [
        {**layers.block("teacher"), **entry.keys, **(checkpoint or {})}
        for entry, checkpoint in zip(layers.teachers, checkpoints, strict=True)
    ]
    given = [_given_width("teacher", model, keys) for model, keys in zip(models, settings, strict=True)]
    comparable = [_are_comparable(layers.student_model, model) for model in models]
    first = next((width for width, fits in zip(given, comparable, strict=True) if fits and width is not None), None)
    one_to_ten = student is not None or first is not None
    if student is None:
        student = _student_width(layers.student_model, first, student_keys.get("n_heads"))
    teachers = [
        _teacher_width(model, width, student if fits and one_to_ten else None)
        for model, width, fits in zip(models, given, comparable, strict=True)
    ]
    return _width_keys(layers.student_model, student, is_student=True), [
        _width_keys(model, width, is_student=False) for model, width in zip(models, teachers, strict=True)
    ]


def _given_width(side: str, model: str | None, keys: Mapping[str, Any]) -> int | None:
    """The leading width that a side is given, checked; None where there is none."""
    key = leading_key(model) if model is not None else None
    width = keys.get(key) if key is not None else None
    if width is not None and (isinstance(width, bool) or not _is_width(width)):
        raise KDError(_width_message(side, str(key), width))
    return width


def _are_comparable(student: str, teacher: str | None) -> bool:
    """Whether one to ten makes sense between two models' leading widths."""
    if teacher is None:
        return False
    keys = (leading_key(student), leading_key(teacher))
    return None not in keys and (keys[0] == keys[1] or all(key in VECTOR_KEYS for key in keys))


def _student_width(model: str, teacher_width: int | None, heads: Any) -> int | None:
    """A tenth of the teacher's width where that is given, else the base width of the student's model."""
    key = leading_key(model)
    if key is None:
        return None
    least = LEAST_WIDTH.get(model, 1)
    if _is_general_embedding(model):
        width = STUDENT_WIDTH if teacher_width is None else teacher_width // WIDTH_RATIO
        return max(least, width)
    base = model_defaults(model)[key] if teacher_width is None else teacher_width
    step = math.lcm(_STEP, heads) if isinstance(heads, int) and heads > 0 else _STEP
    return max(least, step, step * math.floor(base / WIDTH_RATIO / step + 0.5))


def _teacher_width(model: str | None, given: int | None, student: int | None) -> int | None:
    """The width of a teacher: what is given, else ten times a comparable student's; None: RecBole's own."""
    if model is None or given is not None:
        return given
    if student is not None:
        return student * WIDTH_RATIO
    return STUDENT_WIDTH * WIDTH_RATIO if _is_general_embedding(model) else None


def _is_general_embedding(model: str) -> bool:
    """Whether a model's width is its ``embedding_size``, and it is neither sequential nor knowledge-aware."""
    other = (ModelType.SEQUENTIAL, ModelType.KNOWLEDGE)
    return leading_key(model) == "embedding_size" and resolve_model(model).type not in other


def _width_keys(model: str | None, width: int | None, is_student: bool) -> dict[str, Any]:
    """The leading width and those that follow it; none for a model without a width, or with RecBole's."""
    key = leading_key(model) if model is not None else None
    if model is None or key is None or width is None:
        return {}
    keys: dict[str, Any] = {key: width}
    defaults = model_defaults(model)
    if "hidden_size_list" in defaults:  # NGCF: as in RecBole's YAML, three layers of the embedding's width
        keys["hidden_size_list"] = [width] * 3
    general = _is_general_embedding(model)
    if general and not is_student:  # RecBole's other widths belong to a teacher of 200
        return keys
    base = STUDENT_WIDTH * WIDTH_RATIO if general else defaults[key]
    for name in FOLLOWING_KEYS:
        if name in defaults and name != key and name not in _fixed_keys(model):
            keys[name] = _scaled(defaults[name], width / base)
    return keys


def _fixed_keys(model: str) -> set[str]:
    if model in MODELS_WITHOUT_WIDTH:
        return {"embedding_size"}
    return {PRELOADED[model]} if model in PRELOADED else set()


def _scaled(value: Any, ratio: float) -> Any:
    """A number, or each number of a list, times ``ratio``, at least 1."""
    if isinstance(value, list):
        return [_scaled(number, ratio) for number in value]
    return max(1, round(value * ratio))


def model_width(config: RecBoleConfig) -> int | None:
    """The length of a model's vectors by its ``embedding_size`` or ``hidden_size``; None where it has no such key."""
    entry = width_entry(config)
    return entry[1] if entry is not None and entry[0] in VECTOR_KEYS else None


def width_entry(config: RecBoleConfig) -> tuple[str, int] | None:
    """The key of a model's leading width and its value, such as ``("hidden_size", 64)``; None for one without."""
    key = leading_key(model_reference(config))
    return None if key is None or config[key] is None else (key, config[key])


def describe_width(config: RecBoleConfig | None) -> str:
    """A model's width for the log, such as ``, hidden_size 64``; empty for a file of scores and without a width."""
    entry = width_entry(config) if config is not None else None
    return f", {entry[0]} {entry[1]}" if entry is not None else ""


def check_width(side: str, config: RecBoleConfig) -> None:
    """Refuse widths that are not whole numbers above 0, or that the attention heads do not divide. Raises KDError."""
    model = model_reference(config)
    known = model_keys(model) - _fixed_keys(model)
    if config["embedding_size"] is not None and model not in MODELS_WITHOUT_WIDTH:
        known = known | {"embedding_size"}  # third-party models may read it without a YAML file
    for key in dict.fromkeys((*LEADING_KEYS, *FOLLOWING_KEYS)):
        if key in known:
            _check_width_value(side, key, config[key])
    heads, leading = config["n_heads"], leading_key(model)
    if "n_heads" in known and leading is not None and isinstance(heads, int) and heads > 0 and config[leading] % heads:
        raise KDError(
            f"{side}.{leading}={config[leading]} is not a multiple of n_heads={heads}, and {class_name(model)} divides "
            f"its width among its attention heads: write {side}.{leading}={heads * math.ceil(config[leading] / heads)}"
        )


def _check_width_value(side: str, key: str, value: Any) -> None:
    if isinstance(value, (list, tuple)) and key not in LEADING_KEYS:
        for number in value:
            _check_width_value(side, key, number)
    elif not _is_width(value):
        raise KDError(_width_message(side, key, value))


def _is_width(width: object) -> bool:
    return isinstance(width, int) and width >= 1


def _width_message(side: str, key: str, width: object) -> str:
    return f"{side}.{key}={width!r} is out of range: it takes an int in [1, inf)"
