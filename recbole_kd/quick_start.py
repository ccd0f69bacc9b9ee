"""One call from a method's name to a distilled student and the table that compares it."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import Dataset
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import load_for_recbole, read_checkpoint
from recbole_kd.config.model_names import is_known_model
from recbole_kd.data.changed_data import note_changed_data
from recbole_kd.data.eval_mask import mask_training
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.pairs import distinct_pairs, read_tokens
from recbole_kd.data.split import NO_PATH, require_part
from recbole_kd.distributed.launcher import launch_processes, process_layout, started_by_torchrun
from recbole_kd.distributed.process_group import ProcessInfo, broadcast_object, join_group
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.evaluation.result import RunResult
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.method.checks import check_distributable
from recbole_kd.trainer.ddp_trainer import silence_rank
from recbole_kd.trainer.model_builder import load_weights
from recbole_kd.trainer.rank_agreement import check_same_settings
from recbole_kd.trainer.warm_start import RowMap, describe_new_rows, grown_maps

# where RecBole looks for datasets and loaders that it has saved, and what makes it save them
SAVED_DATA_KEYS = ("checkpoint_dir", "dataset_save_path", "dataloaders_save_path")
SAVE_KEYS = ("save_dataset", "save_dataloaders")
NEW_ROWS = "new_rows"  # of the config that load_student returns


def run_kd(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | str | None = None,
    config_dict: dict | None = None,
    argv: list[str] | None = None,
) -> RunResult | None:
    """Find or train a teacher, distil a student, compare both with the student trained alone.

    Args:
        model: the method, such as ``MKD``.
        dataset: the name of a dataset, as RecBole takes it.
        config_file_list: YAML files with RecBole's keys and ours.
        config_dict: the same as a dict.
        argv: the arguments of a command line, without the program's name; they override the other sources.
            ``sys.argv`` is never read.

    Returns:
        The result, a ``RunResult``: ``teacher``, ``student_alone`` (unless ``baseline`` is off) and ``distilled``, each
        with test_result, valid_result, parameters, bytes, ms_per_user and checkpoint; ``recovered_share``, ``config``,
        ``versions``. With several teachers, ``teachers`` (a list) and ``ensemble`` replace ``teacher``; with
        ``neighbour_weight`` there is also ``with_neighbours``. Where parts of the split share pairs, ``shared_pairs``
        has their numbers and a warning.

        The function returns None on every machine but the first and, under torchrun, on every rank but 0.

    Raises:
        KDError: input that cannot work, before anything is written.
        NonFiniteLoss: the training diverged; the last good checkpoint stays.
        ChildProcessError: one of several processes was ended from outside.
    """
    arguments = (model, dataset, config_file_list, config_dict, argv)
    config = make_config(*arguments)
    layout = process_layout(config)
    if layout[0].world_size > 1:
        check_distributable(config)
        if started_by_torchrun():
            return _run_rank(layout[0], arguments)
        return launch_processes(_run_rank, layout, (arguments,))
    with Experiment.open(config) as experiment:
        return experiment.run()


def _run_rank(process: ProcessInfo, arguments: tuple) -> RunResult | None:
    """One process of a distributed run: rank 0 does all that a single process does, the others train the student too.

    Returns:
        The result on rank 0; None on the others.
    """
    config = make_config(*arguments)
    with join_group(process, config["device"]):
        check_same_settings(config)
        if process.rank == 0:
            with Experiment.open(config) as experiment:
                return experiment.run()
        silence_rank(config)
        file = broadcast_object()  # sent when teachers and knowledge are ready
        if file is not None:
            Experiment(config).train_side("method", file)
    return None


def load_student(model_file: str, data_path: str | None = None) -> tuple:
    """A distilled student, or any RecBole checkpoint, with its data; nothing in the file is executed.

    Args:
        model_file: the checkpoint.
        data_path: the folder that holds the dataset's folder, where it has moved since the training.

    Returns:
        (config, model, dataset, train_data, valid_data, test_data), as RecBole's ``load_data_and_model`` gives them;
        its ``full_sort_topk`` and ``full_sort_scores`` take them. ``config["changed_data"]`` is a sentence, which the
        log has too, where the dataset's pairs are not those of the training: recommending from it is fine, but metrics
        on it are not valid, and ``recbole_kd.evaluation`` refuses them. It is None where they are the same, and where
        the checkpoint has no fingerprint, as those of plain RecBole. ``config["new_rows"]`` has the numbers of
        ``users`` and ``items`` that were appended to the dataset since, whose rows are random; None without any.

    Raises:
        KDError: the file cannot be read, or the dataset numbers its users and items otherwise than at the training.
        FileNotFoundError, ValueError: RecBole's, where the dataset is missing.
    """
    content = read_checkpoint(model_file)
    config = _student_config(model_file, content["config"], data_path)
    saved_values = {key: config[key] for key in (*SAVED_DATA_KEYS, *SAVE_KEYS)}
    # RecBole unpickles datasets and loaders that it finds there, and where a path is None under a name of its own
    config.final_config_dict.update(dict.fromkeys(SAVED_DATA_KEYS, NO_PATH), **dict.fromkeys(SAVE_KEYS))
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    maps = _match_vocabulary(model_file, content, config, dataset)
    loaders = data_preparation(config, dataset)
    if config["eval_mask"] == "train":
        mask_training(loaders[2], distinct_pairs(loaders[0]._dataset))
    config.final_config_dict.update(saved_values)
    note_changed_data(model_file, content, config, dataset, loaders)
    model = load_weights(config, loaders[0]._dataset, model_file, content, maps)
    return config, model, dataset, *loaders


def _student_config(model_file: str, settings: Mapping, data_path: str | None) -> RecBoleConfig:
    """The RecBole Config in a checkpoint, whose model and dataset names were checked. Raises KDError."""
    model, dataset = settings["model"], settings.get("dataset")
    if not is_known_model(settings) or model == "KD_DAGFM":
        raise KDError(
            f"'{model_file}' holds a {model}, which cannot be loaded as a student: it is neither a model of RecBole's "
            "nor of a module that is imported; import its module first"
        )
    if not isinstance(dataset, str) or os.path.basename(dataset) != dataset:
        raise KDError(f"'{model_file}' names a dataset {dataset!r}, which is not the name of a folder")
    config = load_for_recbole(model_file)["config"]
    if data_path is not None:
        config["data_path"] = os.path.join(data_path, config["dataset"])
    return config


def _match_vocabulary(model_file: str, content: Mapping, config: RecBoleConfig, dataset: Dataset) -> Sequence[RowMap]:
    """The rows of a dataset to which users or items were appended; empty where these are those of the training.

    Raises:
        KDError: the dataset numbers them otherwise; known where the checkpoint has a fingerprint.
    """
    config.final_config_dict.pop(NEW_ROWS, None)  # a checkpoint may hold the key of an earlier load
    fingerprint, tokens = content.get("fingerprint"), read_tokens(dataset)
    if not isinstance(fingerprint, Mapping) or fingerprint.get("vocabulary") == sha256_of(*tokens):
        return ()
    maps = grown_maps(content, tokens)
    if maps is None:
        raise KDError(
            f"the dataset '{config['dataset']}' in '{config['data_path']}' numbers its users and items otherwise than "
            f"when '{model_file}' was trained: give the folder with the files of the training as data_path"
        )
    config.final_config_dict[NEW_ROWS] = {f"{rowmap.side}s": rowmap.new for rowmap in maps}
    logging.getLogger().warning(
        f"{describe_new_rows(model_file, maps)}, with random rows: train again with --init_from={model_file}"
    )
    return maps


def objective_function(
    config_dict: dict | None = None, config_file_list: list[str] | str | None = None, saved: bool = True
) -> dict[str, Any]:
    """The objective for RecBole's HyperTuning: distil once. No student is trained alone, no latency is measured.

    Args:
        config_dict, config_file_list: as of ``run_kd``.
        saved: whether the student stays in the checkpoint folder.

    Returns:
        dict: model, best_valid_score, valid_score_bigger, best_valid_result, test_result.
    """
    config = make_config(None, None, config_file_list, config_dict)
    config.warn_unused_keys()
    with Experiment.open(config) as experiment, ExitStack() as stack:
        require_part(config, experiment.split, "valid", "search by")
        experiment.warn_shared_pairs()
        _ = experiment.knowledge  # teachers are kept in the run's own folder
        if not saved:  # a run_kd of the same keys has a student of the same name: this one goes to another folder
            folder = tempfile.TemporaryDirectory(prefix=".search-", dir=config["checkpoint_dir"])
            config["checkpoint_dir"] = stack.enter_context(folder)
        student = experiment.distil()
        valid, test = evaluate(student.config, student.model, experiment.split)
    return {
        "model": config.method,
        "best_valid_score": valid[config["valid_metric"].lower()],
        "valid_score_bigger": config["valid_metric_bigger"],
        "best_valid_result": valid,
        "test_result": test,
    }
