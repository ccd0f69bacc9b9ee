"""From the user's layers to a checked Config."""

from typing import Any

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import Config
from recbole_kd.config.layering import Layers
from recbole_kd.config.model_names import is_known_model, model_reference
from recbole_kd.config.teacher_entries import TeacherEntry
from recbole_kd.errors import KDError, is_out_of_memory
from recbole_kd.method.checks import check_model_types, check_settings, find_unused_teacher_keys


def build_config(layers: Layers) -> Config:
    """The Config of a run, checked as far as is possible without the data. Raises KDError."""
    checkpoint_configs = [_checkpoint_config(entry) for entry in layers.teachers]
    for entry, settings in zip(layers.teachers, checkpoint_configs, strict=True):
        teacher_model = (settings or {}).get("model") or entry.model or layers.student_model
        check_model_types(layers.student_model, teacher_model)
    try:
        config = Config(layers, checkpoint_configs)
    except (KDError, ImportError):
        raise
    except Exception as error:  # RecBole takes values of any type, and may fail with anything over them
        if is_out_of_memory(error):
            raise
        raise KDError(f"RecBole refuses the settings: {' '.join(str(error).split())}") from error
    check_settings(config)
    find_unused_teacher_keys(config, layers)
    return config


def _checkpoint_config(entry: TeacherEntry) -> dict[str, Any] | None:
    """The settings in the checkpoint of a teacher entry; None where it has no checkpoint. Raises KDError."""
    if entry.path is None:
        return None
    settings = read_checkpoint(entry.path)["config"]
    if not is_known_model(settings):
        raise KDError(f"'{entry.path}' holds the model {settings['model']!r}, which RecBole does not have")
    if entry.model not in (None, model_reference(settings)):
        raise KDError(f"teacher_model={entry.model}, but '{entry.path}' holds a {settings['model']}: leave one out")
    return settings
