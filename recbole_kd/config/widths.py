"""Widths of student and teachers: ten to one unless given."""

from recbole_kd.config.recbole_schema import model_keys
from recbole_kd.errors import KDError

STUDENT_WIDTH, WIDTH_RATIO = 20, 10
MODELS_WITHOUT_WIDTH = (
    "DMF",
    "DiffRec",
    "LDiffRec",
)  # their embedding_size is that of other features, or of a diffusion's step


def resolve_widths(layers, models, found):
    """Width keys of the student, a dict, and of each teacher: whichever is given first sets the others at ten to one,
    a teacher's own before the student's.
    """
    own = layers.block("student")
    student = own.get("embedding_size", layers.plain.get("embedding_size"))
    block = layers.block("teacher").get("embedding_size")
    given = [
        None
        if model in MODELS_WITHOUT_WIDTH
        else (theirs or {}).get("embedding_size", entry.keys.get("embedding_size", block))
        for entry, model, theirs in zip(layers.teachers, models, found, strict=True)
    ]
    for side, width in (("student", student), *(("teacher", width) for width in given)):
        if width is not None and (not isinstance(width, int) or isinstance(width, bool) or width < 1):
            raise KDError(f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)")
    if student is None:
        first = next((width for width in given if width is not None), None)
        student = STUDENT_WIDTH if first is None else max(1, first // WIDTH_RATIO)
    teachers = [student * WIDTH_RATIO if width is None else width for width in given]
    return _width_keys(layers.student_model, student), [
        _width_keys(model, width) if model else {} for model, width in zip(models, teachers, strict=True)
    ]


def _width_keys(model, width):
    known = model_keys(model)
    if "embedding_size" not in known or model in MODELS_WITHOUT_WIDTH:
        return {}
    keys = {"embedding_size": width}
    if "hidden_size_list" in known:  # NGCF: as in RecBole's YAML, three layers of the embedding's width
        keys["hidden_size_list"] = [width] * 3
    return keys


def model_width(config):
    """The length of a model's vectors by its ``embedding_size``; None of a model that has no one such length."""
    return None if config["model"] in MODELS_WITHOUT_WIDTH else config["embedding_size"]


def check_width(side, config):
    width = config["embedding_size"]
    if width is None and "embedding_size" not in model_keys(config["model"]):
        return
    if not isinstance(width, int) or width < 1:
        raise KDError(f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)")
