"""Whether a run can write its files, checked before any work."""

from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_kd.io import check_output_file, check_writable_folder

KEY = "0" * 16  # what a file's name ends with, see ``cache_key``
LONGEST_SUFFIX = ".pth.resume"
FOLDERS = ("alone", "teacher", "knowledge", "tune")  # below the checkpoint folder


def check_run_outputs(config: RecBoleConfig) -> None:
    """Refuse a Config of a run whose checkpoints, log or result cannot be written. Nothing is created.

    Raises:
        KDError: with the key and the path.
    """
    names = f"{config['model']}-{config['dataset']}"
    check_checkpoint_folder("checkpoint_dir", config["checkpoint_dir"], f"{names}-{config.method}")
    log = "the working directory, for RecBole's log"
    check_output_file(log, Path("log") / str(config["model"]) / f"{names}-Jan-01-2026_00-00-00-000000.log")
    check_writable_folder(log, "log_tensorboard")
    if config["result_file"]:
        check_output_file("result_file", config["result_file"])


def check_checkpoint_folder(what: str, folder: Any, name: str) -> None:
    """Refuse a folder for checkpoints in which a file or one of its folders cannot be written.

    Args:
        what: what the folder is for, in the message.
        folder: the folder, which need not exist.
        name: the longest name of a model in it, without its key.

    Raises:
        KDError: as ``check_writable_folder`` and ``check_output_file``.
    """
    check_writable_folder(what, folder)
    for subfolder in (".", *FOLDERS):
        check_output_file(what, Path(folder) / subfolder / f"{name}-{KEY}{LONGEST_SUFFIX}")
