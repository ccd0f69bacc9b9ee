"""Widths of student and teachers: one to ten unless given."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.config.model_names import model_reference
from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.errors import KDError

if TYPE_CHECKING:
    from recbole_kd.config.layering import Layers

STUDENT_WIDTH, WIDTH_RATIO = 20, 10
# their embedding_size is the width of other features, or of a diffusion's step
MODELS_WITHOUT_WIDTH = ("DMF", "DiffRec", "LDiffRec")


def resolve_widths(
    layers: "Layers", models: Sequence[str | None], checkpoints: Sequence[Mapping[str, Any] | None]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The width keys of the student, and those of each teacher.

    The width that is given sets the others at one to ten. A teacher's own width goes before one derived from the
    student's.

    Args:
        layers: what the user requests.
        models: each teacher's model, None for a file of scores.
        checkpoints: for each teacher the config in its checkpoint, or None.

    Raises:
        KDError: a width that is not a whole number above 0.
    """
    student = layers.block("student").get("embedding_size", layers.plain.get("embedding_size"))
    block_width = layers.block("teacher").get("embedding_size")
    given = [
        None
        if model in MODELS_WITHOUT_WIDTH
        else (checkpoint or {}).get("embedding_size", entry.keys.get("embedding_size", block_width))
        for entry, model, checkpoint in zip(layers.teachers, models, checkpoints, strict=True)
    ]
    for side, width in (("student", student), *(("teacher", width) for width in given)):
        if width is not None and (isinstance(width, bool) or not _is_width(width)):
            raise KDError(_width_message(side, width))
    if student is None:
        first = next((width for width in given if width is not None), None)
        student = STUDENT_WIDTH if first is None else max(1, first // WIDTH_RATIO)
    teachers = [student * WIDTH_RATIO if width is None else width for width in given]
    return _width_keys(layers.student_model, student), [
        _width_keys(model, width) if model else {} for model, width in zip(models, teachers, strict=True)
    ]


def _width_keys(model: str, width: int) -> dict[str, Any]:
    known = model_keys(model)
    if "embedding_size" not in known or model in MODELS_WITHOUT_WIDTH:
        return {}
    keys: dict[str, Any] = {"embedding_size": width}
    if "hidden_size_list" in known:  # NGCF: as in RecBole's YAML, three layers of the embedding's width
        keys["hidden_size_list"] = [width] * 3
    return keys


def model_width(config: RecBoleConfig) -> int | None:
    """The length of a model's vectors by its ``embedding_size``; None for a model without one such length."""
    return None if config["model"] in MODELS_WITHOUT_WIDTH else config["embedding_size"]


def check_width(side: str, config: RecBoleConfig) -> None:
    """Refuse an ``embedding_size`` that is not a whole number above 0. Raises KDError."""
    width = config["embedding_size"]
    if width is None and "embedding_size" not in model_keys(model_reference(config)):
        return
    if not _is_width(width):
        raise KDError(_width_message(side, width))


def _is_width(width: object) -> bool:
    return isinstance(width, int) and width >= 1


def _width_message(side: str, width: object) -> str:
    return f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)"
