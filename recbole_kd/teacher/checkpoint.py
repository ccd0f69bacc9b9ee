"""Reading a RecBole checkpoint without executing anything in it, and writing files whole or not at all.

A checkpoint is a zip file with one pickle and raw tensor records. The pickle is read by an unpickler that knows a
fixed list of rebuilders: whatever else it names is refused, without being imported. RecBole's Config and scipy's
matrices come out as inert records. Records are read by their real sizes: neither a zip bomb nor a lying header asks for
memory.
"""

import io
import math
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.utils import EvaluatorType, FeatureSource, FeatureType, InputType, KGDataLoaderState, ModelType, get_model

from recbole_kd.config import KDError

ENUMS = {
    kind.__name__: kind for kind in (ModelType, KGDataLoaderState, EvaluatorType, InputType, FeatureType, FeatureSource)
}
DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


class Record:
    """An object of the file that is not rebuilt: its class's name and its state, nothing that runs."""

    kind = ""

    def __init__(self, *args):
        self.args, self.state = args, {}

    def __setstate__(self, state):
        self.state = state

    def __reduce__(self):
        raise pickle.PicklingError(f"a record of {self.kind} cannot be stored")


def read_checkpoint(path, map_location="cpu"):
    """A RecBole checkpoint as a dict; its ``config`` a dict of RecBole's keys.

    Raises:
        KDError: not there, cut short, not a checkpoint, or something in it that a checkpoint has no need of.
    """
    content = _read(path, map_location)
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, Record) or not isinstance(content.get("state_dict"), dict):
        raise KDError(f"'{path}' is not a RecBole checkpoint: it holds no config and weights")
    final = config.state.get("final_config_dict") if isinstance(config.state, dict) else None
    if not isinstance(final, dict) or not isinstance(final.get("model"), str):
        raise KDError(f"'{path}' is not a RecBole checkpoint: its config names no model")
    content["config"] = final
    return content


def load_for_recbole(file, map_location="cpu", **_):
    """In place of ``torch.load`` inside RecBole: the same reading, with a RecBole Config in it."""
    from recbole.config import Config

    content = _read(file, map_location)
    if isinstance(content, dict) and isinstance(content.get("config"), Record):
        config = object.__new__(Config)
        config.__dict__.update(content["config"].state)
        # two classes that the file only names
        config.yaml_loader, config.model_class = config._build_yaml_loader(), get_model(config["model"])
        content["config"] = config
        content["other_parameter"] = settled(content.get("other_parameter"))
    return content


def write_whole(path, content):
    """Write bytes to a file, so that it holds all of them or what it held before. Raises OSError."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def to_bytes(content, protocol=4):
    """What ``torch.save`` would write; RecBole's pickle protocol is 4."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


def _read(path, map_location):
    path = Path(path)
    if not path.is_file():
        raise KDError(f"the checkpoint '{path}' is not there")
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path.stat().st_size, map_location).load()
    except KDError as error:
        raise KDError(f"the checkpoint '{path}' was refused: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in zipfile, pickle, numpy or torch
        raise KDError(
            f"'{path}' is not a checkpoint that torch.save wrote, or it is damaged ({type(error).__name__}: {error})"
        ) from error


class _Archive:
    """One open checkpoint."""

    def __init__(self, archive, size, map_location):
        self.archive, self.map_location, self.storages = archive, map_location, {}
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
        return _Unpickler(io.BytesIO(self.archive.read(f"{self.root}/data.pkl")), self.storage).load()

    def storage(self, identity):
        """A raw record as a flat tensor, no longer than the record really is."""
        kind, storage, key, _location, numel = identity
        if kind != "storage" or not isinstance(storage, _StorageType) or not str(key).isalnum():
            raise KDError("it refers to something outside itself")
        if key not in self.storages:
            content = bytearray(self.archive.read(f"{self.root}/data/{key}"))
            dtype = storage.dtype
            if len(content) != numel * dtype.itemsize:
                raise KDError(f"its record {key} has another length than the header says")
            flat = torch.frombuffer(content, dtype=dtype) if numel else torch.empty(0, dtype=dtype)
            self.storages[key] = flat.to(self.map_location)
        return self.storages[key]


class _Sealed:
    """What the unpickler hands out cannot be changed by the pickle's BUILD instruction."""

    def __setstate__(self, state):
        raise KDError("it tries to change what reads it")


class _StorageType(_Sealed):
    def __init__(self, dtype):
        self.dtype = dtype


class _Call(_Sealed):
    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)


class _Unpickler(pickle.Unpickler):
    """Knows the rebuilders below and nothing else; looks nothing up by import."""

    def __init__(self, stream, storage):
        super().__init__(stream)
        self.storage = storage

    def persistent_load(self, identity):
        return self.storage(identity)

    def find_class(self, module, name):
        if module == "torch" and name in DTYPES:
            return _StorageType(DTYPES[name])
        if module.startswith("recbole.") and name in ENUMS:
            return _Enum(ENUMS[name])
        found = REBUILDERS.get((module.replace("numpy.core", "numpy._core"), name))
        if found is not None:
            return found if isinstance(found, type) else _Call(found)
        if module.partition(".")[0] in ("recbole", "yaml") or module.startswith("scipy.sparse"):
            return type(name, (Record,), {"kind": f"{module}.{name}"})
        raise KDError(f"it asks for {module}.{name}, which no checkpoint needs")


class _Enum(_Sealed):
    """An enum of RecBole's, called with a value or, by some Pythons, reached through getattr."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, value):
        return self.kind(value)


def _getattr(owner, name):
    if isinstance(owner, _Enum) and name in owner.kind.__members__:
        return owner.kind[name]
    raise KDError("it asks for an attribute, which no checkpoint needs")


def _tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    if math.prod(size) > storage.numel():
        raise KDError("one of its tensors is larger than its record")
    return torch.as_strided(storage, tuple(size), tuple(stride), offset).clone()


def _parameter(data, requires_grad=True, hooks=None):
    return data


def _sparse(layout, parts):
    indices, values, size = parts[:3]
    return torch.sparse_coo_tensor(indices, values, tuple(size), check_invariants=True)


class _DType:
    """numpy's dtype, from its name; of plain numbers only."""

    def __init__(self, name, *_):
        dtype = np.dtype(name) if isinstance(name, str) else None
        if dtype is None or dtype.kind not in "biufUS":
            raise KDError(f"it holds an array of dtype {name!r}, which no checkpoint needs")
        self.dtype = dtype

    def __setstate__(self, state):
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """numpy's ndarray, filled by its pickle state."""

    def __init__(self, *_):
        self.array: Any = None

    def __setstate__(self, state):
        _version, shape, dtype, fortran, raw = state
        flat = np.frombuffer(raw, dtype=dtype.dtype)
        self.array = flat.reshape(shape, order="F" if fortran else "C").copy()


class _Matrix(_Array):
    """numpy's matrix, which EASE stores."""

    def __setstate__(self, state):
        super().__setstate__(state)
        self.array = np.asmatrix(self.array)


def _reconstruct(kind, _shape, _code):
    if kind not in (_Array, _Matrix):
        raise KDError("it rebuilds an array of a kind that no checkpoint needs")
    return kind()


def _scalar(dtype, raw):
    return np.frombuffer(raw, dtype=dtype.dtype)[0].item()


def _bytes(text, encoding):
    if encoding != "latin1":
        raise KDError("it holds bytes in an unknown encoding")
    return text.encode("latin1")


REBUILDERS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "getattr"): _getattr,
    ("_codecs", "encode"): _bytes,
    ("torch", "device"): lambda *parts: torch.device(*parts),
    ("torch", "Size"): lambda parts: tuple(parts),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_sparse_tensor"): _sparse,
    ("torch.serialization", "_get_layout"): lambda name: name,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    ("numpy", "matrix"): _Matrix,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


def settled(value):
    """``other_parameter`` as a model wants it: arrays and scipy matrices in place of their records."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return type(value)((key, settled(inner)) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(settled(inner) for inner in value)
    if isinstance(value, Record) and value.kind.startswith("scipy.sparse"):
        return _matrix(value)
    return value


def _matrix(record):
    import scipy.sparse as sparse

    state, name = settled(record.state), record.kind.rpartition(".")[2]
    shape = state.get("_shape")
    if name in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        return getattr(sparse, name)((state["data"], state["indices"], state["indptr"]), shape=shape)
    if name in ("coo_matrix", "coo_array"):
        at = state["coords"] if "coords" in state else (state["row"], state["col"])
        return getattr(sparse, name)((state["data"], at), shape=shape)
    raise KDError(f"it holds a {record.kind}, which no RecBole model stores")
