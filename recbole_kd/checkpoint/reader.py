"""Reading a RecBole checkpoint without executing anything in it."""

import io
import os
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from scipy import sparse

from recbole_kd.checkpoint.rebuilders import Array, Record, StorageType
from recbole_kd.checkpoint.unpickler import Unpickler, check_bounds
from recbole_kd.config.model_names import is_known_model, model_class_of
from recbole_kd.errors import KDError


def read_checkpoint(path: Path | str, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a RecBole checkpoint without executing anything in it.

    Args:
        path: the file.
        map_location: the device of its tensors.

    Returns:
        The checkpoint's entries; ``config`` is a dict of RecBole's keys.

    Raises:
        KDError: the file is missing or damaged, is no RecBole checkpoint, or holds an object that no checkpoint needs.
    """
    content = _read_file(path, map_location)
    config = _final_config(content) if isinstance(content, dict) else None
    if config is None or not isinstance(content.get("state_dict"), dict):
        raise KDError(f"'{path}' is not a RecBole checkpoint: it holds no config and weights")
    if not isinstance(config.get("model"), str):
        raise KDError(f"'{path}' is not a RecBole checkpoint: its config names no model")
    content["config"] = config
    return content


def _final_config(content: dict[str, Any]) -> dict[str, Any] | None:
    """The final values of the keys in a checkpoint's RecBole Config; None if it holds no such object."""
    config = content.get("config")
    if not isinstance(config, Record) or not isinstance(config.state, dict):
        return None
    final = config.state.get("final_config_dict")
    return final if isinstance(final, dict) else None


def load_for_recbole(file: Path | str, map_location: Any = "cpu", **_: Any) -> Any:
    """Replaces ``torch.load`` inside RecBole: reads without executing, and gives ``config`` as a RecBole Config.

    Args:
        file: the checkpoint.
        map_location: the device of its tensors.

    Raises:
        KDError: as ``read_checkpoint``.
    """
    content = _read_file(file, map_location)
    if isinstance(content, dict) and isinstance(content.get("config"), Record):
        if _final_config(content) is None:
            raise KDError(f"'{file}' is not a RecBole checkpoint: its config holds no keys")
        config = _restore_config(content["config"].state)
        content["config"] = config
        try:
            content["other_parameter"] = to_device(config["device"], restore_arrays(content.get("other_parameter")))
        except KDError as error:
            raise KDError(f"the checkpoint '{file}' was refused: {error}") from error
    return content


def _restore_config(state: dict[str, Any]) -> Config:
    """A RecBole Config with the attributes in a checkpoint."""
    config = object.__new__(Config)
    config.__dict__.update(state)
    # two classes that the file only names; a class outside RecBole cannot be looked up by its name
    config.yaml_loader = Config._build_yaml_loader(config)
    config.model_class = model_class_of(config) if is_known_model(config) else None
    if str(config["device"]).startswith("cuda") and not torch.cuda.is_available():
        config["device"] = torch.device("cpu")  # trained on a GPU, served without one
    return config


def to_device(device: torch.device | str, other: Any) -> Any:
    """A model's ``other_parameter`` with its tensors on ``device``: a graph model's propagated tables are tensors."""
    if not isinstance(other, dict):
        return other
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in other.items()}


def _read_file(path: Path | str, map_location: Any) -> Any:
    if not str(path):
        raise KDError("the name of a checkpoint is empty: write the name of a file")
    path = Path(path)
    if not os.path.isfile(path):  # False for a path that is too long, where Path.is_file raises
        raise KDError(f"the checkpoint '{path}' is {'a folder, not a file' if os.path.isdir(path) else 'not there'}")
    try:
        with open(path, "rb") as stream:
            if stream.read(4) != b"PK\x03\x04":  # torch would run any other file as a pickle
                raise zipfile.BadZipFile("it does not begin as a zip file")
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path.stat().st_size, map_location).load()
    except KDError as error:
        raise KDError(f"the checkpoint '{path}' was refused: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in zipfile, pickle, numpy or torch
        message = ascii(" ".join(str(error).split()))[1:-1][:150]
        raise KDError(
            f"'{path}' is not a checkpoint that torch.save wrote, or it is damaged ({type(error).__name__}: {message})"
        ) from error


class _Archive:
    """An open checkpoint, whose records are checked before anything is read.

    Args:
        archive: the zip file.
        size: its length in bytes.
        map_location: the device of its tensors.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int, map_location: Any) -> None:
        self.archive, self.size, self.map_location = archive, size, map_location
        self.storages: dict[str, torch.Tensor] = {}
        infos = archive.infolist()
        names = [info.filename for info in infos]
        if len(set(names)) != len(names):
            raise KDError("two of its records have one name")
        if any(name.endswith(("constants.pkl", ".py")) or "/code/" in name for name in names):
            raise KDError("it is a TorchScript program, not a checkpoint")
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise KDError("its records are compressed, which those of a checkpoint are not")
        if sum(info.file_size for info in infos) > size:
            raise KDError("its records claim to be larger than the file")
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise KDError("it does not hold exactly one data.pkl")
        self.root = pickles[0].partition("/")[0]
        order = f"{self.root}/byteorder"
        if order in names and archive.read(order) != b"little":
            raise KDError("it was written on a big-endian machine")

    def load(self) -> Any:
        """The content of the checkpoint's pickle."""
        pickled = self.archive.read(f"{self.root}/data.pkl")
        content = Unpickler(io.BytesIO(pickled), self.storage, 4 * self.size + 2**20).load()
        check_bounds(content, 16 * len(pickled) + 2**20)
        return content

    def storage(self, identity: Any) -> torch.Tensor:
        """The numbers of one record of the archive, as a flat tensor.

        Args:
            identity: the persistent id that the pickle gives; not trusted.
        """
        kind, storage, key, _location, numel = identity
        if kind != "storage" or not isinstance(storage, StorageType) or not isinstance(key, str) or not key.isalnum():
            raise KDError("it refers to something outside itself")
        if key not in self.storages:
            content = bytearray(self.archive.read(f"{self.root}/data/{key}"))
            dtype = storage.dtype
            if len(content) != numel * dtype.itemsize:
                raise KDError(f"its record {key} has another length than the header says")
            flat = torch.frombuffer(content, dtype=dtype) if numel else torch.empty(0, dtype=dtype)
            self.storages[key] = flat.to(self.map_location)
        return self.storages[key]


def restore_arrays(value: Any) -> Any:
    """A model's ``other_parameter`` with arrays and scipy matrices in place of their records.

    Modules are left out, because their weights are in the state_dict.

    Raises:
        KDError: a matrix is damaged, or of a kind that no RecBole model stores.
    """
    if isinstance(value, Array):
        return value.array
    if isinstance(value, dict):
        inner = {key: restore_arrays(value) for key, value in value.items() if not _is_module(value)}
        return OrderedDict(inner) if isinstance(value, OrderedDict) else inner
    if isinstance(value, (list, tuple)):
        return type(value)(restore_arrays(inner) for inner in value)
    if isinstance(value, Record) and value.kind.startswith("scipy.sparse"):
        try:
            return _restore_matrix(
                value.kind.rpartition(".")[2], {key: _unwrap(field) for key, field in value.state.items()}
            )
        except KDError:
            raise
        except Exception as error:  # scipy's and numpy's own checks
            raise KDError("it holds a damaged matrix") from error
    return value


def _is_module(value: Any) -> bool:
    return isinstance(value, Record) and not value.kind.startswith("scipy.sparse")


def _unwrap(field: Any) -> Any:
    """An attribute of a matrix with arrays in place of their records; a matrix inside a matrix is not restored."""
    if isinstance(field, Array):
        return field.array
    return tuple(map(_unwrap, field)) if isinstance(field, tuple) else field


def _is_side(side: Any, held: int) -> bool:
    return type(side) is int and 0 <= side <= 2**20 + 64 * held


def _restore_matrix(name: str, state: Mapping[str, Any]) -> Any:
    """A scipy matrix from its class's name and its attributes."""
    shape = state.get("_shape")
    # what a matrix takes when it is converted or multiplied goes by its shape
    held = sum(len(value) for value in state.values() if isinstance(value, np.ndarray) and value.ndim)
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(_is_side(side, held) for side in shape):
        raise KDError("it holds a matrix whose shape does not fit what it holds")
    if name in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        matrix = getattr(sparse, name)((state["data"], state["indices"], state["indptr"]), shape=shape)
        matrix.check_format(full_check=True)  # an index out of range would write outside the matrix
        return matrix
    if name in ("coo_matrix", "coo_array"):
        coords = state["coords"] if "coords" in state else (state["row"], state["col"])
        return getattr(sparse, name)((state["data"], coords), shape=shape)
    if name in ("lil_matrix", "lil_array"):
        rows = np.repeat(np.arange(len(state["rows"])), [len(row) for row in state["rows"]])
        columns, data = (np.array([x for row in state[key] for x in row]) for key in ("rows", "data"))
        matrix = sparse.coo_matrix((data, (rows, columns.astype(np.int64))), shape=shape)
        return getattr(sparse, name)(matrix, dtype=state["dtype"].dtype)
    raise KDError(f"it holds a scipy {name}, which no RecBole model stores")
