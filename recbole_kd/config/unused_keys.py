"""Known keys that have no effect in a run: refused on the command line, logged where a file has them."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recbole_kd.config.model_names import class_name
from recbole_kd.config.recbole_schema import model_keys, model_reads
from recbole_kd.config.run_reads import reason_labels_unused, reason_unread
from recbole_kd.config.schema import ONE_SIDE_KEYS, kd_keys, method_keys, method_names, resolve_terms, student_only_keys
from recbole_kd.config.teacher_entries import TeacherEntry
from recbole_kd.errors import KDError

if TYPE_CHECKING:
    from recbole_kd.config.layering import Layers

OPTIMIZER_KEYS = {"learner", "learning_rate", "weight_decay", *ONE_SIDE_KEYS}
TRAINING_KEYS = {
    "epochs",
    "train_batch_size",
    "eval_step",
    "stopping_step",
    "clip_grad_norm",
    "enable_amp",
    "train_neg_sample_args",
} | OPTIMIZER_KEYS
ENTRY_PREFIX = "teachers: "
NOT_FOR_TEACHERS = {
    "checkpoint_dir": "a teacher is kept below the checkpoint_dir of the run",
    "log_wandb": "a run of Weights & Biases shows the distilled student's training alone",
}
Checkpoint = Mapping[str, Any] | None


def find_unused_keys(
    layers: "Layers", models: tuple[str, Sequence[str | None]], checkpoints: Sequence[Checkpoint]
) -> dict[str, str]:
    """The keys that have no effect, by the name the user gives them, each with a sentence.

    Args:
        layers: what the user requests.
        models: the student's model and each teacher's, None for a file of scores.
        checkpoints: for each teacher the config in its checkpoint, or None.
    """
    student, teachers = models
    unused = _keys_of_other_methods(layers)
    student_keys = {key: key for key in layers.plain} | {f"student.{key}": key for key in layers.block("student")}
    for name, key in student_keys.items():
        if not _can_read(student, key, teachers):
            unused[name] = (
                f"{name} reaches the student, and {class_name(student)} has no such key: {_remedy(key, teachers)}"
            )
    if layers.plain.get("dataloaders_save_path"):
        unused["dataloaders_save_path"] = (
            "dataloaders_save_path changes nothing, because each training makes its own loaders: leave it out"
        )
    sources = list(zip(layers.teachers, teachers, checkpoints, strict=True))
    for key, value in layers.block("teacher").items():
        reasons = [reason_unused(key, value, *source) for source in sources]
        if all(reasons):
            unused[f"teacher.{key}"] = f"teacher.{key} changes nothing, because {reasons[0]}: leave it out"
    for entry, model, checkpoint in sources:
        for key, value in entry.keys.items():
            if reason := reason_unused(key, value, entry, model, checkpoint):
                unused[f"{ENTRY_PREFIX}{key}"] = f"{key} in teachers changes nothing, because {reason}: leave it out"
    return _keys_without_reader(layers, student, teachers) | unused


def _keys_without_reader(layers: "Layers", student: str, teachers: Sequence[str | None]) -> dict[str, str]:
    """The keys of RecBole that nothing reads in this run, each with a sentence."""
    models = [model for model in teachers if model is not None]
    ours = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
    known = kd_keys() | set(ours) | student_only_keys(student, *models) | {"terms", *layers.notes}
    unused = {}
    for prefix, keys, readers in (
        ("", layers.plain, [student, *models]),
        ("student.", layers.block("student"), [student]),
        ("teacher.", layers.block("teacher"), models),
        *(
            (ENTRY_PREFIX, entry.keys, [model])
            for entry, model in zip(layers.teachers, teachers, strict=True)
            if model is not None
        ),
    ):
        for key, value in keys.items():
            reason = None if key in known else reason_unread(key, readers, layers.plain.get("metrics"))
            if key == "threshold":
                reason = reason_labels_unused(value, readers, layers.plain.get("eval_args"))
            if reason:
                unused[f"{prefix}{key}"] = f"{prefix}{reason}"
    return unused


def refuse_unused_keys(unused: Mapping[str, str], cli_keys: Collection[str]) -> None:
    """Refuse unused keys that the command line or an entry of ``teachers`` gives: the user expects an effect.

    Args:
        unused: names and sentences, as ``find_unused_keys`` returns them.
        cli_keys: the names of the keys on the command line.

    Raises:
        KDError: with the sentence of the first one.
    """
    for name, sentence in unused.items():
        if name in cli_keys or name.startswith(ENTRY_PREFIX):
            raise KDError(sentence)


def _keys_of_other_methods(layers: "Layers") -> dict[str, str]:
    known = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
    unused = {}
    for key in layers.plain:
        if key in kd_keys() and key not in known and key != "terms":
            methods = " and ".join(_methods_with_key(key))
            unused[key] = f"{key} is a key of {methods}, which {layers.method} is not made of: leave it out"
    return unused


def _methods_with_key(key: str) -> list[str]:
    return [name for name in method_names() if key in method_keys(name, (name,))]


def _remedy(key: str, teachers: Sequence[str | None]) -> str:
    reader = next((model for model in teachers if model is not None and key in model_keys(model)), None)
    return f"write teacher.{key} for the teacher {class_name(reader)}" if reader else "leave it out"


def reason_unused(key: str, value: Any, entry: TeacherEntry, model: str | None, checkpoint: Checkpoint) -> str | None:
    """Why a key changes nothing for one teacher; None where it has an effect.

    Args:
        key: the key.
        value: what the user sets it to.
        entry: the teacher as the user names it.
        model: its model, None for a file of scores.
        checkpoint: the config in its checkpoint, or None.
    """
    if entry.files or model is None:
        return "a file of scores has no settings"
    if key in NOT_FOR_TEACHERS:
        return NOT_FOR_TEACHERS[key]
    if not _can_read(model, key):
        return f"{class_name(model)} has no such key"
    if checkpoint is not None and key in TRAINING_KEYS:
        return "a teacher that is given is not trained"
    if checkpoint is not None and key in model_keys(model) and key in checkpoint and checkpoint[key] != value:
        return f"the teacher's checkpoint has {checkpoint[key]}"
    return None


def _can_read(model: str, key: str, others: Sequence[str | None] = ()) -> bool:
    """Whether a key can change a model; keys that belong neither to it nor to one of the others always can."""
    models = [model, *(name for name in others if name is not None)]
    if key not in student_only_keys(*models) or key in OPTIMIZER_KEYS:
        return True
    return model_reads(model, key)
