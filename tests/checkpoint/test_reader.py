"""Checkpoints: the real ones read like torch.load reads them, the hostile ones end in one sentence and run nothing."""

import contextlib
import copyreg
import faulthandler
import functools
import importlib
import io
import os
import pickle
import random
import signal
import struct
import sys
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.utils import ModelType, get_model

from recbole_kd.checkpoint.reader import load_for_recbole, read_checkpoint, restore_arrays
from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write, torch_bytes
from recbole_kd.quick_start import load_student
from recbole_kd.trainer import training

MODELS = ("BPR", "LightGCN", "NGCF", "SimpleX", "EASE", "ItemKNN", "MultiVAE", "NeuMF")
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a child process and its limits")


# ---- real checkpoints


def write_toy(folder):
    lines = ["user_id:token\titem_id:token\trating:float"]
    lines += [f"u{user}\ti{(user * 7 + step * 3) % 31}\t{1 + step % 5}" for user in range(24) for step in range(10)]
    (folder / "toy").mkdir()
    (folder / "toy" / "toy.inter").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A function from a model's name and keys to its config on a tiny dataset; in a new working directory."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_toy(folder)
    base = {"data_path": str(folder), "epochs": 1, "show_progress": False, "state": "ERROR", "embedding_size": 8}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["pytest"])  # RecBole's Config takes whatever stands there for keys
        yield lambda model, **keys: Config(model, "toy", config_dict={**base, **keys})


@pytest.fixture(scope="module", params=MODELS)
def trained(request, make, tmp_path_factory):
    file = tmp_path_factory.mktemp(request.param) / "real.pth"
    training.train(make(request.param), file)
    return file


def same(one, other):
    """Equal in type and content, to the bit, whatever it is."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if sparse.issparse(one):
        return type(one) is type(other) and one.dtype == other.dtype and same(one.toarray(), other.toarray())
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_a_real_checkpoint_reads_as_torch_load_reads_it(trained):
    ours, expected = read_checkpoint(trained), torch.load(trained, weights_only=False)
    assert set(ours) == set(expected) >= {"state_dict", "optimizer", "other_parameter", "fingerprint"}
    assert same(ours["config"], expected.pop("config").final_config_dict)
    ours["other_parameter"] = restore_arrays(ours["other_parameter"])
    assert [name for name in expected if not same(expected[name], ours[name])] == []


def test_recbole_gets_its_config_class(trained):
    ours, expected = load_for_recbole(trained)["config"], torch.load(trained, weights_only=False)["config"]
    assert type(ours) is Config
    assert set(vars(ours)) == set(vars(expected))
    assert same(ours.final_config_dict, expected.final_config_dict)
    assert ours.model_class is get_model(ours["model"]) is expected.model_class


def test_arrays_written_under_an_older_numpy_are_read(forge):
    array = np.arange(6.0).reshape(2, 3)
    plain = pickle.dumps({"array": array, "turned": np.asfortranarray(array), "number": array[1, 2]}, protocol=2)
    old = plain.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old.count(b"numpy.core.multiarray") >= 1
    result = restore_arrays(load_for_recbole(forge(old)))
    assert same(result, {"array": array, "turned": array, "number": 5.0})


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "lil_matrix"])
def test_sparse_matrices_are_read(forge, kind):
    matrix = getattr(sparse, kind)(np.array([[0, 1.5, 0], [2, 0, 0]]))
    assert same(restore_arrays(load_for_recbole(forge(pickle.dumps([matrix], protocol=4)))), [matrix])


def test_tensors_of_all_kinds_and_shapes_are_read(tmp_path):
    base = torch.arange(24, dtype=torch.float32)
    content = {str(kind): base.to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int8)}
    content |= {"turned": base.view(4, 6).t(), "part": base[5:9], "none": base[:0], "number": torch.tensor(7)}
    content |= {"flag": torch.tensor([True, False]), "sparse": torch.eye(3).to_sparse()}
    torch.save(content, tmp_path / "x.pth")
    result = load_for_recbole(tmp_path / "x.pth")
    assert result.pop("sparse").to_dense().equal(content.pop("sparse").to_dense())
    assert same(result, content)


# ---- forged ones


def refused(path, reader=read_checkpoint):
    """The sentence with which a file is refused: one line that a terminal can show."""
    with pytest.raises(KDError) as caught:
        reader(path)
    sentence = str(caught.value)
    assert sentence.isprintable() and len(sentence) < 400 + len(str(path))
    assert str(path) in sentence or reader is read_and_restore
    return sentence


def zipped(path, pickled, records=(), compression=zipfile.ZIP_STORED, **more):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in dict(records).items():
            archive.writestr(f"archive/data/{key}", content)
        for name, content in more.items():
            archive.writestr(f"archive/{name}", content)
    return path


@pytest.fixture
def forge(tmp_path, monkeypatch):
    """Pickled bytes as the data.pkl of an otherwise good checkpoint file; a canary would be born in the folder."""
    monkeypatch.chdir(tmp_path)
    return lambda pickled, records=(), **more: zipped(tmp_path / "forged.pth", pickled, records, **more)


@pytest.fixture
def canary(tmp_path):
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists()


def a_config(**keys):
    config = object.__new__(Config)
    config.final_config_dict = {"model": "BPR", "dataset": "toy", "seed": 2020, **keys}
    return config


def content_with(protocol=2, **entries):
    return pickle.dumps({"config": a_config(), "state_dict": {}, **entries}, protocol=protocol)


def within(instructions):
    """Pickle instructions that leave one thing on the stack, as one more entry of an otherwise good checkpoint."""
    return content_with()[:-1] + b"(" + text("x") + instructions + b"u."


def test_what_is_forged_here_is_read_where_nothing_is_wrong(forge):
    assert read_checkpoint(forge(within(b"K\x07")))["x"] == 7
    assert read_checkpoint(forge(within(Tensor((2,), (1,), offset=1, numel=4).instructions), FOUR))["x"].tolist() == [
        0,
        0,
    ]
    assert load_for_recbole(forge(content_with(4)))["config"]["seed"] == 2020


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.called = function, args

    def __reduce__(self):
        return self.called

    __call__ = None  # pickle wants to see something callable where a call gives the function


SHELL = "echo > canary"
CODE = "open('canary', 'w').close()"
SPELLS = {
    "os.system": Call(os.system, SHELL),
    "eval": Call(eval, CODE),
    "exec": Call(exec, CODE),
    "getattr": Call(Call(getattr, Call(importlib.import_module, "os"), "system"), SHELL),
    "importlib": Call(importlib.import_module, "evil"),
    "torch.load": Call(functools.partial(torch.load, weights_only=False), "evil.bin"),
    "Config": Call(Config, "BPR", "toy", None, {"seed": f"exec({CODE!r})"}),
}


@pytest.fixture
def evil(forge, tmp_path, monkeypatch):
    """A module and a pickle that bear the canary when they are loaded."""
    (tmp_path / "evil.py").write_text(CODE)
    torch.save(Call(os.system, SHELL), tmp_path / "evil.bin")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["pytest"])
    yield forge
    sys.modules.pop("evil", None)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("spell", SPELLS)
def test_a_payload_is_refused_and_not_run(evil, canary, spell, protocol):
    reason = "" if spell == "Config" else "no checkpoint needs"  # a Config's record has no state then
    assert reason in refused(evil(pickle.dumps({"config": SPELLS[spell], "state_dict": {}}, protocol=protocol)))
    assert reason in refused(evil(pickle.dumps(SPELLS[spell], protocol=protocol)))


@pytest.mark.parametrize("spell", SPELLS)
def test_the_payloads_are_live(evil, tmp_path, spell):
    with contextlib.suppress(Exception):  # some fail afterwards
        pickle.loads(pickle.dumps(SPELLS[spell], protocol=2))
    assert (tmp_path / "canary").exists()


def text(string):
    return b"X" + struct.pack("<I", len(string)) + string.encode()


def named(module, name):
    return f"c{module}\n{name}\n".encode()


LINE = f"S'{SHELL}'\n".encode()
SHELL_CALL = named("posix", "system") + text(SHELL)
OPCODES = {
    "INST": b"(" + LINE + b"iposix\nsystem\n",
    "OBJ": b"(" + named("posix", "system") + text(SHELL) + b"o",
    "REDUCE": SHELL_CALL + b"\x85R",
    "STACK_GLOBAL": text("posix") + text("system") + b"\x93" + text(SHELL) + b"\x85R",
    "nested name": b"\x80\x04" + text("posixpath") + text("os.system") + b"\x93" + text(SHELL) + b"\x85R",
    "EXT1": b"\x82\xc8" + text(SHELL) + b"\x85R",
    "NEWOBJ": named("test_checkpoint", "Born") + b")\x81",
    "NEWOBJ_EX": named("test_checkpoint", "Born") + b")}\x92",
}


class Born:
    """Bears the canary as soon as it is made."""

    def __new__(cls):
        Path("canary").touch()
        return super().__new__(cls)


@pytest.fixture
def extension():
    # a name that a pickle may call by a number
    copyreg.add_extension("posix", "system", 200)
    yield
    copyreg.remove_extension("posix", "system", 200)


@posix
@pytest.mark.parametrize("opcode", OPCODES)
def test_every_instruction_that_calls_is_refused(forge, canary, extension, monkeypatch, opcode):
    monkeypatch.setitem(sys.modules, "test_checkpoint", sys.modules[__name__])
    pickle.loads(OPCODES[opcode] + b".")
    assert canary.exists(), "the payload itself is dead"
    canary.unlink()
    refused(forge(within(OPCODES[opcode])))


BUILD = b"}" + text("evil") + b"K\x63sb"  # sets evil = 99 on what lies on the stack
SLOTS = b"N}" + text("evil") + b"K\x63s\x86b"  # the same by setattr
BUILT = {
    "a function": named("torch._utils", "_rebuild_tensor_v2"),
    "a class": named("collections", "OrderedDict"),
    "a class of ours": named("numpy", "ndarray"),
    "a record's class": named("recbole.config.configurator", "Config"),
    "a storage type": named("torch", "FloatStorage"),
    "an enum": named("recbole.utils.enum_type", "ModelType"),
    "a member of an enum": named("recbole.utils.enum_type", "ModelType") + b"K\x01\x85R",
    "a device": named("torch", "device") + text("cpu") + b"\x85R",
}


@pytest.fixture
def enum_members():
    before = dict(vars(ModelType.GENERAL))
    yield
    vars(ModelType.GENERAL).clear()
    vars(ModelType.GENERAL).update(before)


@pytest.mark.parametrize("how", [BUILD, SLOTS], ids=["state", "slots"])
@pytest.mark.parametrize("what", BUILT)
def test_nothing_that_outlives_the_reading_can_be_changed(forge, enum_members, what, how):
    assert read_checkpoint(forge(within(BUILT[what])))
    refused(forge(within(BUILT[what] + how)))
    assert not hasattr(ModelType.GENERAL, "evil")


def test_a_tensor_cannot_be_made_larger_afterwards(forge):
    # Tensor.__setstate__ takes (tensor, offset, size, stride) and resizes its memory to fit
    small = Tensor((1,), (1,), numel=4)
    larger = Rebuilt(*small.__reduce__(), (small, 0, (10**6,), (1,)))
    refused(forge(within(instructions(larger)), FOUR))


MATRICES = {
    "csr": sparse.csr_matrix(np.eye(3)),
    "csc": sparse.csc_matrix(np.eye(3)),
    "coo": sparse.coo_matrix(np.eye(3)),
    "lil": sparse.lil_matrix(np.eye(3)),
}


@pytest.mark.parametrize("outside", [10**6, -(10**6)])
@pytest.mark.parametrize("kind", MATRICES)
def test_a_matrix_that_points_outside_itself_is_refused(forge, kind, outside):
    # scipy's compiled code would write there
    matrix = MATRICES[kind].copy()
    if kind == "lil":
        matrix.rows[1] = [outside]
    else:
        (matrix.col if kind == "coo" else matrix.indices)[1] = outside
    refused(forge(content_with(4, other_parameter={"matrix": matrix})), load_for_recbole)


# ---- lying sizes


class Storage:
    """What a tensor's pickle refers to by a persistent id."""

    def __init__(self, numel, key="0", kind="FloatStorage"):
        self.identity = ("storage", getattr(torch, kind), key, "cpu", numel)


class Pickler(pickle.Pickler):
    def persistent_id(self, thing):
        return thing.identity if isinstance(thing, Storage) else None


def instructions(value):
    """What pickles a value, without the first and the last instruction."""
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()[2:-1]


FOUR = {"0": bytes(16)}  # a record of four numbers


class Tensor:
    """Pickles as a tensor over the record 0, whatever is claimed of it."""

    def __init__(self, size, stride, offset=0, numel=1, **storage):
        self.arguments = Storage(numel, **storage), offset, size, stride, False, OrderedDict()

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments

    @property
    def instructions(self):
        return instructions(self)


BOMBS = {
    "expanded": Tensor((10**6,), (0,), numel=4),
    "expanded twice": Tensor((2, 3), (0, 1), numel=4),
    "too long": Tensor((5,), (1,), numel=4),
    "beyond the end": Tensor((2,), (1,), offset=3, numel=4),
    "before the start": Tensor((2,), (1,), offset=-1, numel=4),
    "strided beyond": Tensor((2,), (4,), numel=4),
    "strided backwards": Tensor((2,), (-1,), offset=1, numel=4),
    "negative sizes": Tensor((-2, -2), (1, 1), numel=4),
    "overflow": Tensor((2**32, 2**32), (1, 1), numel=4),
    "a size that is text": Tensor((2**45, "x"), (1, 1), numel=4),  # a product of the two would be a long text
    "record shorter than declared": Tensor((10**9,), (1,), numel=10**9),
    "record longer than declared": Tensor((1,), (1,), numel=1),
    "other width": Tensor((4,), (1,), numel=4, kind="DoubleStorage"),
    "other record": Tensor((4,), (1,), numel=4, key="1"),
    "record outside": Tensor((4,), (1,), numel=4, key="../data.pkl"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_tensor_stays_within_its_record(forge, bomb):
    refused(forge(within(BOMBS[bomb].instructions), FOUR))


@pytest.mark.parametrize("identity", ["abcde", (), ("storage", 1, "0", "cpu", 1), ("module", 1, 2, 3, 4), ([], [], [])])
def test_an_odd_reference_is_refused(forge, identity):
    storage = Storage(1)
    storage.identity = identity
    refused(forge(within(instructions(storage)), FOUR))


def distinct_bytes(arrays):
    """Memory behind arrays or tensors, what they share counted once."""
    if isinstance(arrays[0], torch.Tensor):
        return sum({part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in arrays}.values())
    return sum({part.__array_interface__["data"][0]: part.nbytes for part in arrays}.values())


@pytest.mark.parametrize("kind", ["tensors", "arrays"])
def test_naming_one_record_often_takes_no_more_memory_than_the_file(forge, kind):
    count = 50
    if kind == "tensors":
        size = 10**5
        shared = [Tensor((size,), (1,), numel=size) for _ in range(count)]
        path = forge(within(instructions(shared)), {"0": bytes(4 * size)})
    else:
        arguments = np.zeros(10**5).__reduce__()
        path = forge(content_with(4, x=[Rebuilt(*arguments) for _ in range(count)]))
    try:
        result = restore_arrays(read_checkpoint(path)["x"])
    except KDError:
        return
    assert len(result) == count
    assert distinct_bytes(result) <= 4 * path.stat().st_size


class Rebuilt:
    """Pickles as a call followed by a state."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return self.arguments


@pytest.mark.parametrize(
    "claim",
    [
        b"Np1000000000000000\n",  # a memo of that many places
        b"\x96" + struct.pack("<Q", 2**50),  # a bytearray
        b"\x8e" + struct.pack("<Q", 2**50),  # bytes
        b"\x8d" + struct.pack("<Q", 2**50),  # text
        b"\x8b" + struct.pack("<i", 2**30),  # a number
    ],
    ids=["memo", "bytearray", "bytes", "text", "number"],
)
def test_an_instruction_that_claims_a_size_is_not_believed(forge, claim):
    refused(forge(within(claim)))


def pack(archive, name, **lies):
    """Rewrite an entry's line in the directory of a zip file."""
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02")
    while content[at + 46 : at + 46 + len(name)] != name.encode():
        at = content.index(b"PK\x01\x02", at + 4)
    for field, offset in (("packed", 20), ("size", 24)):
        if field in lies:
            content[at + offset : at + offset + 4] = struct.pack("<I", lies[field])
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize("lies", [{"size": 2**31}, {"packed": 2**31, "size": 2**31}, {"packed": 3, "size": 10**6}])
@pytest.mark.parametrize("name", ["archive/data/0", "archive/data.pkl"])
def test_an_entry_that_claims_more_than_it_holds_is_refused(forge, name, lies):
    path = forge(within(Tensor((4,), (1,), numel=4).instructions), FOUR)
    assert read_checkpoint(path)
    refused(pack(path, name, **lies))


def test_compressed_entries_are_refused(forge):
    large = within(Tensor((10**6,), (1,), numel=10**6).instructions)
    path = forge(large, {"0": bytes(4 * 10**6)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    assert "its records are compressed" in refused(path)


def nested(depth, shared):
    """A list in a list in a list …, each holding the one below once, or twice."""
    inner = [1]
    for _ in range(depth):
        inner = [inner, inner] if shared else [inner]
    return inner


def in_a_child(action):
    """Run in a process that may crash, hang or eat memory; returns what it raised, or None."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if not child:
        import resource

        signal.alarm(10)  # ends it where it would not end
        used = (
            int(Path("/proc/self/statm").read_text().split()[0]) * 4096 if Path("/proc/self/statm").exists() else 2**34
        )
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, resource.RLIM_INFINITY))
        faulthandler.disable()  # a crash is this test's to report
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = 0
        try:
            action()
        except BaseException as error:
            os.write(outlet, f"{type(error).__name__}: {error}"[:2000].encode())
            code = 1
        os._exit(code)
    os.close(outlet)
    with open(inlet, "rb") as stream:
        message = stream.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"died of signal {os.WTERMSIG(status)}"
    return message if os.WEXITSTATUS(status) else None


def read_and_restore(path):
    content = read_checkpoint(path)
    str(content["config"]), restore_arrays(content.get("other_parameter"))
    return load_for_recbole(path)


DEEP = b"\x85" * 300_000  # a tuple in a tuple in a tuple …; hashing it overflows the stack
NESTS = {
    "lists": b"]" * 100_000 + b"a" * 99_999,
    "dicts": b"}K\x01" * 100_000 + b"}" + b"s" * 100_000,
    "tuples": b")" + DEEP,
    "a tuple as a key": b"})" + DEEP + b"K\x01s",
    "a tuple as one of many keys": b"}()" + DEEP + b"K\x01u",
    "a tuple in a set": b"\x8f()" + DEEP + b"\x90",
    "a tuple in a frozen set": b"()" + DEEP + b"\x91",
    "a tuple in a called set": named("builtins", "set") + b"])" + DEEP + b"a\x85R",
    "a tuple as a key of an ordered dict": named("collections", "OrderedDict") + b"]]()" + DEEP + b"K\x01ea\x85R",
    "a tuple as a value of an enum": named("recbole.utils.enum_type", "ModelType") + b")" + DEEP + b"\x85R",
    "a tuple as the name of a record": named("torch", "FloatStorage")
    + b"0("
    + text("storage")
    + named("torch", "FloatStorage")
    + b")"
    + DEEP
    + text("cpu")
    + b"K\x01tQ",
}


@posix
@pytest.mark.parametrize("nest", NESTS)
def test_deep_nesting_does_not_crash_the_reader(forge, nest):
    place = text("other_parameter") if nest in ("lists", "dicts", "tuples") else text("x")
    path = forge(content_with()[:-1] + b"(" + place + NESTS[nest] + b"u.")
    assert in_a_child(lambda: refused(path, read_and_restore)) is None


@posix
@pytest.mark.parametrize("place", ["other_parameter", "state_dict", "config"])
def test_lists_that_share_lists_do_not_hang_the_reader(forge, place):
    laughs = nested(40, shared=True)
    content = {"config": a_config(**({"note": laughs} if place == "config" else {})), "state_dict": {}}
    if place != "config":
        content[place] = {"note": laughs}
    path = forge(pickle.dumps(content, protocol=2))
    assert in_a_child(lambda: refused(path, read_and_restore)) is None


LAUGHS = nested(40, shared=True)
ASKED = {
    "an enum": lambda: Call(ModelType, LAUGHS),
    "a dtype": lambda: Call(np.dtype, LAUGHS),
    "a device": lambda: Call(torch.device, LAUGHS),
    "a sparse tensor": lambda: Call(
        torch._utils._rebuild_sparse_tensor, Call(torch.serialization._get_layout, "x"), (LAUGHS, [1.0], (2,))
    ),
    "an attribute": lambda: Call(getattr, ModelType, LAUGHS),
}


@posix
@pytest.mark.parametrize("what", ASKED)
def test_nothing_is_made_of_lists_that_share_lists(forge, what):
    path = forge(within(instructions(ASKED[what]())))
    assert in_a_child(lambda: refused(path)) is None


def test_matrices_that_hold_matrices_do_not_hang_the_reader(forge):
    def nest(depth):
        matrix = sparse.csr_matrix(np.eye(2))
        for _ in range(depth):
            matrix, inner = sparse.csr_matrix(np.eye(2)), matrix
            matrix.first = matrix.second = matrix.data = inner
        return matrix

    with pytest.raises(KDError, match="damaged matrix"):
        restore_arrays(load_for_recbole(forge(pickle.dumps([nest(40)], protocol=4))))


def test_a_size_made_of_a_tensor_is_refused(forge):
    # a few bytes for each time that a large tensor would become a tuple
    refused(forge(within(instructions(Rebuilt(torch.Size, (Tensor((4,), (1,), numel=4),)))), FOUR))


def test_a_list_that_holds_itself_is_refused(forge):
    ring = []
    ring.append(ring)
    refused(forge(content_with(other_parameter={"ring": ring})), read_and_restore)


def test_a_path_that_is_too_long_is_not_there():
    for path in ("x" * 5000, "/".join(["folder"] * 700)):
        with pytest.raises(KDError, match="is not there"):
            read_checkpoint(path)


def test_a_large_name_does_not_make_a_large_sentence(forge):
    for what in (text("x" * 100_000) + text("y") + b"\x93", named("numpy", "dtype") + text("V" * 100_000) + b"\x85R"):
        refused(forge(within(what)))
    refused(forge(within(instructions(Call(np.dtype, nested(12, shared=True))))))


def test_a_name_cannot_write_to_the_terminal(forge):
    refused(forge(within(text("os\n\x1b[2J") + text("system\r") + b"\x93")))
    refused(forge(within(named("numpy", "dtype") + text("V\n\x1b[2J") + b"\x85R")))


# ---- other files, and damage


def test_a_checkpoint_in_which_the_config_has_no_state_is_refused(forge):
    config = named("recbole.config.configurator", "Config")
    for made in (b")\x81", b")R", b")\x81Nb", b")\x81K\x05b", b")R]b"):
        path = forge(b"\x80\x02}(" + text("config") + config + made + text("state_dict") + b"}u.")
        refused(path)
        refused(path, load_for_recbole)


@pytest.mark.parametrize("model", [None, 5, "", "os", "Foreign", "../BPR", "bpr", ["BPR"]])
def test_a_model_that_recbole_does_not_bring_is_refused(forge, model):
    path = forge(pickle.dumps({"config": a_config(model=model), "state_dict": {}}, protocol=4))
    refused(path, load_student)


@pytest.mark.parametrize(
    "content", [None, 5, [], {}, {"config": None}, {"config": {}, "state_dict": {}}, {"config": a_config()}]
)
def test_what_holds_no_config_and_weights_is_refused(forge, content):
    assert "is not a RecBole checkpoint" in refused(forge(pickle.dumps(content, protocol=4)))


def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "x.pth")
    assert "TorchScript" in refused(tmp_path / "x.pth")


def test_two_records_of_one_name_are_refused(forge):
    path = forge(content_with())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("archive/data.pkl", pickle.dumps(Call(os.system, SHELL)))
    assert "one name" in refused(path)


def test_a_pickle_in_front_of_a_checkpoint_is_refused(forge, canary):
    # torch.load would run it: it looks at the first bytes of a file, the zip reader at the last
    path = forge(content_with())
    assert read_checkpoint(path)
    path.write_bytes(pickle.dumps(Call(os.system, SHELL)) + path.read_bytes())
    refused(path)


def test_a_big_endian_checkpoint_is_refused(forge):
    assert "big-endian" in refused(forge(content_with(), byteorder="big"))


def test_two_pickles_in_one_file_are_refused(forge):
    path = forge(content_with())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", content_with())
    refused(path)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("seed: 2020\n")
    (tmp_path / "pickle").write_bytes(content_with())
    torch.save({"config": a_config(), "state_dict": {}}, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "arrays.npz", a=np.arange(3))
    with tarfile.open(tmp_path / "tar", "w") as archive:
        archive.add(tmp_path / "pickle", "archive/data.pkl")
    with zipfile.ZipFile(tmp_path / "zip", "w"):
        pass
    (tmp_path / "folder").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    (tmp_path / "dangling").symlink_to("nowhere")
    paths = [*tmp_path.iterdir(), tmp_path / "missing", tmp_path / "text" / "below"]
    for path in paths:
        refused(path)
        refused(path, load_for_recbole)
        refused(str(path))


def fixed_checkpoint():
    """A checkpoint of always the same bytes: nothing of the machine in it."""
    embedding = torch.arange(12, dtype=torch.float32).view(4, 3)
    weights = OrderedDict(embedding=embedding, other=torch.arange(3))
    weights._metadata = OrderedDict({"": {"version": 1}})
    content = {
        "config": a_config(kind=ModelType.GENERAL, device=torch.device("cpu")),
        "epoch": 3,
        "state_dict": weights,
    }
    content |= {"other_parameter": {"matrix": sparse.csr_matrix(np.eye(3)), "array": np.arange(5.0)}}
    return torch_bytes({**content, "best_valid_score": np.float64(0.25), "optimizer": {"state": {0: {"step": 1.5}}}})


def fails_otherwise(path):
    """What a damaged file raises beside KDError."""
    try:
        read_and_restore(path)
    except KDError as error:
        return None if str(error).isprintable() else f"unprintable: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_a_file_cut_at_any_length_is_refused(tmp_path):
    content, path = fixed_checkpoint(), tmp_path / "cut.pth"
    path.write_bytes(content)
    assert read_and_restore(path)["epoch"] == 3
    for length in [*range(0, 120), *range(120, len(content) - 120, 37), *range(len(content) - 120, len(content))]:
        path.write_bytes(content[:length])
        refused(path)


@posix
@pytest.mark.parametrize("where", ["the file", "the pickle"])
def test_damaged_bytes_end_in_a_sentence_or_do_not_matter(tmp_path, where):
    untouched, path, draw = fixed_checkpoint(), tmp_path / "damaged.pth", random.Random(7)
    with zipfile.ZipFile(io.BytesIO(untouched)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in entries if name.endswith("data.pkl"))

    def damaged(original):
        content = bytearray(original)
        for _ in range(draw.choice([1, 1, 2, 8])):
            content[draw.randrange(len(content))] = draw.randrange(256)
        return bytes(content)

    def fuzz():
        for _ in range(300):
            if where == "the file":
                path.write_bytes(damaged(untouched))
            else:  # with a right checksum, so that the damage reaches the unpickler
                with zipfile.ZipFile(path, "w") as archive:
                    for entry, content in {**entries, name: damaged(entries[name])}.items():
                        archive.writestr(entry, content)
            assert fails_otherwise(path) is None, fails_otherwise(path)

    assert in_a_child(fuzz) is None


# ---- what is done with a checkpoint that was read


def stored(make, path, model="BPR", **keys):
    """A checkpoint of an untrained model, in whose config the given keys are changed afterwards."""
    config = make(model)
    train = data_preparation(config, create_dataset(config))[0]
    content = {"state_dict": get_model(model)(config, train._dataset).state_dict(), "other_parameter": None}
    config.final_config_dict.update(keys)
    path.write_bytes(torch_bytes({**content, "config": config}))
    return path


def test_a_student_is_loaded(make, forge, tmp_path):
    config, model, *_ = load_student(stored(make, tmp_path / "x.pth"))
    assert type(model) is BPR and config["model"] == "BPR"


@pytest.mark.parametrize("key", ["dataset_save_path", "dataloaders_save_path"])
def test_loading_a_student_unpickles_no_file_that_it_names(make, forge, canary, tmp_path, key):
    (tmp_path / "side.bin").write_bytes(pickle.dumps(Call(os.system, SHELL)))
    path = stored(make, tmp_path / "x.pth", **{key: str(tmp_path / "side.bin")})
    with contextlib.suppress(KDError):
        load_student(path)


@pytest.mark.parametrize("name", ["toy-Dataset.pth", "toy-for-BPR-dataloader.pth"])
def test_loading_a_student_unpickles_no_file_of_a_folder_that_it_names(make, forge, canary, tmp_path, name):
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / name).write_bytes(pickle.dumps(Call(os.system, SHELL)))
    path = stored(make, tmp_path / "x.pth", checkpoint_dir=str(tmp_path / "side"))
    with contextlib.suppress(KDError):
        load_student(path)


@pytest.mark.parametrize("name", ["toy-Dataset.pth", "toy-for-BPR-dataloader.pth"])
def test_loading_a_student_unpickles_nothing_beside_a_dataset_that_is_a_path(make, forge, canary, tmp_path, name):
    # RecBole joins its folder and the dataset's name: an absolute one drops the folder
    (tmp_path / name).write_bytes(pickle.dumps(Call(os.system, SHELL)))
    path = stored(make, tmp_path / "x.pth", dataset=str(tmp_path / "toy"))
    with pytest.raises(KDError, match="which is not the name of a folder"):
        load_student(path)


def test_loading_a_student_unpickles_no_vectors_of_its_items(make, forge, canary, tmp_path):
    # LDiffRec, a model of RecBole's, has numpy load what is next to the data
    path = stored(make, tmp_path / "x.pth", "LDiffRec")
    folder = Path(load_student(path)[0]["data_path"])
    content = torch.load(path, weights_only=False)
    content["config"].final_config_dict["n_cate"] = 2
    path.write_bytes(torch_bytes(content))
    vectors = folder / "item_emb.npy"
    np.save(vectors, np.array([Call(os.system, SHELL)], dtype=object), allow_pickle=True)
    try:
        with pytest.raises(ValueError, match="allow_pickle=False"):
            load_student(path)
    finally:
        vectors.unlink()


def test_loading_a_student_evaluates_nothing_of_its_config(make, forge, canary, tmp_path):
    # KD_DAGFM, a model of RecBole's, evaluates the name of its teacher network
    keys = {"embedding_size": 4, "threshold": {"rating": 3}, "load_col": {"inter": ["user_id", "item_id", "rating"]}}
    path = stored(
        lambda model: make(model, **keys), tmp_path / "x.pth", "KD_DAGFM", teacher=f"exec({CODE!r}) or CrossNet"
    )
    with contextlib.suppress(KDError):
        load_student(path)


def test_an_attribute_of_a_model_is_not_replaced_by_a_checkpoint(make, forge, tmp_path):
    path = stored(make, tmp_path / "x.pth")
    content = torch.load(path, weights_only=False)
    path.write_bytes(torch_bytes({**content, "other_parameter": {"full_sort_predict": 1, "training": 5}}))
    with contextlib.suppress(KDError):
        model = load_student(path)[1]
        assert callable(model.full_sort_predict) and model.training is False


def weights_about(metadata):
    weights = OrderedDict({"user_embedding.weight": torch.zeros(25, 8), "item_embedding.weight": torch.zeros(32, 8)})
    weights._metadata = metadata
    return {"state_dict": weights}


@pytest.mark.parametrize(
    "entry",
    [
        {"state_dict": {1: 2}},
        {"state_dict": {"user_embedding.weight": "x"}},
        {"other_parameter": [1]},
        weights_about(5),
        weights_about({"": 5}),
    ],
)
def test_weights_that_are_none_are_refused(make, forge, tmp_path, entry):
    path = stored(make, tmp_path / "x.pth")
    path.write_bytes(torch_bytes({**torch.load(path, weights_only=False), **entry}))
    with pytest.raises(KDError):
        load_student(path)


# ---- writing


def test_a_file_is_replaced_at_once(tmp_path):
    atomic_write(tmp_path / "x", b"old")
    (tmp_path / "x.partial").write_bytes(b"left by a killed run")
    atomic_write(tmp_path / "x", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"new"}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, failing, error):
    def fail(*args):
        raise error

    atomic_write(tmp_path / "x", b"old")
    monkeypatch.setattr(os, failing, fail)
    for name in ("x", "new"):
        with pytest.raises(error):
            atomic_write(tmp_path / name, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


@posix
def test_a_full_disk_leaves_the_old_file(tmp_path):
    def write():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        atomic_write(tmp_path / "x", bytes(5000))

    atomic_write(tmp_path / "x", b"old")
    assert in_a_child(write).startswith("OSError")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        atomic_write(tmp_path / "file" / "x", b"new")
