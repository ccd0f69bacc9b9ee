"""The models of a comparison: a method's student, the student alone, and the teacher or several of them as one."""

import hashlib
import json
from pathlib import Path

import filelock

from recbole_kd.compare.plan import ALONE, ENDS, TEACHER
from recbole_kd.config import plain_config
from recbole_kd.quick_start import get_distilled, get_student_alone
from recbole_kd.teacher import fit, parts
from recbole_kd.teacher.list_model import ListModel
from recbole_kd.teacher.prepare import get_knowledge, get_teachers, name_of


def trained(config, name, data):
    """The model of a run of this name on its split, trained or found: (plain Config, model, file or None)."""
    student = plain_config(config)
    if name == ALONE:
        with _held(student):
            return student, *get_student_alone(config, student, data)
    teachers = get_teachers(config, data)
    knowledge = get_knowledge(config, data, teachers)
    if name not in ENDS:
        with _held(config):
            return student, *get_distilled(config, data, knowledge, name_of(teachers))
    if name == TEACHER and len(teachers) == 1 and teachers[0].model is not None:
        return teachers[0].config, teachers[0].model, teachers[0].file
    # several, a file, or one with its neighbours: as the knowledge ranks
    ranked = ListModel(knowledge, student, data.train._dataset)
    ranked.members = [teacher.model for teacher in teachers if teacher.model is not None]
    return student, ranked, None


def _held(config):
    """What two entries of a plan train alike, a key beside its default, say, is trained by one of them."""
    key = parts.hashed(json.dumps(fit.decisive(config.final_config_dict), sort_keys=True))[:16]
    return filelock.FileLock(Path(config["checkpoint_dir"]) / f".{key}.lock")


def teachers_of(config):
    """What says who teaches: of each teacher its plain settings and what is in the files that it is, and of several how
    they are one.
    """
    found = []
    for plan in config.teachers:
        files = [file for file in (plan.entry.path, plan.entry.scores, *plan.entry.states) if file]
        settings = plan.config.final_config_dict if plan.config else {}
        found.append({**settings, "files": [_content(file) for file in files]} if files else settings)
    if len(found) > 1:
        found.append({key: config[key] for key in ("ensemble", "ensemble_weights", "neighbour_weight")})
    return found


def _content(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def members(model):
    """The models that are asked where this one is."""
    return getattr(model, "members", [model])
