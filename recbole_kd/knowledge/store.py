"""The store of knowledge on disk: one folder for each teacher and split, named by a hash of both."""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from scipy.sparse import issparse

from recbole_kd.checkpoint.reader import restore_arrays
from recbole_kd.config.model_names import model_reference
from recbole_kd.config.recbole_schema import model_keys, other_parameter_names
from recbole_kd.knowledge.array_checks import Forms, fits

LARGEST_DENSE = 2**24  # numbers of a sparse tensor that are written out for its hash
NAMES_FILE = "names.txt"  # which arrays a folder holds
CHECKSUMS_FILE = "checksums.json"  # the CRC-32 of each


def store_name(content: Mapping[str, Any], train_hash: str) -> str:
    """The name of a teacher's folder in the store, from the checkpoint's weights and the masked training pairs.

    Args:
        content: the checkpoint, as read_checkpoint gives it.
        train_hash: the fingerprint's hash of the training pairs.

    Returns:
        Sixteen hex digits.
    """
    digest = hashlib.sha256(train_hash.encode())
    model = content["config"]["model"]
    settings = {key: content["config"].get(key) for key in model_keys(model)}
    _digest(digest, [model, settings, content["state_dict"], restore_arrays(_other_parameter(content))])
    return digest.hexdigest()[:16]


def _other_parameter(content: Mapping[str, Any]) -> Any:
    """The entries of ``other_parameter`` that the model names: it loads no others."""
    entries = content.get("other_parameter")
    if not isinstance(entries, Mapping):
        return entries
    names = other_parameter_names(model_reference(content["config"]))
    return entries if names is None else {key: value for key, value in entries.items() if key in names}


def trajectory_name(states: int) -> str:
    """The name, inside a teacher's folder, of its lists at all but the last of ``states`` moments of its training."""
    return f"trajectory-{states}"


def given_trajectory_name(earlier: Sequence[Mapping[str, Any]]) -> str:
    """As ``trajectory_name``, of moments that the user gives: by the weights of these checkpoints."""
    weights = [content["state_dict"] for content in earlier]
    return f"given-{store_name({**earlier[0], 'state_dict': weights}, '')}"


def _digest(digest: Any, value: Any) -> None:
    """Feed nested lists, mappings and arrays to a hash."""
    if isinstance(value, Mapping):
        value = [entry for key in _sorted(value) for entry in (key, value[key])]
    if isinstance(value, (list, tuple)):
        for entry in value:
            _digest(digest, entry)
    elif issparse(value):
        value = value.tocsr()
        _digest(digest, [value.data, value.indices, value.indptr])
    elif isinstance(value, (torch.Tensor, np.ndarray)):
        array = _numpy_of(value) if isinstance(value, torch.Tensor) else value
        digest.update(np.ascontiguousarray(array).tobytes())
    else:
        digest.update(repr(value).encode())


def _sorted(keys: Iterable[Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:  # names beside numbers
        return sorted(keys, key=repr)


def _numpy_of(tensor: torch.Tensor) -> np.ndarray:
    """The numbers of a tensor as an array, those of bfloat16, which numpy does not know, by their bits."""
    if tensor.is_sparse and tensor.numel() > LARGEST_DENSE:  # a small file may describe a huge one
        tensor = tensor.coalesce()
        return np.concatenate([_numpy_of(part).ravel() for part in (tensor.indices(), tensor.values())])
    tensor = tensor.to_dense().cpu().contiguous()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def read_arrays(folder: Path, device: torch.device | str, forms: Forms | None = None) -> dict[str, torch.Tensor] | None:
    """The tensors in a folder by name, memory-mapped on the CPU.

    Args:
        folder: as ``write_arrays`` wrote it.
        device: where the tensors live.
        forms: what they have to be; None accepts any tensors.

    Returns:
        None if the folder is missing, incomplete or damaged, or holds something else.
    """
    try:
        names = (folder / NAMES_FILE).read_text(encoding="utf-8").split()
        if not names or (forms is not None and sorted(names) != sorted(forms)):
            return None
        # copy-on-write: torch wants writable memory, the file is never touched
        arrays = {name: torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in names}
        if (forms is not None and not fits(arrays, forms)) or not _match_checksums(folder, arrays):
            return None
        return {name: array.to(device) for name, array in arrays.items()}
    except Exception:  # a damaged file can fail anywhere in numpy, json or torch
        return None


def _match_checksums(folder: Path, arrays: Mapping[str, torch.Tensor]) -> bool:
    """Whether arrays have the checksums that they were written with. Arrays of earlier versions have none, and are made
    anew.
    """
    return json.loads((folder / CHECKSUMS_FILE).read_text(encoding="utf-8")) == _checksums(arrays)


def _checksums(arrays: Mapping[str, torch.Tensor]) -> dict[str, int]:
    return {name: zlib.crc32(np.ascontiguousarray(array.cpu().numpy()).data) for name, array in arrays.items()}


def write_arrays(folder: Path, arrays: Mapping[str, torch.Tensor], forms: Forms | None = None) -> None:
    """Write all tensors or none: into a temporary folder, which is then renamed.

    Of several runs that write the same folder, the first one does.

    Args:
        folder: where to write.
        arrays: the tensors by name.
        forms: as of ``read_arrays``.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder.parent}.lock"):
        if read_arrays(folder, "cpu", forms) is not None:
            return
        partial = folder.with_name(folder.name + ".partial")
        _remove(partial)
        partial.mkdir()
        for key, array in arrays.items():
            np.save(partial / f"{key}.npy", array.cpu().numpy(), allow_pickle=False)
        (partial / NAMES_FILE).write_text("\n".join(arrays), encoding="utf-8")
        (partial / CHECKSUMS_FILE).write_text(json.dumps(_checksums(arrays)), encoding="utf-8")
        _remove(folder)  # a damaged one
        os.replace(partial, folder)


def _remove(path: Path) -> None:
    """Remove a folder, or what stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
