"""The pickle inside a checkpoint, read by a fixed list of instructions and rebuilders: nothing is run or imported.

It is pickle's own reader in Python, not the one in C: that one sets attributes on whatever lies on its stack, believes
every size it is told, and hashes tuples of any depth until the process dies.
"""

import pickle
from collections import OrderedDict
from typing import Any, ClassVar

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

# whose objects come out as records; anything else may be named, but neither called nor made
INERT = ("recbole.", "recbole_gnn.", "yaml.", "scipy.sparse", "torch.nn.modules.", "logging")
INSTRUCTIONS = (  # of protocols 2 to 4, as torch.save writes them
    "PROTO FRAME STOP MARK BININT BININT1 BININT2 LONG1 BINFLOAT NONE NEWTRUE NEWFALSE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_DICT EMPTY_LIST EMPTY_TUPLE EMPTY_SET APPEND "
    "APPENDS SETITEM SETITEMS ADDITEMS TUPLE TUPLE1 TUPLE2 TUPLE3 BINGET LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL "
    "STACK_GLOBAL REDUCE BUILD NEWOBJ BINPERSID"
).split()
DEPTH = 100


class _Dispatch(dict):
    def __missing__(self, code):
        raise KDError(f"it holds the instruction {code:#04x}, which no checkpoint needs")


class Unpickler(pickle._Unpickler):
    """Args: the stream; a function from a persistent id to a flat tensor; how many bytes copies may take in all."""

    dispatch: ClassVar[Any] = _Dispatch()
    stack: list
    pop_mark: Any

    def __init__(self, stream, storage, room):
        super().__init__(stream)
        self.storage, self.room, self.kinds = storage, room, {}

    def persistent_load(self, pid):
        return self.storage(pid)

    def find_class(self, module, name):
        if not module.isprintable() or not name.isprintable() or len(module) + len(name) > 200:
            raise KDError("it asks for something whose name is none")
        if module == "torch" and name in DTYPES:
            return StorageType(DTYPES[name])
        if module.startswith("recbole.") and name in ENUMS:
            return Enum(ENUMS[name])
        found = REBUILDERS.get((module.replace("numpy.core", "numpy._core"), name))
        if found is not None:
            return found
        path = f"{module}.{name}"
        if path not in self.kinds:
            parent = Record if path.startswith(INERT) else Named
            self.kinds[path] = type("Record", (parent,), {"kind": path})
        return self.kinds[path]

    def charge(self, *parts):
        # what is made anew of something that the file holds once
        for part in parts:
            if isinstance(part, (str, bytes)):
                self.room -= len(part)
            elif isinstance(part, (list, tuple, dict, set)):
                self.room -= 64 * len(part)
        if self.room < 0:
            raise KDError("what it would make is larger than the file")

    def load_reduce(self):
        args, function = self.stack.pop(), self.stack.pop()
        if not isinstance(args, tuple):
            raise KDError("it calls something with what are no arguments")
        self.charge(args, *args)
        self.stack.append(self.called(function, args))

    def load_newobj(self):
        args, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(args, tuple) or not isinstance(kind, type):
            raise KDError("it makes an object of what is no class")
        self.stack.append(self.called(kind, args))

    def called(self, function, args):
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

    def load_build(self):
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif isinstance(target, (DType, Array)):
            if isinstance(target, Array):
                self.charge(*state[4:5])
            target.fill(state)
        elif isinstance(target, OrderedDict) and _metadata(state):
            target.__dict__.update(state)
        else:
            raise KDError("it tries to change what reads it")

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise KDError("it fills what is no dict")
        self.stack[-1][scalar_key(key)] = value

    def load_setitems(self):
        items = self.pop_mark()
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise KDError("it fills what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][scalar_key(key)] = value

    def load_additems(self):
        items = self.pop_mark()
        if not isinstance(self.stack[-1], set):
            raise KDError("it fills what is no set")
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


def _metadata(state):
    """Whether it is what torch keeps on a state_dict."""
    versions = state.get("_metadata") if isinstance(state, dict) and len(state) == 1 else None
    return isinstance(versions, dict) and all(isinstance(version, dict) for version in versions.values())


def check_bounds(content, limit):
    """Refuse what is nested without end, or becomes huge when it is written out. Raises KDError."""
    left, seen = [(content, 0)], set()
    while left:
        value, depth = left.pop()
        limit -= len(value) + 1 if isinstance(value, str) else 1
        if depth > DEPTH or limit < 0:
            raise KDError("it is nested without end")
        if isinstance(value, Record):  # which may know each other in a circle; nobody writes one out
            if id(value) not in seen:
                seen.add(id(value))
                left += [(value.args, 0), (value.state, 0)]
        elif isinstance(value, dict):
            left += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, (list, tuple, set)):
            left += [(inner, depth + 1) for inner in value]
        elif isinstance(value, Array) and value.array is not None and value.array.dtype.kind == "O":
            left += [(inner, depth + 1) for inner in value.array.flat]
