"""One run, step by step: split, teachers, knowledge, student alone, distilled student, result."""

import json
import logging
import math
from contextlib import contextmanager
from pathlib import Path

from recbole.utils import WandbLogger, get_environment, init_logger, init_seed

from recbole_kd.config.configurator import plain_config, without_wandb
from recbole_kd.config.layering import read_layers
from recbole_kd.config.widths import model_width
from recbole_kd.data.split import prepare_split, require_part
from recbole_kd.distributed.launcher import process_layout
from recbole_kd.distributed.process_group import broadcast_object, process_count, rank0_first
from recbole_kd.distributed.sharding import divided_threads
from recbole_kd.errors import KDError
from recbole_kd.evaluation.neighbour_advice import neighbour_advice
from recbole_kd.evaluation.result import build_result
from recbole_kd.io import atomic_write, check_output_file, check_writable_folder, exclusive_folder
from recbole_kd.knowledge.loader import check_list_lengths, load_knowledge, teachers_name
from recbole_kd.method.checks import check_run
from recbole_kd.method.configuration import build_config
from recbole_kd.method.registry import method_class
from recbole_kd.method.terms import max_list_length, method_terms
from recbole_kd.teacher.provider import provide_teachers, read_given_teachers
from recbole_kd.term import get_term
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.ddp_trainer import DistributedKDTrainer
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import load_weights
from recbole_kd.trainer.options import TrainingOptions
from recbole_kd.trainer.rank_agreement import check_same_data
from recbole_kd.trainer.training import (
    describe_failure,
    read_done_marker,
    read_trained,
    run_trainer,
    train,
)


def make_config(model=None, dataset=None, config_file_list=None, config_dict=None, argv=None):
    """The Config that a run would have; arguments as of run_kd. Raises KDError."""
    return build_config(read_layers(model, dataset, config_file_list, config_dict, argv))


@contextmanager
def opened(config):
    """The split of a run, for as long as no other run may use its checkpoint folder; everything is refused that can be
    refused before a training. Raises KDError.
    """
    if process_count() == 1 and process_layout(config)[0].world_size > 1:
        raise KDError(
            "only run_kd trains in several processes, and not tune or a search: leave nproc and world_size out"
        )
    check_writable_folder("checkpoint_dir", config["checkpoint_dir"])
    check_writable_folder("the working directory, for RecBole's log", "log")
    if config["result_file"]:
        check_output_file("result_file", config["result_file"])
    data = prepare_split(plain_config(config))
    check_run(config, data)
    with exclusive_folder(config["checkpoint_dir"]):
        yield data


def taught(config, data):
    """What the terms read of the teachers, which are found or trained, and the name that stands for them."""
    teachers = provide_teachers(config, data, _given(config, data))
    return load_knowledge(config, data, teachers), teachers_name(teachers)


def _given(config, data):
    """The teachers that are files, all that can be refused of them refused."""
    found = read_given_teachers(config, data)
    check_list_lengths(config, data, found, max_list_length(config, data))
    return found


def run_experiment(config, data):
    student = plain_config(config)
    require_part(config, data, "test", "compare models by")
    given = _given(config, data)
    # the log begins when nothing can be refused any more: bad input leaves one sentence and no file
    init_logger(student)
    logger = logging.getLogger()
    logger.info(config)
    config.warn_unused_keys()
    if not len(data.pairs["valid"]):
        logger.warning("there is no validation pair to choose an epoch by: each training keeps its last one")
    own = model_width(config)
    for plan in config.teachers:
        width = plan.config and model_width(plan.config)
        logger.info(f"teacher {plan.label}" + (f", embedding_size {width}" if width else ""))
        if (own or 0) > (width or math.inf):
            logger.warning("the student is wider than its teacher: distillation is meant the other way round")
    logger.info(f"{config.method}: student {config['model']}" + (f", embedding_size {own}" if own else ""))
    logger.info(data.dataset)
    teachers = provide_teachers(config, data, given)
    knowledge = load_knowledge(config, data, teachers)
    # before the students are trained: nothing is lost if it fails, and whoever reads it can start anew
    reads = any(get_term(name).reads_scores and config[f"{name.lower()}_weight"] for name in method_terms(config))
    worth = neighbour_advice(config, data, teachers, knowledge) if reads else None
    if worth:
        said = "the teacher's {metric} on validation, without and with its item neighbours: {without:.4f}, {with:.4f}"
        logger.info(said.format(**worth))

    alone = (student, *get_student_alone(config, student, data)) if config["baseline"] else None
    distilled = (student, *get_distilled(config, data, knowledge, teachers_name(teachers)))
    result = build_result(config, data, teachers, knowledge, alone, distilled)
    result |= {"neighbours_worth": worth} if worth else {}
    WandbLogger(student).log_eval_metrics(result["distilled"]["test_result"])  # as run_recbole does
    logger.info("The running environment of this training is as follows:\n" + get_environment(config).draw())
    if config["result_file"]:
        atomic_write(config["result_file"], (json.dumps(result, indent=1) + "\n").encode())
    logger.info(f"the distilled student is in {distilled[2]}")
    return result


def get_student_alone(config, student, data):
    """The student trained alone, found or trained now: (model, file). ``student``: its plain Config."""
    folder = Path(config["checkpoint_dir"]) / "alone"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{student['model']}-{student['dataset']}-{run_key(student, data.fingerprint)}.pth"
    logger = logging.getLogger()
    if read_done_marker(file):
        logger.info(f"the student was trained alone before: {file}")
    else:
        logger.info(f"training the student alone, in plain RecBole: {student['model']}")
        with describe_failure(f"the student {student['model']} alone"):
            train(without_wandb(student), file, options=TrainingOptions.from_config(config))
    return load_weights(student, data.train._dataset, file, read_trained(file)), str(file)


def get_distilled(config, data, knowledge, teacher_name):
    """The distilled student: (model, file); found where ``resume`` is set and it was distilled before."""
    logger = logging.getLogger()
    together = [f"{process_count()} processes"] if process_count() > 1 else []
    key = run_key(config, data.fingerprint, teacher_name, *together)
    file = Path(config["checkpoint_dir"]) / f"{config['model']}-{config['dataset']}-{config.method}-{key}.pth"
    there = config["resume"] and read_done_marker(file)
    broadcast_object(None if there else str(file))
    if there:
        logger.info(f"this student was distilled before: {file}")
    else:
        logger.info(" in ".join([f"distilling: {config.method}", *together]))
        _distil(config, knowledge, file)
    return load_weights(plain_config(config), data.train._dataset, file, read_trained(file)), str(file)


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
        with describe_failure(f"the {'teacher' if side == 'teacher' else 'student'} {own['model']}"):
            train(own, file, options=TrainingOptions.from_config(config, on_epoch=watch))


def _distil(config, knowledge, file, watch=None):
    fresh = prepare_split(plain_config(config))  # its loaders have not been drawn from
    check_same_data(fresh)
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    with rank0_first():  # what is read of the teacher is stored, and found by the others
        model = method_class(config.method)(config, fresh.train._dataset, knowledge)
    kind = DistributedKDTrainer if process_count() > 1 else KDTrainer
    with divided_threads(), describe_failure(f"the student {config['model']} by {config.method}"):
        run_trainer(kind, config, model, fresh, file, TrainingOptions.from_config(config, on_epoch=watch))
