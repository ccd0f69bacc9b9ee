"""A reader of the pickle inside a checkpoint that runs and imports nothing.

Only a fixed list of instructions and rebuilders is accepted. The base class is pickle's reader in Python, not the one
in C: the latter sets attributes of any object on its stack, trusts every size in the file, and hashes tuples of any
depth until the process dies.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, ClassVar

import torch

from recbole_kd.checkpoint.rebuilders import (
    DTYPES,
    ENUMS,
    REBUILDERS,
    Array,
    Call,
    DType,
    Enum,
    Named,
    Record,
    StorageType,
    scalar_key,
)
from recbole_kd.errors import KDError

# objects of these modules are read as records; anything else may be named, but neither called nor constructed
INERT = ("recbole.", "recbole_gnn.", "yaml.", "scipy.sparse", "torch.nn.modules.", "logging")
INSTRUCTIONS = (  # those of protocols 2 to 4 that torch.save writes
    "PROTO FRAME STOP MARK BININT BININT1 BININT2 LONG1 BINFLOAT NONE NEWTRUE NEWFALSE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_DICT EMPTY_LIST EMPTY_TUPLE EMPTY_SET APPEND "
    "APPENDS SETITEM SETITEMS ADDITEMS TUPLE TUPLE1 TUPLE2 TUPLE3 BINGET LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL "
    "STACK_GLOBAL REDUCE BUILD NEWOBJ BINPERSID"
).split()
DEPTH = 100  # of nested containers


class _Dispatch(dict):
    """The methods by instruction; an instruction without one is refused."""

    def __missing__(self, code: int) -> Any:
        raise KDError(f"it holds the instruction {code:#04x}, which no checkpoint needs")


class Unpickler(pickle._Unpickler):
    """Reads one pickle.

    Args:
        stream: the pickle.
        storage: a function from a persistent id to a flat tensor.
        room: how many bytes all copies together may take.
    """

    dispatch: ClassVar[Any] = _Dispatch()
    stack: list
    pop_mark: Any

    def __init__(self, stream: IO[bytes], storage: Callable[[Any], torch.Tensor], room: int) -> None:
        super().__init__(stream)
        self.storage, self.room = storage, room
        self.record_classes: dict[str, type[Record]] = {}

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """The tensor that a persistent id stands for."""
        return self.storage(pid)

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global name of the file: a rebuilder, or a class of inert records. Nothing is imported.

        Raises:
            KDError: the name is not printable, or too long.
        """
        if not module.isprintable() or not name.isprintable() or len(module) + len(name) > 200:
            raise KDError("it asks for something whose name is not valid")
        if module == "torch" and name in DTYPES:
            return StorageType(DTYPES[name])
        if module.startswith("recbole.") and name in ENUMS:
            return Enum(ENUMS[name])
        rebuilder = REBUILDERS.get((module.replace("numpy.core", "numpy._core"), name))
        if rebuilder is not None:
            return rebuilder
        path = f"{module}.{name}"
        if path not in self.record_classes:
            parent = Record if path.startswith(INERT) else Named
            self.record_classes[path] = type("Record", (parent,), {"kind": path})
        return self.record_classes[path]

    def charge(self, *values: Any) -> None:
        """Count the bytes of copies that are made of values which the file holds once.

        Raises:
            KDError: all copies together are much larger than the file.
        """
        for value in values:
            if isinstance(value, (str, bytes)):
                self.room -= len(value)
            elif isinstance(value, (list, tuple, dict, set)):
                self.room -= 64 * len(value)
        if self.room < 0:
            raise KDError("what it would make is larger than the file")

    def load_reduce(self) -> None:
        """REDUCE: call a rebuilder."""
        args, function = self.stack.pop(), self.stack.pop()
        if not isinstance(args, tuple):
            raise KDError("it calls something with arguments that are not a tuple")
        self.charge(args, *args)
        self.stack.append(self.call(function, args))

    def load_newobj(self) -> None:
        """NEWOBJ: make a record."""
        args, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(args, tuple) or not isinstance(kind, type):
            raise KDError("it makes an object of something that is not a class")
        self.stack.append(self.call(kind, args))

    def call(self, function: Any, args: tuple) -> Any:
        """The result of a rebuilder, or a record; nothing else is called.

        Raises:
            KDError: ``function`` is neither.
        """
        if isinstance(function, type):
            if issubclass(function, Named):
                raise KDError(f"it asks for {function.kind}, which no checkpoint needs")
            if issubclass(function, Record):
                return function(*args)
        if isinstance(function, Enum):
            return function.member(*args)
        if isinstance(function, Call):
            return function.function(*args)
        raise KDError("it calls something that cannot be called")

    def load_build(self) -> None:
        """BUILD: give a record or an array its state."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif isinstance(target, (DType, Array)):
            if isinstance(target, Array):
                self.charge(*state[4:5])
            target.fill(state)
        elif isinstance(target, OrderedDict) and _is_metadata(state):
            target.__dict__.update(state)
        else:
            raise KDError("it tries to change the reader")

    def load_setitem(self) -> None:
        """SETITEM: fill a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise KDError("it fills something that is not a dict")
        self.stack[-1][scalar_key(key)] = value

    def load_setitems(self) -> None:
        """SETITEMS: fill a dict."""
        items = self.pop_mark()
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise KDError("it fills something that is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][scalar_key(key)] = value

    def load_additems(self) -> None:
        """ADDITEMS: fill a set."""
        items = self.pop_mark()
        if not isinstance(self.stack[-1], set):
            raise KDError("it fills something that is not a set")
        self.stack[-1].update(map(scalar_key, items))

    dispatch.update(
        {getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in INSTRUCTIONS}
    )
    dispatch.update(
        {
            pickle.REDUCE[0]: load_reduce,
            pickle.NEWOBJ[0]: load_newobj,
            pickle.BUILD[0]: load_build,
            pickle.SETITEM[0]: load_setitem,
            pickle.SETITEMS[0]: load_setitems,
            pickle.ADDITEMS[0]: load_additems,
        }
    )


def _is_metadata(state: Any) -> bool:
    """Whether a state is the ``_metadata`` attribute that torch gives a state_dict."""
    versions = state.get("_metadata") if isinstance(state, dict) and len(state) == 1 else None
    return isinstance(versions, dict) and all(isinstance(version, dict) for version in versions.values())


def check_bounds(content: Any, limit: int) -> None:
    """Refuse content that is nested too deeply, or that becomes huge when it is written out.

    Args:
        content: what was read.
        limit: how many values and characters it may have when every reference is followed.

    Raises:
        KDError: it exceeds the limits.
    """
    pending: list[tuple[Any, int]] = [(content, 0)]
    seen: set[int] = set()
    while pending:
        value, depth = pending.pop()
        limit -= len(value) + 1 if isinstance(value, str) else 1
        if depth > DEPTH or limit < 0:
            raise KDError("it is nested too deeply, or too large")
        if isinstance(value, Record):  # records may refer to each other in a circle, and are never written out
            if id(value) not in seen:
                seen.add(id(value))
                pending += [(value.args, 0), (value.state, 0)]
        elif isinstance(value, dict):
            pending += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, (list, tuple, set)):
            pending += [(inner, depth + 1) for inner in value]
        elif isinstance(value, Array) and value.array is not None and value.array.dtype.kind == "O":
            pending += [(inner, depth + 1) for inner in value.array.flat]
