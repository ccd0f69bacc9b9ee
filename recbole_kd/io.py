"""Files that are written whole or not at all, folders that can be written, and locks between processes."""

import io
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import filelock
import torch

from recbole_kd.errors import KDError


def atomic_write(path, content):
    """Write bytes to a file, so that it holds all or what it held before; its folder is made. Raises OSError."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
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


def torch_bytes(content, protocol=4):
    """What ``torch.save`` would write; RecBole's pickle protocol is 4."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


def check_writable_folder(what, folder):
    """Refuse, before any work, a folder that cannot be written; ``what`` it is for; none is left. Raises KDError."""
    if not folder:
        raise KDError(f"{what} names no folder")
    path = Path(folder).absolute()
    there = next(place for place in (path, *path.parents) if place.exists())  # below it all can be made
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".recbole_kd."):  # of no other run's name
            pass
    except OSError as error:
        raise KDError(f"{what}: nothing can be written to '{folder}' ({error.strerror})") from error


def check_output_file(what, file):
    """The same for a file to be written."""
    if os.path.isdir(file):
        raise KDError(f"{what}: '{file}' is a folder, not a file")
    check_writable_folder(what, os.path.dirname(os.path.abspath(file)))


@contextmanager
def exclusive_folder(folder):
    """One run at a time in a folder, which is made; a killed run leaves no lock behind."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(Path(folder) / ".recbole_kd.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise KDError(
            f"another run is at work in '{folder}': wait for it, or give this one another checkpoint_dir"
        ) from error
    try:
        yield
    finally:
        lock.release()
