"""The protocol of a run: how the data are read, divided and ranked, by RecBole's defaults for the student's family.

RecBole's defaults depend on a model's family: sequential models leave each user's last two interactions out and need
the column of times, knowledge-aware models read a knowledge graph. One run has one protocol, the student's, so that
teachers of another family stand on the same split. Runs of general and traditional models alone have RecBole's plain
defaults, and nothing is set for them here.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recbole.config import Config as RecBoleConfig
from recbole.data import get_dataloader
from recbole.data.dataloader import UserDataLoader
from recbole.utils import InputType, ModelType

from recbole_kd.config.model_names import class_name, model_reference, resolve_model
from recbole_kd.config.recbole_schema import model_defaults, protocol_defaults, recbole_defaults
from recbole_kd.errors import KDError

if TYPE_CHECKING:
    from recbole_kd.config.layering import Layers

PLAIN_TYPES = (ModelType.GENERAL, ModelType.TRADITIONAL)
NEGATIVES = "train_neg_sample_args"


@dataclass(frozen=True)
class Protocol:
    """What the sides of a run get below the user's own keys.

    Attributes:
        student: defaults of the student.
        reading: those of them that say what is read, for all sides.
        is_plain: whether all models are general or traditional.
        is_chosen: whether the user leaves the protocol to RecBole's default.
    """

    student: dict[str, Any]
    reading: dict[str, Any]
    is_plain: bool
    is_chosen: bool

    @classmethod
    def of(
        cls, layers: "Layers", models: Sequence[str | None], checkpoints: Sequence[Mapping[str, Any] | None]
    ) -> "Protocol":
        """The protocol of a run.

        Args:
            layers: what the user requests.
            models: each teacher's model, None for a file of scores.
            checkpoints: for each teacher the config in its checkpoint, or None.

        Raises:
            KDError: negatives are requested for a loss over all items.
        """
        student_keys = {**layers.plain, **layers.block("student")}
        negatives = default_negatives(layers.student_model, student_keys)
        sides = [layers.student_model, *(model for model in models if model is not None)]
        is_plain = all(_model_type(model) in PLAIN_TYPES for model in sides)
        reading = {} if is_plain else _shared_reading(layers, models, checkpoints)
        evaluation = {} if is_plain else _student_evaluation(layers)
        return cls(
            student={**reading, **evaluation, **negatives},
            reading=reading,
            is_plain=is_plain,
            is_chosen=not is_plain and student_keys.get("eval_args") is None,
        )

    def teacher(self, model: str | None, student: RecBoleConfig) -> dict[str, Any]:
        """The defaults of a teacher: what is read, and the student's way to divide and to rank.

        Args:
            model: the teacher's model, None for a file of scores.
            student: the student's Config.
        """
        if self.is_plain or model is None:
            return {}
        # RecBole refuses a sequential model whose evaluation is not repeatable
        repeatable = student["repeatable"] or _model_type(model) == ModelType.SEQUENTIAL
        return {**self.reading, "eval_args": copy.deepcopy(student["eval_args"]), "repeatable": repeatable}

    def choices(self, student: RecBoleConfig, teachers: Sequence[RecBoleConfig]) -> tuple[str, ...]:
        """Sentences for the log: the protocol that is chosen, and which models train without negatives.

        Args:
            student: the student's Config.
            teachers: the teachers' Configs.
        """
        sentences = []
        if self.is_chosen:
            args = student["eval_args"]
            sentences.append(
                f"the protocol is RecBole's default for {student['MODEL_TYPE'].name.lower()} models: split "
                f"{args['split']}, order {args['order']}, mode {args['mode']['test']}, repeatable "
                f"{student['repeatable']}; write eval_args to set another"
            )
        sides = [("student", student), *(("teacher", config) for config in teachers)]
        names = [f"the {side} {config['model']}" for side, config in sides if _samples_nothing(config)]
        if names:
            sentences.append(
                f"{NEGATIVES} is ~ for {' and '.join(names)}: loss_type=CE is over all items; loss_type=BPR samples "
                "negatives"
            )
        return tuple(sentences)


def default_negatives(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The default of ``train_neg_sample_args`` for one side: none where the model's loss is over all items.

    Args:
        model: the side's model.
        settings: the keys that the user gives this side.

    Raises:
        KDError: the settings ask for negatives, and the loss is over all items.
    """
    if not _trains_on_all_items(model, settings):
        return {}
    if settings.get(NEGATIVES) is not None:
        raise KDError(
            f"{NEGATIVES}={settings[NEGATIVES]!r} samples negatives, and {class_name(model)} with loss_type=CE trains "
            f"on all items: leave {NEGATIVES} out, or write loss_type=BPR"
        )
    return {NEGATIVES: None}


def _trains_on_all_items(model: str, settings: Mapping[str, Any]) -> bool:
    """Whether a model's loss is a cross-entropy over all items, which samples no negatives."""
    model_class = resolve_model(model)
    loss_type = settings.get("loss_type", model_defaults(model).get("loss_type"))
    input_type = getattr(model_class, "input_type", None)  # SINE draws a negative item under every loss
    return model_class.type == ModelType.SEQUENTIAL and loss_type == "CE" and input_type != InputType.PAIRWISE


def samples_negatives(config: RecBoleConfig) -> bool:
    """Whether a model's training draws negative items: autoencoders read users' rows, CE is over all items.

    Args:
        config: the model's Config.
    """
    return get_dataloader(config, "train") is not UserDataLoader and not _samples_nothing(config)


def _samples_nothing(config: RecBoleConfig) -> bool:
    return _trains_on_all_items(model_reference(config), config.final_config_dict)


def _model_type(model: str) -> ModelType:
    return resolve_model(model).type


def _student_evaluation(layers: "Layers") -> dict[str, Any]:
    """The default evaluation of a sequential student; RecBole leaves it out for GRU4RecKG and KSR."""
    if _model_type(layers.student_model) != ModelType.SEQUENTIAL:
        return {}
    return copy.deepcopy(recbole_defaults("quick_start_config/sequential"))


def _shared_reading(
    layers: "Layers", models: Sequence[str | None], checkpoints: Sequence[Mapping[str, Any] | None]
) -> dict[str, Any]:
    """The columns that the sides need together: all of them read the same, for one vocabulary.

    The files that RecBole reads besides (``additional_feat_suffix``) are for the models that ask for them: the rows of
    an entity mean nothing to a model without a knowledge graph, whose reading they would end.
    """
    sides = [(layers.student_model, {}), *zip(models, (checkpoint or {} for checkpoint in checkpoints), strict=True)]
    defaults = [{**protocol_defaults(model, layers.dataset), **given} for model, given in sides if model is not None]
    reading: dict[str, Any] = {}
    if "load_col" not in layers.plain:
        reading["load_col"] = _union_of_columns([settings.get("load_col") for settings in defaults])
        types = {_model_type(model) for model, _ in sides if model is not None}
        if ModelType.SEQUENTIAL in types and reading["load_col"] is not None:
            time = layers.plain.get("TIME_FIELD", defaults[0]["TIME_FIELD"])
            reading["load_col"] = _union_of_columns([reading["load_col"], {"inter": [time]}])
    return reading


def _union_of_columns(loads: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The union of several values of ``load_col``; None, which reads all columns, where one of them is None."""
    union: dict[str, Any] = {}
    for load in loads:
        if load is None:
            return None
        for suffix, columns in load.items():
            known = union.get(suffix, [])
            both_lists = isinstance(known, list) and isinstance(columns, (list, tuple))
            union[suffix] = list(dict.fromkeys([*known, *columns])) if both_lists else "*"
    return union
