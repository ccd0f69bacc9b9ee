"""The key that names a trained model: a hash of what decides its weights."""

import json

from recbole_kd.config.schema import is_default
from recbole_kd.data.fingerprint import sha256_of

# keys that say where and how a run is shown, not what comes out of it
NEUTRAL_KEYS = {
    "gpu_id", "use_gpu", "state", "data_path", "checkpoint_dir", "show_progress", "log_wandb",
    "wandb_project", "save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path", "config_files",
    "metrics", "topk", "eval_batch_size", "loss_decimal_place", "device", "local_rank", "single_spec", "nproc",
    "world_size", "ip", "port", "group_offset", "eval_type", "baseline", "resume", "resume_interval", "result_file",
    "teacher_path", "teacher_check", "teachers", "eval_mask",
}  # fmt: skip
ADDED_KEYS = ("ensemble_weights", "eval_mask", "init_std", "neighbour_weight")


def outcome_settings(settings, more=()):
    """Of a config's settings those that decide a run's outcome, as text; ``more``: outward ones that count here too.

    One of the keys that came LATER counts where it is set: what was made before there was such a key is found again.
    So does ``worker``, whose processes draw the negatives each for itself.
    """

    def counts(key, value):
        if key == "worker":
            return bool(value)
        return (key not in NEUTRAL_KEYS or key in more) and not (key in ADDED_KEYS and is_default(key, value))

    return {key: str(value) for key, value in settings.items() if counts(key, value)}


def run_key(config, fingerprint, *more):
    """Sixteen hex digits that stand for all that decides a run's outcome: settings, data, whatever else is given."""
    return sha256_of(
        json.dumps(outcome_settings(config.final_config_dict), sort_keys=True), fingerprint.combined, *more
    )[:16]
