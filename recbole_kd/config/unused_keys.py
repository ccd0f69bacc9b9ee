"""Known keys that have no effect in a run: refused on the command line, logged where a file has them."""

from recbole_kd.config.recbole_schema import model_keys, model_source, shared_source, source_reads
from recbole_kd.config.schema import ONE_SIDE_KEYS, kd_keys, method_keys, method_names, resolve_terms, student_only_keys
from recbole_kd.errors import KDError

OPTIMIZER_KEYS = {"learner", "learning_rate", "weight_decay", *ONE_SIDE_KEYS}
TRAINING_KEYS = OPTIMIZER_KEYS | {
    "epochs", "train_batch_size", "eval_step", "stopping_step", "clip_grad_norm", "enable_amp", "train_neg_sample_args",
}  # fmt: skip
ENTRY_PREFIX = "teachers: "
NOT_FOR_TEACHERS = {
    "checkpoint_dir": "a teacher is kept below the checkpoint_dir of the run",
    "log_wandb": "a run of Weights & Biases shows the distilled student's training alone",
}


def find_unused_keys(layers, models, found):
    """The keys that reach nothing, by the name the user gives them, each with a sentence that says so.

    Args:
        layers: what the user asked for.
        models: the student's model and each teacher's, None of a file of scores.
        found: for each teacher the config in its checkpoint, a dict, or None.
    """
    student, teachers = models
    known = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
    idle = {
        key: f"{key} is a key of {' and '.join(_methods_with_key(key))}, which {layers.method} is not made of: leave it out"
        for key in layers.plain
        if key in kd_keys() and key not in known and key != "terms"
    }
    own = {**{key: key for key in layers.plain}, **{f"student.{key}": key for key in layers.block("student")}}
    for name, key in own.items():
        if not _model_reads(student, key):
            idle[name] = f"{name} reaches the student, and {student} has no such key: {_remedy(key, teachers)}"
    if layers.plain.get("dataloaders_save_path"):
        idle["dataloaders_save_path"] = (
            "dataloaders_save_path changes nothing, because each training has loaders of its own: leave it out"
        )
    those = list(zip(layers.teachers, teachers, found, strict=True))
    for key, value in layers.block("teacher").items():
        reasons = [reason_unused(key, value, *one) for one in those]
        if all(reasons):
            idle[f"teacher.{key}"] = f"teacher.{key} changes nothing, because {reasons[0]}: leave it out"
    for one in those:
        for key, value in one[0].keys.items():
            if reason := reason_unused(key, value, *one):
                idle[f"{ENTRY_PREFIX}{key}"] = f"{key} in teachers changes nothing, because {reason}: leave it out"
    return idle


def refuse_unused_keys(idle, said):
    """Raise KDError for the first idle key that the command line names, or an entry of ``teachers`` has for its own;
    ``said``: all the names on the command line.
    """
    for name, sentence in idle.items():
        if name in said or name.startswith(ENTRY_PREFIX):
            raise KDError(sentence)


def _methods_with_key(key):
    return [name for name in method_names() if key in method_keys(name, (name,))]


def _remedy(key, teachers):
    having = next((model for model in teachers if model is not None and key in model_keys(model)), None)
    return f"write teacher.{key} for the teacher {having}" if having else "leave it out"


def reason_unused(key, value, entry, model, theirs):
    """Why a key changes nothing of one teacher, or None; ``theirs``: the config in its checkpoint, where it has one."""
    if entry.scores:
        return "a file of scores has no settings"
    if key in NOT_FOR_TEACHERS:
        return NOT_FOR_TEACHERS[key]
    if not _model_reads(model, key):
        return f"{model} has no such key"
    if theirs is not None and key in TRAINING_KEYS:
        return "a teacher that is given is not trained"
    if theirs is not None and key in model_keys(model) and key in theirs and theirs[key] != value:
        return f"the teacher's checkpoint has {theirs[key]}"
    return None


def _model_reads(model, key):
    """Whether a key can mean something to a model; those that are no model's own always can."""
    if key not in student_only_keys() or key in OPTIMIZER_KEYS:
        return True
    return key in model_keys(model) or source_reads(key, model_source(model)) or source_reads(key, shared_source())
