"""An unpickler for torch's zip files that executes nothing.

A checkpoint is a zip file with one pickle and raw tensor records. The pickle is read by an unpickler that knows a
fixed list of rebuilders: whatever else it names is refused, without being imported. RecBole's Config and scipy's
matrices come out as inert records. Records are read by their real sizes: neither a zip bomb nor a lying header asks for
memory.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from recbole.utils import EvaluatorType, FeatureSource, FeatureType, InputType, KGDataLoaderState, ModelType

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


class Archive:
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


class Array:
    """numpy's ndarray, filled by its pickle state."""

    def __init__(self, *_):
        self.array: Any = None

    def __setstate__(self, state):
        _version, shape, dtype, fortran, raw = state
        flat = np.frombuffer(raw, dtype=dtype.dtype)
        self.array = flat.reshape(shape, order="F" if fortran else "C").copy()


class _Matrix(Array):
    """numpy's matrix, which EASE stores."""

    def __setstate__(self, state):
        super().__setstate__(state)
        self.array = np.asmatrix(self.array)


def _reconstruct(kind, _shape, _code):
    if kind not in (Array, _Matrix):
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
    ("numpy", "ndarray"): Array,
    ("numpy", "matrix"): _Matrix,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "scalar"): _scalar,
}
