"""The knowledge of a run: of one teacher, or of several together."""

import hashlib
import logging
from pathlib import Path

from recbole_kd.config.configurator import Config
from recbole_kd.data.split import Split
from recbole_kd.knowledge.ensemble import EnsembleKnowledge
from recbole_kd.knowledge.frozen_teacher import readable_backbone, teacher_lock
from recbole_kd.knowledge.model import ModelKnowledge
from recbole_kd.knowledge.score_file import FileKnowledge
from recbole_kd.trainer.rng import preserve_rng


def load_knowledge(config: Config, data: Split, teachers):
    """What the terms read of the teachers: of one teacher its Knowledge, of several an Ensemble."""
    with preserve_rng():
        found = [_read_teacher(config, data, teacher) for teacher in teachers]
        if len(found) == 1:
            return found[0]
        weights = config["ensemble_weights"]
        name = teachers_name(teachers) if weights is None else _hash(teachers_name(teachers), *map(str, weights))
        return EnsembleKnowledge(
            found, store_folder(config, name), logging.getLogger().info, config["ensemble"] == "score", weights
        )


def teachers_name(teachers):
    """What stands for the teachers of a run, their trajectories, and its training pairs."""
    names = [f"{teacher.name} {teacher.trajectory}" if teacher.trajectory else teacher.name for teacher in teachers]
    return names[0] if names == [teachers[0].name] else _hash(*names)


def _hash(*names):
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


def _read_teacher(config, data, teacher):
    if teacher.frame is not None:
        return _read_score_file(config, data, teacher)
    read = readable_backbone(teacher.config, teacher.model), data.train_pairs, store_folder(config, teacher.name)
    log, weight = logging.getLogger().info, config["neighbour_weight"]
    knowledge = ModelKnowledge(*read, log, teacher.states, teacher.trajectory, weight)
    if teacher.snapshots_kept is not None:
        with teacher_lock(teacher.file):
            knowledge.trajectories(config["teacher_states"])
            teacher.snapshots_kept.remove()  # from here on as lists
    return knowledge


def store_folder(config, name):
    """The folder of what is read of a teacher, one for each weight of its neighbours."""
    weight = config["neighbour_weight"]
    return Path(config["checkpoint_dir"]) / "knowledge" / (_hash(name, str(weight)) if weight else name)


def _read_score_file(config, data, teacher):
    sizes = data.dataset.user_num, data.dataset.item_num
    return FileKnowledge(teacher.frame, *sizes, data.train_pairs, config["device"], teacher.file)


def check_list_lengths(config, data, given, k):
    """Refuse, before one is trained, files of scores with fewer than ``k`` items for some user. Raises KDError."""
    for teacher in given.values():
        if teacher.frame is not None:
            _read_score_file(config, data, teacher).top_items(k)
