"""Reading a RecBole checkpoint without executing anything in it."""

import io
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config

from recbole_kd.checkpoint.rebuilders import Array, Record, StorageType
from recbole_kd.checkpoint.unpickler import Unpickler, check_bounds
from recbole_kd.config.model_names import is_known_model, model_class_of
from recbole_kd.errors import KDError


def read_checkpoint(path, map_location="cpu"):
    """A RecBole checkpoint as a dict; its ``config`` a dict of RecBole's keys.

    Raises:
        KDError: not there, cut short, not a checkpoint, or something in it that a checkpoint has no need of.
    """
    content = _read_file(path, map_location)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("state_dict"), dict)
        or _final_config(content) is None
    ):
        raise KDError(f"'{path}' is not a RecBole checkpoint: it holds no config and weights")
    content["config"] = _final_config(content)
    if not isinstance(content["config"].get("model"), str):
        raise KDError(f"'{path}' is not a RecBole checkpoint: its config names no model")
    return content


def _final_config(content):
    config = content.get("config")
    if not isinstance(config, Record) or not isinstance(config.state, dict):
        return None
    final = config.state.get("final_config_dict")
    return final if isinstance(final, dict) else None


def load_for_recbole(file, map_location="cpu", **_):
    """In place of ``torch.load`` inside RecBole: the same reading, with a RecBole Config in it."""
    content = _read_file(file, map_location)
    if isinstance(content, dict) and isinstance(content.get("config"), Record):
        if _final_config(content) is None:
            raise KDError(f"'{file}' is not a RecBole checkpoint: its config is none")
        config = object.__new__(Config)
        config.__dict__.update(content["config"].state)
        # two classes that the file only names; a model of the user's own cannot be looked up
        config.yaml_loader = Config._build_yaml_loader(config)
        config.model_class = model_class_of(config) if is_known_model(config) else None
        if str(config["device"]).startswith("cuda") and not torch.cuda.is_available():
            config["device"] = torch.device("cpu")  # trained on a GPU, served without one
        content["config"] = config
        try:
            content["other_parameter"] = to_device(config["device"], restore_arrays(content.get("other_parameter")))
        except KDError as error:
            raise KDError(f"the checkpoint '{file}' was refused: {error}") from error
    return content


def to_device(device, other):
    """A model's ``other_parameter`` where the model is: a graph model's propagated tables are tensors."""
    if not isinstance(other, dict):
        return other
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in other.items()}


def _read_file(path, map_location):
    if not str(path):
        raise KDError("a checkpoint is asked for by an empty name: write a file's")
    path = Path(path)
    if not path.is_file():
        raise KDError(f"the checkpoint '{path}' is {'a folder, not a file' if path.is_dir() else 'not there'}")
    try:
        with open(path, "rb") as stream:
            if stream.read(4) != b"PK\x03\x04":  # by which torch tells a zip file from a pickle, which it would run
                raise zipfile.BadZipFile("it does not begin as one")
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path.stat().st_size, map_location).load()
    except KDError as error:
        raise KDError(f"the checkpoint '{path}' was refused: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in zipfile, pickle, numpy or torch
        said = ascii(" ".join(str(error).split()))[1:-1][:150]
        raise KDError(
            f"'{path}' is not a checkpoint that torch.save wrote, or it is damaged ({type(error).__name__}: {said})"
        ) from error


class _Archive:
    """One open checkpoint."""

    def __init__(self, archive, size, map_location):
        self.archive, self.size, self.map_location, self.storages = archive, size, map_location, {}
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

    def load(self):
        pickled = self.archive.read(f"{self.root}/data.pkl")
        content = Unpickler(io.BytesIO(pickled), self.storage, 4 * self.size + 2**20).load()
        check_bounds(content, 16 * len(pickled) + 2**20)
        return content

    def storage(self, identity):
        """A raw record as a flat tensor, no longer than the record really is."""
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


def restore_arrays(value):
    """``other_parameter`` as a model wants it: arrays and scipy matrices in place of their records.

    Modules are left out: their weights are in the state_dict. Raises KDError: a matrix that is none.
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
                value.kind.rpartition(".")[2], {key: _plain_part(part) for key, part in value.state.items()}
            )
        except KDError:
            raise
        except Exception as error:  # scipy's and numpy's own checks
            raise KDError("it holds a damaged matrix") from error
    return value


def _is_module(value):
    return isinstance(value, Record) and not value.kind.startswith("scipy.sparse")


def _plain_part(part):
    """A part of a matrix: numbers alone, and never a matrix again."""
    if isinstance(part, Array):
        return part.array
    return tuple(map(_plain_part, part)) if isinstance(part, tuple) else part


def _restore_matrix(name, state):
    import scipy.sparse as sparse

    shape = state.get("_shape")
    if name in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        made = getattr(sparse, name)((state["data"], state["indices"], state["indptr"]), shape=shape)
        made.check_format(full_check=True)  # an index out of range would write outside the matrix
        return made
    if name in ("coo_matrix", "coo_array"):
        at = state["coords"] if "coords" in state else (state["row"], state["col"])
        return getattr(sparse, name)((state["data"], at), shape=shape)
    if name in ("lil_matrix", "lil_array"):
        rows = np.repeat(np.arange(len(state["rows"])), [len(row) for row in state["rows"]])
        columns, data = (np.array([x for row in state[part] for x in row]) for part in ("rows", "data"))
        found = sparse.coo_matrix((data, (rows, columns.astype(np.int64))), shape=shape)
        return getattr(sparse, name)(found, dtype=state["dtype"].dtype)
    raise KDError(f"it holds a scipy {name}, which no RecBole model stores")
