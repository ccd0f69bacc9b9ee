"""From a Config and a split to a teacher's Knowledge: taken from a path, found in the store, or trained now."""

import logging
import random
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.utils import ModelType

from recbole_kd.backbone import backbone_of
from recbole_kd.config import Config, KDError
from recbole_kd.teacher import fit
from recbole_kd.teacher.checkpoint import read_checkpoint
from recbole_kd.teacher.guard import check_teacher
from recbole_kd.teacher.knowledge import Knowledge
from recbole_kd.teacher.store import store_name


@dataclass(frozen=True)
class Teacher:
    """A frozen teacher.

    Attributes:
        config: its plain RecBole Config.
        model: the RecBole model, in evaluation mode, without gradients.
        file: its checkpoint.
        name: what stands for its weights and this run's training pairs.
    """

    config: Any
    model: torch.nn.Module
    file: str
    name: str


def get_teacher(config: Config, data: fit.Split):
    """The teacher of a run. The global generators are left where they were.

    Raises:
        KDError: the file given by ``teacher_path`` cannot be read or may not teach here.
    """
    with kept_randomness():
        given = config["teacher_path"]
        if given is None:
            file = _found_or_trained(config, data)
            content = read_checkpoint(file)
        else:
            file, content = str(given), read_checkpoint(given)
            check_teacher(content, config, data, file)
        model = fit.load_weights(config.teacher, data.train._dataset, file, content)
        for cache in ("restore_user_e", "restore_item_e"):  # a graph model's tables as they were when it was stored
            if hasattr(model, cache):
                setattr(model, cache, None)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        return Teacher(config.teacher, model, file, store_name(content, data.fingerprint.train))


def offers_of(config, dataset):
    """What a teacher of this plain Config will offer, found out on an untrained one. Raises KDError: unreadable."""
    if config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        return "scores"  # EASE and its like are solved when they are constructed: too dear for a question
    with kept_randomness():
        try:
            return _backbone(config, fit.build(config, dataset)).offers
        except ImportError as error:
            raise KDError(f"{config['model']} needs a package that is not installed: {error}") from error


def get_knowledge(config: Config, data: fit.Split, teacher: Teacher):
    """What the terms read of the teacher."""
    with kept_randomness():
        backbone = _backbone(teacher.config, teacher.model)
        store = Path(config["checkpoint_dir"]) / "knowledge" / teacher.name
        return Knowledge(backbone, data.train_pairs, store, logging.getLogger().info)


def _backbone(config, model):
    backbone = backbone_of(model)
    if backbone is None:
        raise KDError(
            f"teacher_model={config['model']} cannot score the items of a user, which a teacher has to: "
            "BPR, LightGCN, EASE, MultiVAE or NeuMF can"
        )
    return backbone


def _found_or_trained(config, data):
    logger, teacher = logging.getLogger(), config.teacher
    folder = Path(config["checkpoint_dir"]) / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{teacher['model']}-{teacher['dataset']}-{fit.run_key(teacher, data.fingerprint)}.pth"
    if fit.complete(file):
        logger.info(f"the teacher was trained before: {file}")
        return str(file)
    logger.info(f"no teacher of these settings in {folder}: training {teacher['model']} now, in plain RecBole")
    own = fit.split(teacher)
    if own.fingerprint != data.fingerprint:
        raise KDError(
            f"the teacher {teacher['model']} would be trained on another split than the student {config['model']}: "
            "leave seed, eval_args and filters out of the blocks 'teacher' and 'student'"
        )
    fit.train(teacher, file, own, **resuming(config))
    return str(file)


def resuming(config):
    """How a training of this run is resumed: keywords of fit.run."""
    return {"resume": config["resume"], "resume_interval": config["resume_interval"]}


@contextmanager
def kept_randomness():
    """Leave Python's, numpy's and torch's global generators as they were: they are RecBole's."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def own_randomness(seed):
    """torch's global generator, seeded for a moment: what is drawn inside does not move RecBole's."""
    with kept_randomness():
        torch.manual_seed(seed)
        yield
