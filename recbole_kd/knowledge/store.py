"""Where knowledge is kept on disk: a folder a teacher and split, named by what decides its content; memory-mapped."""

import hashlib
import os
import shutil
from collections.abc import Mapping

import filelock
import numpy as np
import torch
from scipy.sparse import issparse

from recbole_kd.checkpoint.reader import restore_arrays
from recbole_kd.config.recbole_schema import model_keys

NAMES_FILE = "names.txt"  # which arrays a folder holds


def store_name(content, train_hash):
    """The name of a teacher's folder in the store: of the checkpoint's weights and of the training pairs masked.

    Args:
        content: the checkpoint, as read_checkpoint gives it.
        train_hash: the fingerprint's hash of the training pairs.
    """
    digest = hashlib.sha256(train_hash.encode())
    model = content["config"]["model"]
    settings = {key: content["config"].get(key) for key in model_keys(model)}
    _digest(digest, [model, settings, content["state_dict"], restore_arrays(content.get("other_parameter"))])
    return digest.hexdigest()[:16]


def trajectory_name(states):
    """The name, inside a teacher's folder, of its lists at the first of this many moments of its training."""
    return f"trajectory-{states}"


def given_trajectory_name(earlier):
    """The name of its lists at moments that a user gives, by the weights of these checkpoints."""
    return f"given-{store_name({**earlier[0], 'state_dict': [own['state_dict'] for own in earlier]}, '')}"


def _digest(digest, value):
    if isinstance(value, Mapping):
        value = [part for key in sorted(value) for part in (key, value[key])]
    if isinstance(value, (list, tuple)):
        for part in value:
            _digest(digest, part)
    elif issparse(value):
        value = value.tocsr()
        _digest(digest, [value.data, value.indices, value.indptr])
    elif isinstance(value, (torch.Tensor, np.ndarray)):
        array = value.to_dense().cpu().numpy() if isinstance(value, torch.Tensor) else value
        digest.update(np.ascontiguousarray(array).tobytes())
    else:
        digest.update(repr(value).encode())


def read_arrays(folder, device):
    """The tensors in a folder by name, on ``device``; None where there is none, or not all of it, or it is damaged."""
    try:
        names = (folder / NAMES_FILE).read_text(encoding="utf-8").split()
        # copy-on-write: torch wants writable memory, the file is never touched
        arrays = {name: torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in names}
        return {name: array.to(device) for name, array in arrays.items()} or None
    except (ValueError, EOFError, OSError):
        return None


def write_arrays(folder, arrays):
    """All tensors or none: written beside, then renamed. Of runs that write the same at once, the first one does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder.parent}.lock"):
        if read_arrays(folder, "cpu") is not None:
            return
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for key, array in arrays.items():
            np.save(partial / f"{key}.npy", array.cpu().numpy(), allow_pickle=False)
        (partial / NAMES_FILE).write_text("\n".join(arrays), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        os.replace(partial, folder)
