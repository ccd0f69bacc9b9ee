"""Files that are written whole or not at all, folders that can be written, and locks between processes."""

import hashlib
import io
import json
import os
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import torch

from recbole_kd.errors import KDError

PARTIAL = ".partial"  # the end of a file's name while it is written
DIGEST = "sha256"  # the entry of a record with the hash of the others
NAME_BYTES, PATH_BYTES = 255, 4095  # what Linux file systems take


def atomic_write(path: Path | str, content: bytes) -> None:
    """Write bytes to a file completely, or leave the file as it was. Its folder is created.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    try:
        with open(partial, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk is found out without its name
            error.filename = str(path)
        raise


def read_json(file: Path | str) -> Any:
    """The content of a JSON file; None where it is missing, damaged, or nested too deeply to be one of ours."""
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_record(file: Path | str, content: Mapping[str, Any]) -> None:
    """Write a dict to a JSON file atomically, with the hash of its content under ``sha256``.

    Raises:
        OSError: the file cannot be written.
    """
    record = {**content, DIGEST: _content_digest(content)}
    atomic_write(file, (json.dumps(record, indent=1) + "\n").encode())


def read_record(file: Path | str) -> dict[str, Any] | None:
    """The dict that ``write_record`` wrote, without its hash. Files of earlier versions have none, and are read too.

    Returns:
        None where the file is missing or damaged, holds something else, or has the hash of another content.
    """
    content = read_json(file)
    if not isinstance(content, dict):
        return None
    try:
        is_damaged = DIGEST in content and content.pop(DIGEST) != _content_digest(content)
    except RecursionError:  # nested too deeply to be one of ours
        return None
    return None if is_damaged else content


def _content_digest(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a dict as JSON has it: keys are strings and sorted, tuples are lists."""
    plain = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def torch_bytes(content: Any, protocol: int = 4) -> bytes:
    """The bytes that ``torch.save`` writes. RecBole's pickle protocol is 4."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


def check_path(what: str, path: Path | str) -> None:
    """Refuse a path that no file can have, or that no text can name.

    Args:
        what: what the path is for, in the message.
        path: the path of a file or folder to write.

    Raises:
        KDError: it holds control characters, is not UTF-8, or is too long for the file system.
    """
    text = os.path.abspath(os.fspath(path)) if "\0" not in os.fspath(path) else os.fspath(path)
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise KDError(f"{what}: the path {os.fspath(path)!r} is not UTF-8: choose another name") from error
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise KDError(f"{what}: the path {os.fspath(path)!r} holds a control character: choose another name")
    longest = max(len(name) for name in content.split(os.sep.encode()))
    if longest + len(PARTIAL) > NAME_BYTES or len(content) + len(PARTIAL) > PATH_BYTES:
        raise KDError(
            f"{what}: the path '{path}' is too long, {len(content)} bytes with a name of {longest}: a file system "
            f"takes names of {NAME_BYTES - len(PARTIAL)} and paths of {PATH_BYTES - len(PARTIAL)}"
        )


def check_writable_folder(what: str, folder: Path | str | None) -> None:
    """Refuse a folder that cannot be written, before any work. Nothing is created.

    Args:
        what: what the folder is for, in the message.
        folder: the folder, which need not exist.

    Raises:
        KDError: no folder is named, or nothing can be written to it.
    """
    if not folder:
        raise KDError(f"{what} names no folder")
    check_path(what, folder)
    path = Path(folder).absolute()
    existing = next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
    if not os.path.isdir(existing):
        raise KDError(f"{what}: nothing can be written to '{folder}': '{existing}' is not a folder")
    try:  # the rest can be created in it
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".recbole_kd."):  # a name that no other run has
            pass
    except OSError as error:
        raise KDError(f"{what}: nothing can be written to '{folder}' ({error.strerror})") from error


def check_output_file(what: str, file: Path | str) -> None:
    """Refuse a file that cannot be written, before any work. Nothing is created.

    Args:
        what: what the file is for, in the message.
        file: the file, which need not exist.

    Raises:
        KDError: it is a folder, or its folder cannot be written.
    """
    check_path(what, file)
    for path in (file, f"{os.fspath(file)}{PARTIAL}"):
        if os.path.isdir(path):
            raise KDError(f"{what}: '{path}' is a folder, not a file")
    check_writable_folder(what, os.path.dirname(os.path.abspath(file)))


@contextmanager
def exclusive_folder(folder: Path | str) -> Iterator[None]:
    """Let one run at a time use a folder, which is created. A killed run leaves no lock behind.

    Raises:
        KDError: another run uses the folder.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(Path(folder) / ".recbole_kd.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise KDError(f"another run uses '{folder}': wait for it, or give this one another checkpoint_dir") from error
    try:
        yield
    finally:
        lock.release()
