"""The rebuilders that a checkpoint's pickle may call: a fixed list without side effects. All else stays a record."""

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from recbole.utils import EvaluatorType, FeatureSource, FeatureType, InputType, KGDataLoaderState, ModelType

from recbole_kd.errors import KDError

KINDS = (ModelType, KGDataLoaderState, EvaluatorType, InputType, FeatureType, FeatureSource)
ENUMS = {kind.__name__: kind for kind in KINDS}
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


LARGEST_SIZE = 2**48


class Record:
    """An object of the file that is not rebuilt.

    Attributes:
        kind: the full name of its class.
        args: what it would have been constructed with.
        state: its attributes.
    """

    kind: str = ""
    args: tuple = ()
    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        raise pickle.PicklingError(f"a record of {self.kind} cannot be stored")


class Named(Record):
    """Stands for a name in the file that nothing may be done with."""


def scalar_key(key: Any) -> Any:
    """The key of a dict, or the member of a set, unchanged: text, a number or None.

    Nested keys are refused, because hashing them can take without limit.

    Raises:
        KDError: a key of another type.
    """
    if not isinstance(key, (str, bytes, int, float, type(None))):
        raise KDError(f"it looks something up by a {type(key).__name__}, which no checkpoint does")
    return key


class StorageType:
    """The type of the numbers in a raw record."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class Call:
    """A rebuilder: may be called, but has no state that the file could change."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class Enum:
    """An enum of RecBole's: called with a value or, in pickles of some Python versions, reached through getattr."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def member(self, value: Any) -> Any:
        """The member with this value."""
        if not isinstance(value, (int, str)):
            raise KDError("it asks for a member of an enum by a value that is no number or text")
        return self.kind(value)


def _getattr(owner: Any, name: Any) -> Any:
    if isinstance(owner, Enum) and isinstance(name, str) and name in owner.kind.__members__:
        return owner.kind[name]
    raise KDError("it asks for an attribute, which no checkpoint needs")


def _tensor(
    storage: torch.Tensor,
    offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool = False,
    hooks: Any = None,
    metadata: Any = None,
) -> torch.Tensor:
    if math.prod(_shape(size)) > storage.numel():
        raise KDError("one of its tensors is larger than its record")
    return torch.as_strided(storage, _shape(size), _shape(stride), offset)


def _shape(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, (list, tuple)) or len(sizes) > 32 or not all(type(size) is int for size in sizes):
        raise KDError("one of its sizes is not a short list of integers")
    if not all(0 <= size <= LARGEST_SIZE for size in sizes):
        raise KDError("one of its sizes is negative, or larger than any file")
    return tuple(sizes)


def _sparse(layout: Any, data: Any) -> torch.Tensor:
    indices, values, size = data[:3]
    if not isinstance(indices, torch.Tensor) or not isinstance(values, torch.Tensor):
        raise KDError("it holds a sparse tensor without indices or values")
    return torch.sparse_coo_tensor(indices, values, _shape(size), check_invariants=True)


class DType:
    """numpy's dtype by its name: numbers, text, and objects for scipy's lil matrices."""

    def __init__(self, name: Any, *_: Any) -> None:
        dtype = np.dtype(name) if isinstance(name, str) and name.isalnum() and len(name) < 20 else None
        if dtype is None or dtype.kind not in "biufUSO":
            shown = ascii(name)[:30] if isinstance(name, str) else type(name).__name__
            raise KDError(f"it holds an array of dtype {shown}, which no checkpoint needs")
        self.dtype = dtype

    def fill(self, state: Any) -> None:
        """Set the byte order from the pickle state."""
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class Array:
    """numpy's ndarray, filled from its pickle state."""

    array: Any = None

    def fill(self, state: Any) -> None:
        """Set the content from the pickle state."""
        _version, shape, dtype, fortran, raw = state
        if dtype.dtype.kind == "O":
            if not isinstance(raw, list):
                raise KDError("it holds an array of objects without a list of them")
            flat = np.empty(len(raw), dtype=object)
            for index, value in enumerate(raw):
                flat[index] = value
        else:
            flat = np.frombuffer(raw, dtype=dtype.dtype).copy()
        if math.prod(_shape(shape)) != flat.size:
            raise KDError("one of its arrays is larger than what it holds")
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class Matrix(Array):
    """numpy's matrix, which EASE stores."""

    def fill(self, state: Any) -> None:
        """Set the content from the pickle state."""
        super().fill(state)
        self.array = np.asmatrix(self.array)


def _reconstruct(kind: Any, _shape: Any, _code: Any) -> Array:
    if kind not in (Array, Matrix):
        raise KDError("it rebuilds an array of a kind that no checkpoint needs")
    return kind()


def _scalar(dtype: Any, raw: Any) -> Any:
    return np.frombuffer(raw, dtype=dtype.dtype)[0].item()


def _bytes(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise KDError("it holds bytes in an unknown encoding")
    return text.encode("latin1")


def _device(kind: Any, index: Any = None) -> torch.device:
    if not isinstance(kind, str) or len(kind) > 20 or type(index) not in (int, type(None)):
        raise KDError("it names a device by something that is no text and number")
    return torch.device(kind, index) if index is not None else torch.device(kind)


def _default_dict(kind: Any = None) -> dict:
    return {}


def _set(items: Iterable[Any] = ()) -> set:
    return {scalar_key(item) for item in items}


REBUILDERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Call(lambda: OrderedDict()),
    ("collections", "defaultdict"): Call(_default_dict),
    ("builtins", "set"): Call(_set),
    ("builtins", "getattr"): Call(_getattr),
    ("_codecs", "encode"): Call(_bytes),
    ("torch", "device"): Call(_device),
    ("torch", "Size"): Call(_shape),
    ("torch._utils", "_rebuild_tensor_v2"): Call(_tensor),
    ("torch._utils", "_rebuild_parameter"): Call(lambda data, requires_grad=True, hooks=None: data),
    ("torch._utils", "_rebuild_sparse_tensor"): Call(_sparse),
    ("torch.serialization", "_get_layout"): Call(lambda name: name),
    ("numpy", "dtype"): Call(DType),
    ("numpy", "ndarray"): Array,
    ("numpy", "matrix"): Matrix,
    ("numpy._core.multiarray", "_reconstruct"): Call(_reconstruct),
    ("numpy._core.multiarray", "scalar"): Call(_scalar),
}
