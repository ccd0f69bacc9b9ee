"""From what the user asked for to a checked Config."""

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import Config
from recbole_kd.config.schema import is_recbole_model
from recbole_kd.errors import KDError
from recbole_kd.method.checks import check_kinds, check_student, check_sum_reduction, find_unused_teacher_keys
from recbole_kd.method.terms import method_terms
from recbole_kd.term import get_term


def build_config(layers):
    """The Config of what the user asked for, checked as far as it can be without the data. Raises KDError."""
    found = [_checkpoint_config(entry) for entry in layers.teachers]
    for entry, theirs in zip(layers.teachers, found, strict=True):
        check_kinds(layers.student_model, (theirs or {}).get("model") or entry.model or layers.student_model)
    try:
        config = Config(layers, found)
    except KDError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, RuntimeError) as error:  # RecBole's
        raise KDError(f"RecBole refuses the settings: {' '.join(str(error).split())}") from error
    for side in (config, *(plan.config for plan in config.teachers if plan.config is not None)):
        check_sum_reduction(side)
    check_student(config)
    for name in method_terms(config):
        get_term(name).check(config)
    find_unused_teacher_keys(config, method_terms(config), layers)
    return config


def _checkpoint_config(entry):
    """The config in the checkpoint of an entry, where there is one."""
    if entry.path is None:
        return None
    found = read_checkpoint(entry.path)["config"]
    if not is_recbole_model(found["model"]):
        raise KDError(f"'{entry.path}' holds the model {found['model']!r}, which RecBole does not bring")
    if entry.model not in (None, found["model"]):
        raise KDError(f"teacher_model={entry.model}, but '{entry.path}' holds a {found['model']}: leave one out")
    return found
