"""A teacher that is given as files: lists of users or of training rows, vectors, or lists and item vectors."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from recbole_kd.backbone.training_rows import is_sequential, row_names
from recbole_kd.config.configurator import Config
from recbole_kd.config.teacher_specs import TeacherSpec
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.split import Split
from recbole_kd.errors import KDError
from recbole_kd.knowledge.array_checks import ArrayForm, fits
from recbole_kd.knowledge.file_tables import is_of_rows, read_table, replace_tokens
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.loader import store_folder
from recbole_kd.knowledge.row_file import RowLists, build_row_lists
from recbole_kd.knowledge.score_file import with_ids
from recbole_kd.knowledge.store import read_arrays, write_arrays
from recbole_kd.knowledge.vector_file import FileVectors, read_vectors
from recbole_kd.teacher.leakage import check_score_file

MAPPED_BYTES = 64 * 2**20  # lists of rows that take more are stored, and memory-mapped


def teacher_of_files(config: Config, data: Split, spec: TeacherSpec) -> Teacher:
    """Read a teacher's files.

    Args:
        config: the run's Config.
        data: the run's split.
        spec: the teacher.

    Raises:
        KDError: a file cannot be read, does not fit the data, or must not teach here.
    """
    entry = spec.entry
    warnings = [check_score_file(config, file) for file in entry.files]
    name = _name(entry.files, data)
    warning = "; ".join(warnings)
    teacher = Teacher(spec.label, None, None, entry.files[0], name, warning=warning, leak_warnings=tuple(warnings))
    if entry.factors is not None:
        teacher = replace(teacher, vectors=_checked_vectors(spec, data))
    if entry.scores is not None:
        teacher = _with_lists(config, data, teacher, Path(entry.scores))
    return teacher


def _name(files: tuple[str, ...], data: Split) -> str:
    """A hash of the files' contents and the training pairs."""
    contents = [_content_name(Path(file)) for file in files]
    return hashlib.sha256(" ".join([*contents, data.fingerprint.train]).encode()).hexdigest()[:16]


def _content_name(path: Path) -> str:
    if not os.path.isfile(path):
        raise KDError(f"the file '{path}' does not exist")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**24):
            digest.update(block)
    return digest.hexdigest()[:16]


def _checked_vectors(spec: TeacherSpec, data: Split) -> FileVectors:
    assert spec.entry.factors is not None
    vectors = read_vectors(spec.entry.factors, data.tokens)
    if spec.entry.scores is not None and vectors.users is not None:
        raise KDError(
            f"'{spec.entry.factors}' has the vectors of users, which rank items by themselves: leave "
            "scores out, or write a file of item vectors alone"
        )
    return vectors


def _with_lists(config: Config, data: Split, teacher: Teacher, path: Path) -> Teacher:
    """The teacher with the content of its file of scores, of users or of rows."""
    folder = _rows_folder(config, data, teacher)
    stored = _stored_rows(folder, data) if folder is not None else None
    if stored is not None:
        return replace(teacher, row_lists=stored)
    frame = read_table(path)
    if not is_of_rows(frame):
        return replace(teacher, frame=with_ids(frame, data.tokens, path))
    if folder is None:
        raise KDError(
            f"'{path}' has lists for the training rows of a sequential student, and {config['model']} reads users: "
            "leave the column length out, with one list for each user, or take a sequential student"
        )
    return replace(teacher, row_lists=_read_rows(frame, data, path, folder))


def _rows_folder(config: Config, data: Split, teacher: Teacher) -> Path | None:
    """Where large lists of the student's training rows are stored; None for a student of users."""
    if not is_sequential(config):
        return None
    rows = row_names(data.train._dataset)
    return store_folder(config, teacher.name) / f"rows-{sha256_of(rows.users, rows.targets)[:16]}"


def _stored_rows(folder: Path, data: Split) -> RowLists | None:
    """The lists that an earlier run stored; None if there are none, or what is there is something else."""
    arrays = read_arrays(folder, "cpu")
    rows, items = len(data.train._dataset.inter_feat) + 1, data.dataset.item_num
    lists = {name: array for name, array in (arrays or {}).items() if name in ("ids", "scores")}
    if not fits(lists, {"ids": ArrayForm((rows, None), items), "scores": ArrayForm((rows, None))}):
        return None
    return RowLists(**arrays) if arrays is not None and "given" in arrays else None


def _read_rows(frame: pd.DataFrame, data: Split, path: Path, folder: Path) -> RowLists:
    """The lists of the training rows; large ones are written to the folder and memory-mapped."""
    for side, tokens in zip(("user", "item"), data.tokens, strict=True):
        replace_tokens(frame, side, tokens, path)
    lists = build_row_lists(frame, row_names(data.train._dataset), data.tokens[0], path)
    if sum(array.nbytes for array in lists.arrays().values()) <= MAPPED_BYTES:
        return lists
    write_arrays(folder, lists.arrays())
    return RowLists(**(read_arrays(folder, "cpu") or lists.arrays()))
