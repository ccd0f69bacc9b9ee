"""The key that names a trained model: a hash of what decides its weights."""

import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.config.schema import is_default
from recbole_kd.data.fingerprint import Fingerprint, sha256_of

# keys that decide where a run takes place and how it is shown, but not what it results in
NEUTRAL_KEYS = {
    *("gpu_id", "use_gpu", "state", "data_path", "checkpoint_dir", "show_progress", "log_wandb", "wandb_project"),
    "verbose",
    *("save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path", "config_files", "metrics"),
    *("topk", "eval_batch_size", "loss_decimal_place", "device", "local_rank", "single_spec", "nproc", "world_size"),
    *("ip", "port", "group_offset", "eval_type", "baseline", "resume", "resume_interval", "result_file"),
    *("teacher_path", "teacher_check", "teachers", "eval_mask", "init_data_path"),
    "kd_knowledge",  # stored or online, the lists are the same
    *("MASK_INDEX", "MASK_ITEM_SEQ", "POS_ITEMS", "NEG_ITEMS"),  # written by BERT4Rec's loader
}
# keys that were added later: they count only where they are set, so that earlier models keep their names
ADDED_KEYS = ("ensemble_weights", "eval_mask", "init_from", "init_std", "kd_widths", "neighbour_weight")


def outcome_settings(settings: Mapping[str, Any], more: Container[str] = ()) -> dict[str, str]:
    """The settings of a config that decide the outcome of a run, as text.

    ``worker`` counts where it is set: each worker process draws the negatives for itself.

    Args:
        settings: all settings of a config.
        more: neutral keys that count here too.
    """

    def counts(key: str, value: Any) -> bool:
        if key == "worker":
            return bool(value)
        return (key not in NEUTRAL_KEYS or key in more) and not (key in ADDED_KEYS and is_default(key, value))

    return {key: _as_text(key, value) for key, value in settings.items() if counts(key, value)}


def _as_text(key: str, value: Any) -> str:
    """A value as text; a file of weights by its content, which may change under one name."""
    if key == "init_from" and Path(str(value)).is_file():
        return sha256_of(Path(str(value)).read_bytes())
    return str(value)


def run_key(config: RecBoleConfig, fingerprint: Fingerprint, *more: str) -> str:
    """Sixteen hexadecimal digits that stand for everything that decides the outcome of a run.

    Pre-trained weights (``pre_model_path``) count by their file's content: a pre-training that is repeated writes to
    the same path.

    Args:
        config: the Config of the run.
        fingerprint: the Fingerprint of its split.
        more: whatever else decides the outcome, as text.
    """
    settings = json.dumps(outcome_settings(config.final_config_dict), sort_keys=True)
    pretrained = Path(config["pre_model_path"] or "")
    weights = [pretrained.read_bytes()] if pretrained.is_file() else []
    return sha256_of(settings, fingerprint.combined, *more, *weights)[:16]
