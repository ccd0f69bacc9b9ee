"""One call from a method's name to a distilled student and the table that compares it."""

import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recbole.data import create_dataset, data_preparation
from recbole.utils import WandbLogger, get_environment, init_logger, init_seed

from recbole_kd import launch, processes
from recbole_kd.config import KDError, plain_config, read_layers, silent, width_of
from recbole_kd.config.layers import is_recbole_model
from recbole_kd.model import check_run, config_of, longest_list, term_names_of
from recbole_kd.register import method_class
from recbole_kd.shared import SharedTrainer, check_data, check_settings, check_shares, quiet
from recbole_kd.teacher import fit, parts
from recbole_kd.teacher.checkpoint import (
    check_new_file,
    check_writable,
    load_for_recbole,
    locked,
    read_checkpoint,
    write_whole,
)
from recbole_kd.teacher.mask import mask_training
from recbole_kd.teacher.measure import compared, evaluate
from recbole_kd.teacher.prepare import check_lists, get_knowledge, get_teachers, given_teachers, name_of
from recbole_kd.teacher.worth import neighbours_worth
from recbole_kd.term import get_term
from recbole_kd.trainer import KDTrainer

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
    places = launch.places(config)
    if places[0].world > 1:
        check_shares(config)
        if launch.by_torchrun():
            return _one_of_several(places[0], asked)
        return launch.start(_one_of_several, places, (asked,))
    with opened(config) as data:
        return _run(config, data)


def _one_of_several(place, asked):
    """One of the processes of a run: the first does all that a single one does; the others train the student too.

    Returns:
        What run_kd does in the first one; None in the others.
    """
    config = make_config(*asked)
    with processes.joined(place, config["device"]):
        check_settings(config)
        if place.rank == 0:
            with opened(config) as data:
                return _run(config, data)
        quiet(config)
        file = processes.from_first()  # once teachers and knowledge are there
        if file is not None:
            data = parts.split(plain_config(config))
            _distil(config, taught(config, data)[0], file)
    return None


def make_config(model=None, dataset=None, config_file_list=None, config_dict=None, argv=None):
    """The Config that a run would have; arguments as of run_kd. Raises KDError."""
    return config_of(read_layers(model, dataset, config_file_list, config_dict, argv))


@contextmanager
def opened(config):
    """The split of a run, for as long as no other run may use its checkpoint folder; everything is refused that can be
    refused before a training. Raises KDError.
    """
    if processes.count() == 1 and launch.places(config)[0].world > 1:
        raise KDError(
            "only run_kd trains in several processes, and not tune or a search: leave nproc and world_size out"
        )
    check_writable("checkpoint_dir", config["checkpoint_dir"])
    check_writable("the working directory, for RecBole's log", "log")
    if config["result_file"]:
        check_new_file("result_file", config["result_file"])
    data = parts.split(plain_config(config))
    check_run(config, data)
    with locked(config["checkpoint_dir"]):
        yield data


def taught(config, data):
    """What the terms read of the teachers, which are found or trained, and the name that stands for them."""
    teachers = get_teachers(config, data, _given(config, data))
    return get_knowledge(config, data, teachers), name_of(teachers)


def _given(config, data):
    """The teachers that are files, all that can be refused of them refused."""
    found = given_teachers(config, data)
    check_lists(config, data, found, longest_list(config, data))
    return found


def _run(config, data):
    student = plain_config(config)
    parts.check_part(config, data, "test", "compare models by")
    given = _given(config, data)
    # the log begins when nothing can be refused any more: bad input leaves one sentence and no file
    init_logger(student)
    logger = logging.getLogger()
    logger.info(config)
    config.name_idle()
    if not len(data.pairs["valid"]):
        logger.warning("there is no validation pair to choose an epoch by: each training keeps its last one")
    own = width_of(config)
    for plan in config.teachers:
        width = plan.config and width_of(plan.config)
        logger.info(f"teacher {plan.label}" + (f", embedding_size {width}" if width else ""))
        if (own or 0) > (width or math.inf):
            logger.warning("the student is wider than its teacher: distillation is meant the other way round")
    logger.info(f"{config.method}: student {config['model']}" + (f", embedding_size {own}" if own else ""))
    logger.info(data.dataset)
    teachers = get_teachers(config, data, given)
    knowledge = get_knowledge(config, data, teachers)
    # before the students are trained: nothing is lost if it fails, and whoever reads it can start anew
    reads = any(get_term(name).scored and config[f"{name.lower()}_weight"] for name in term_names_of(config))
    worth = neighbours_worth(config, data, teachers, knowledge) if reads else None
    if worth:
        said = "the teacher's {metric} on validation, without and with its item neighbours: {without:.4f}, {with:.4f}"
        logger.info(said.format(**worth))

    alone = (student, *get_student_alone(config, student, data)) if config["baseline"] else None
    distilled = (student, *get_distilled(config, data, knowledge, name_of(teachers)))
    result = compared(config, data, teachers, knowledge, alone, distilled)
    result |= {"neighbours_worth": worth} if worth else {}
    WandbLogger(student).log_eval_metrics(result["distilled"]["test_result"])  # as run_recbole does
    logger.info("The running environment of this training is as follows:\n" + get_environment(config).draw())
    if config["result_file"]:
        write_whole(config["result_file"], (json.dumps(result, indent=1) + "\n").encode())
    logger.info(f"the distilled student is in {distilled[2]}")
    return result


def get_student_alone(config, student, data):
    """The student trained alone, found or trained now: (model, file). ``student``: its plain Config."""
    folder = Path(config["checkpoint_dir"]) / "alone"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{student['model']}-{student['dataset']}-{fit.run_key(student, data.fingerprint)}.pth"
    logger = logging.getLogger()
    if fit.complete(file):
        logger.info(f"the student was trained alone before: {file}")
    else:
        logger.info(f"training the student alone, in plain RecBole: {student['model']}")
        with fit.named(f"the student {student['model']} alone"):
            fit.train(silent(student), file, **fit.resuming(config))
    return fit.load_weights(student, data.train._dataset, file, fit.read_own(file)), str(file)


def get_distilled(config, data, knowledge, teacher_name):
    """The distilled student: (model, file); found where ``resume`` is set and it was distilled before."""
    logger = logging.getLogger()
    together = [f"{processes.count()} processes"] if processes.count() > 1 else []
    key = fit.run_key(config, data.fingerprint, teacher_name, *together)
    file = Path(config["checkpoint_dir"]) / f"{config['model']}-{config['dataset']}-{config.method}-{key}.pth"
    there = config["resume"] and fit.complete(file)
    processes.from_first(None if there else str(file))
    if there:
        logger.info(f"this student was distilled before: {file}")
    else:
        logger.info(" in ".join([f"distilling: {config.method}", *together]))
        _distil(config, knowledge, file)
    return fit.load_weights(plain_config(config), data.train._dataset, file, fit.read_own(file)), str(file)


def train_one(side, config, knowledge, file, watch=None):
    """Train one of the models of a run to a file, from a fresh split, as run_kd trains it.

    Args:
        side: ``method``: the distilled student; ``alone``; ``teacher``.
        config: the run's Config.
        knowledge: of the teacher, for the method.
        file: the checkpoint to write.
        watch: as of fit.run.
    """
    if side == "method":
        _distil(config, knowledge, file, watch)
    else:
        own = config.teacher if side == "teacher" else plain_config(config)
        with fit.named(f"the {'teacher' if side == 'teacher' else 'student'} {own['model']}"):
            fit.train(own, file, **fit.resuming(config), watch=watch)


def _distil(config, knowledge, file, watch=None):
    fresh = parts.split(plain_config(config))  # its loaders have not been drawn from
    check_data(fresh)
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    with processes.first_before_others():  # what is read of the teacher is stored, and found by the others
        model = method_class(config.method)(config, fresh.train._dataset, knowledge)
    kind = SharedTrainer if processes.count() > 1 else KDTrainer
    with processes.shared_cores(), fit.named(f"the student {config['model']} by {config.method}"):
        fit.run(kind(config, model), fresh, file, **fit.resuming(config), watch=watch)


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
    config.final_config_dict.update(dict.fromkeys(SAVED, parts.NOWHERE), **dict.fromkeys(SAVES))
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    written = content.get("fingerprint")  # of what was trained here
    if isinstance(written, Mapping) and written.get("vocabulary") != parts.hashed(*parts.tokens_of(dataset)):
        raise KDError(
            f"the dataset '{name}' in '{config['data_path']}' numbers its users and items otherwise than when "
            f"'{model_file}' was trained: give the folder that holds its files as they were, as data_path"
        )
    loaders = data_preparation(config, dataset)
    if config["eval_mask"] == "train":
        mask_training(loaders[2], parts.pairs_of(loaders[0]._dataset))
    config.final_config_dict.update(named)
    model = fit.load_weights(config, loaders[0]._dataset, model_file, content)
    return config, model, dataset, *loaders


def objective_function(config_dict=None, config_file_list=None, saved=True):
    """For RecBole's HyperTuning: one distillation, without the student alone and without latencies.

    Returns:
        dict: model, best_valid_score, valid_score_bigger, best_valid_result, test_result.
    """
    config = make_config(None, None, config_file_list, config_dict)
    config.name_idle()
    with opened(config) as data:
        parts.check_part(config, data, "valid", "search by")
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
