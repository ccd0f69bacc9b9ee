"""RecBole's Config for the student, with the method's keys in it, and the plain ones of student and teacher."""

from recbole.config import Config as RecBoleConfig

from recbole_kd.config.keys import (
    KDError,
    check_recbole_number,
    chosen_terms,
    keys_of,
    model_keys,
    our_keys,
    recbole_numbers,
    student_only_keys,
)
from recbole_kd.config.layers import SIDES, Layers

TEACHER_WIDTH, STUDENT_WIDTH, RATIO = 200, 20, 10


class Config(RecBoleConfig):
    """The student's RecBole Config; ``config[key]`` also answers for the keys of the method.

    ``model`` is the student's name and ``kd_method`` the method's, because RecBole chooses the dataset, the loader and
    the trainer by ``config["model"]``. It never looks at ``sys.argv``.

    Args:
        layers: what the user asked for.
        teacher: the config of the checkpoint given by ``teacher_path``, a dict, or None.

    Attributes:
        method: the method's name.
        teacher: the teacher's plain RecBole Config.

    Raises:
        KDError: a value out of range.
    """

    def __init__(self, layers: Layers, teacher=None):
        self.method = layers.method
        keys = keys_of(layers.method, chosen_terms(layers.method, layers.plain.get("terms")))
        teacher_model = (teacher or {}).get("model") or layers.teacher_model or layers.student_model
        student_width, teacher_width = _widths(layers, teacher_model, teacher)
        defaults = {name: key.default for name, key in keys.items()}
        shared = {name: value for name, value in defaults.items() if name not in our_keys()}
        own = {"kd_method": layers.method, "student_model": layers.student_model, "teacher_model": teacher_model}

        self._below = {**defaults, **student_width}
        super().__init__(
            layers.student_model, layers.dataset, config_dict={**layers.plain, **layers.of("student"), **own}
        )
        for name, key in keys.items():
            key.check(self[name])

        plain = {key: value for key, value in layers.plain.items() if key not in student_only_keys()}
        fixed = {key: value for key, value in (teacher or {}).items() if key in model_keys(teacher_model)}
        self.teacher = plain_config(
            _Layered(
                teacher_model, layers.dataset, {**shared, **teacher_width}, {**plain, **layers.of("teacher"), **fixed}
            )
        )
        for name in shared:
            keys[name].check(self.teacher[name])
        for side in (self, self.teacher):
            for name in recbole_numbers():
                check_recbole_number(name, side[name])
        for side, config in (("student", self), ("teacher", self.teacher)):
            _check_width(side, config)

    def _load_cmd_line(self):
        return {}

    def _load_variable_config_dict(self, config_dict):
        return dict(config_dict)  # typed already; RecBole would evaluate the strings, paths among them

    def _load_internal_config_dict(self, model, model_class, dataset):
        super()._load_internal_config_dict(model, model_class, dataset)
        self.internal_config_dict.update(self._below)


class _Layered(Config):
    """RecBole's Config of one model over given lower and upper layers."""

    def __init__(self, model, dataset, below, above):
        self._below = below
        RecBoleConfig.__init__(self, model, dataset, config_dict=above)


def plain_config(config):
    """A RecBole Config with nothing of ours in it: what is saved, and what a plain run is given."""
    ours = our_keys() | {"kd_method", *SIDES}
    plain = object.__new__(RecBoleConfig)
    for name, value in vars(config).items():
        if name in ("_below", "method", "teacher"):
            continue
        plain.__dict__[name] = (
            {key: inner for key, inner in value.items() if key not in ours} if name.endswith("config_dict") else value
        )
    return plain


def _widths(layers, teacher_model, teacher):
    """Width keys of both sides, a dict each: whichever is given sets the other at ten to one."""
    own = layers.of("student")
    student = own.get("embedding_size", layers.plain.get("embedding_size"))
    other = (teacher or {}).get("embedding_size", layers.of("teacher").get("embedding_size"))
    for side, width in (("student", student), ("teacher", other)):
        if width is not None and (not isinstance(width, int) or isinstance(width, bool) or width < 1):
            raise KDError(f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)")
    if student is None:
        student = STUDENT_WIDTH if other is None else max(1, other // RATIO)
    if other is None:
        other = student * RATIO
    return _width_keys(layers.student_model, student), _width_keys(teacher_model, other)


def _width_keys(model, width):
    known = model_keys(model)
    if "embedding_size" not in known:
        return {}
    keys = {"embedding_size": width}
    if "hidden_size_list" in known:  # NGCF: as in RecBole's YAML, three layers of the embedding's width
        keys["hidden_size_list"] = [width] * 3
    return keys


def _check_width(side, config):
    width = config["embedding_size"]
    if width is None and "embedding_size" not in model_keys(config["model"]):
        return
    if not isinstance(width, int) or width < 1:
        raise KDError(f"{side}.embedding_size={width!r} is out of range: it takes an int in [1, inf)")
