"""One call from a method's name to a distilled student and the table that compares it."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack

from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import load_for_recbole, read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.schema import is_recbole_model
from recbole_kd.data.eval_mask import mask_training
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.split import NO_PATH, distinct_pairs, prepare_split, read_tokens, require_part
from recbole_kd.distributed.launcher import launch_processes, process_layout, started_by_torchrun
from recbole_kd.distributed.process_group import broadcast_object, join_group
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import _distil, get_distilled, make_config, opened, run_experiment, taught
from recbole_kd.method.checks import check_distributable
from recbole_kd.trainer.ddp_trainer import silence_rank
from recbole_kd.trainer.model_builder import load_weights
from recbole_kd.trainer.rank_agreement import check_same_settings

SAVED = ("checkpoint_dir", "dataset_save_path", "dataloaders_save_path")  # where RecBole looks for what it has saved
SAVES = ("save_dataset", "save_dataloaders")


def run_kd(model=None, dataset=None, config_file_list=None, config_dict=None, argv=None):
    """Find or train a teacher, distil a student, compare both with the student trained alone.

    Args:
        model: the method, ``MKD``, say.
        dataset: a dataset as RecBole knows them.
        config_file_list: YAML files, RecBole's keys and ours.
        config_dict: the same as a dict.
        argv: a command line (without the program) that wins over all; None: ``sys.argv`` is not looked at.

    Returns:
        dict: ``teacher``, ``student_alone`` (unless ``baseline`` is off), ``distilled``: each with test_result,
        valid_result, parameters, bytes, ms_per_user and checkpoint; ``recovered_share``, ``config``, ``versions``. Of
        several teachers, ``teachers``, a list, and ``ensemble`` in place of ``teacher``; beside a teacher that is read
        with its neighbours, ``with_neighbours``; beside one that could be, ``neighbours_worth``: what it would score on
        validation then. Where the method says how far it has come, ``progress``. None on a machine, or under torchrun
        in a process, that is not the first of several.

    Raises:
        KDError: input that cannot work, before anything is written.
        NonFiniteLoss: training diverged; the last good checkpoint stays.
        ChildProcessError: one of several processes was ended from outside.
    """
    asked = (model, dataset, config_file_list, config_dict, argv)
    config = make_config(*asked)
    places = process_layout(config)
    if places[0].world_size > 1:
        check_distributable(config)
        if started_by_torchrun():
            return _run_rank(places[0], asked)
        return launch_processes(_run_rank, places, (asked,))
    with opened(config) as data:
        return run_experiment(config, data)


def _run_rank(place, asked):
    """One of the processes of a run: the first does all that a single one does; the others train the student too.

    Returns:
        What run_kd does in the first one; None in the others.
    """
    config = make_config(*asked)
    with join_group(place, config["device"]):
        check_same_settings(config)
        if place.rank == 0:
            with opened(config) as data:
                return run_experiment(config, data)
        silence_rank(config)
        file = broadcast_object()  # once teachers and knowledge are there
        if file is not None:
            data = prepare_split(plain_config(config))
            _distil(config, taught(config, data)[0], file)
    return None


def load_student(model_file, data_path=None):
    """A distilled student, or any RecBole checkpoint, with its data; nothing in the file is executed.

    Args:
        model_file: the checkpoint.
        data_path: the folder that holds the dataset's folder, where that is no longer where it was at the training.

    Returns:
        (config, model, dataset, train_data, valid_data, test_data), as RecBole's load_data_and_model; its
        ``full_sort_topk`` and ``full_sort_scores`` take them.

    Raises:
        KDError: the file cannot be read, or the dataset is not the one that it was trained on.
        FileNotFoundError, ValueError: RecBole's, where the dataset is not there.
    """
    content = read_checkpoint(model_file)
    kind, name = content["config"]["model"], content["config"].get("dataset")
    if not is_recbole_model(kind) or kind == "KD_DAGFM":
        raise KDError(f"'{model_file}' holds a {kind}, which cannot be loaded as a student")
    if not isinstance(name, str) or os.path.basename(name) != name:
        raise KDError(f"'{model_file}' names a dataset {name!r}, which is no folder's name")
    config = load_for_recbole(model_file)["config"]
    if data_path is not None:
        config["data_path"] = os.path.join(data_path, config["dataset"])
    named = {key: config[key] for key in (*SAVED, *SAVES)}
    # RecBole unpickles datasets and loaders that it finds there, and where a path is None under a name of its own
    config.final_config_dict.update(dict.fromkeys(SAVED, NO_PATH), **dict.fromkeys(SAVES))
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    written = content.get("fingerprint")  # of what was trained here
    if isinstance(written, Mapping) and written.get("vocabulary") != sha256_of(*read_tokens(dataset)):
        raise KDError(
            f"the dataset '{name}' in '{config['data_path']}' numbers its users and items otherwise than when "
            f"'{model_file}' was trained: give the folder that holds its files as they were, as data_path"
        )
    loaders = data_preparation(config, dataset)
    if config["eval_mask"] == "train":
        mask_training(loaders[2], distinct_pairs(loaders[0]._dataset))
    config.final_config_dict.update(named)
    model = load_weights(config, loaders[0]._dataset, model_file, content)
    return config, model, dataset, *loaders


def objective_function(config_dict=None, config_file_list=None, saved=True):
    """For RecBole's HyperTuning: one distillation, without the student alone and without latencies.

    Returns:
        dict: model, best_valid_score, valid_score_bigger, best_valid_result, test_result.
    """
    config = make_config(None, None, config_file_list, config_dict)
    config.warn_unused_keys()
    with opened(config) as data:
        require_part(config, data, "valid", "search by")
        known = taught(config, data)
        with ExitStack() as stack:
            if not saved:  # in a folder of its own: a run_kd of the same keys has a student of the same name
                folder = tempfile.TemporaryDirectory(prefix=".search-", dir=config["checkpoint_dir"])
                config["checkpoint_dir"] = stack.enter_context(folder)
            model, _ = get_distilled(config, data, *known)
            valid, test = evaluate(plain_config(config), model, data)
    return {
        "model": config.method,
        "best_valid_score": valid[config["valid_metric"].lower()],
        "valid_score_bigger": config["valid_metric_bigger"],
        "best_valid_result": valid,
        "test_result": test,
    }
