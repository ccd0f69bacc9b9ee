"""Files of another form than RecBole's: what is wrong with them, before RecBole stumbles over it."""

import pytest

from recbole_kd.config.configurator import plain_config
from recbole_kd.data import split as split_module
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config

ROWS = [(f"u{user}", f"i{(user * 7 + n * n) % 23}", n) for user in range(20) for n in range(8)]
HEAD = "user_id:token\titem_id:token\ttimestamp:float"


@pytest.fixture
def split(workdir):
    """A function that writes a dataset and splits it."""

    def write(head=HEAD, separator="\t", rows=ROWS, end=".inter", **keys):
        (workdir / "d").mkdir(exist_ok=True)
        lines = [*([head] if head else []), *(separator.join(map(str, row)) for row in rows)]
        (workdir / "d" / f"d{end}").write_text("\n".join(lines) + "\n" if lines else "")
        return prepare_split(plain_config(make_config("RRD", "d", config_dict={"data_path": str(workdir), **keys})))

    return write


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"head": HEAD.replace("\t", ","), "separator": ","}, ["first line", "'\\t'", "field_separator"]),
        ({"head": "user_id\titem_id\ttimestamp"}, ["first line", "user_id:token"]),
        ({"head": None}, ["first line", "u0"]),
        ({"rows": []}, ["no interactions"]),
        ({"head": None, "rows": []}, ["no interactions"]),
        (
            {"head": HEAD.replace("user_id", "uid")},
            ["no column 'user_id'", "uid, item_id", "USER_ID_FIELD", "load_col"],
        ),
        (
            {"head": HEAD.replace("item_id", "iid"), "USER_ID_FIELD": "user_id"},
            ["no column 'item_id'", "ITEM_ID_FIELD"],
        ),
        ({"head": HEAD.replace("user_id", "uid"), "USER_ID_FIELD": "uid"}, ["load_col leaves uid out"]),
        (
            {"head": HEAD.rpartition("\t")[0], "rows": [row[:2] for row in ROWS], "eval_args": {"order": "TO"}},
            ["'timestamp'", "no such column", "order: RO"],
        ),
        ({"eval_args": {"order": "TO"}}, ["not read", "load_col"]),
        ({"end": ".one.inter", "head": "a,b", "benchmark_filename": ["one", "two", "three"]}, ["d.one.inter", "'a,b'"]),
    ],
)
def test_the_message_names_the_fault_and_the_remedy(split, given, words):
    with pytest.raises(KDError) as caught:
        split(**given)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"head": f"{HEAD}\n"},
        {"val_interval": {"item_id": [f"i{item}" for item in range(21)]}},
        {"user_inter_num_interval": "[5,INF)"},
        {"user_inter_num_interval": "[0, 3); [5,Infinity)"},
        {"eval_args": {"mode": {"valid": "uni010", "test": "full"}}},
        {"eval_args": {"split": {"LS": "test_only"}}},
        {"load_col": None},
        {"head": HEAD.replace("\t", ","), "separator": ",", "field_separator": ","},
        {"head": HEAD.replace("user_id", "uid"), "USER_ID_FIELD": "uid", "load_col": {"inter": ["uid", "item_id"]}},
        {"eval_args": {"order": "TO"}, "load_col": {"inter": ["user_id", "item_id", "timestamp"]}},
    ],
)
def test_what_recbole_reads_passes(split, given):
    assert len(split(**given).pairs["train"]) > 100


def test_held_out_benchmark_files_may_be_empty_and_need_no_time(split):
    keys = {"benchmark_filename": ["one", "two", "three"], "eval_args": {"order": "TO"}}
    for end, rows in ((".two.inter", []), (".three.inter", ROWS[:40])):
        with pytest.raises(KDError, match="not exist"):  # not all of them are there yet
            split(end=end, rows=rows, **keys)
    result = split(end=".one.inter", rows=ROWS[40:], **keys)
    assert [len(result.pairs[part]) > 0 for part in split_module.PARTS] == [True, False, True]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"head": HEAD.replace("float", "int")}, ["timestamp:int", "write one of token, float"]),
        ({"head": HEAD.replace("timestamp:float", "user_id:token")}, ["names a column twice"]),
        ({"rows": [(*row, 1) for row in ROWS]}, ["4 fields in its second line", "names 3"]),
        (
            {"rows": [*ROWS[:4], ("u1", "i1", "soon"), *ROWS[5:]], "load_col": None},
            ["line 6 of", "timestamp 'soon'", "no number", "timestamp:token"],
        ),
    ],
)
def test_a_line_that_recbole_cannot_read_is_named(split, given, words):
    with pytest.raises(KDError) as caught:
        split(**given)
    assert all(word in str(caught.value) for word in [*words, "d.inter"]), caught.value


def test_a_sequential_model_is_told_the_key_of_the_times(workdir):
    (workdir / "d").mkdir()
    rows = ["user_id:token\titem_id:token\twhen:float", *("\t".join(map(str, row)) for row in ROWS)]
    (workdir / "d" / "d.inter").write_text("\n".join(rows) + "\n")
    keys = {"data_path": str(workdir), "student_model": "GRU4Rec", "teacher_model": "EASE"}
    with pytest.raises(KDError, match=r"set TIME_FIELD to .* \(the file has user_id, item_id, when\)$"):
        prepare_split(plain_config(make_config("RRD", "d", config_dict=keys)))
    keys |= {"TIME_FIELD": "when", "MAX_ITEM_LIST_LENGTH": 4}
    assert len(prepare_split(plain_config(make_config("RRD", "d", config_dict=keys))).pairs["test"]) == 20
