"""Lines and headers of atomic files that RecBole's reader fails over, or reads as something else."""

import pytest

from recbole_kd.config.configurator import plain_config
from recbole_kd.data import built_dataset
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config

ROWS = [(f"u{user}", f"i{(user * 7 + n * n) % 23}", n) for user in range(20) for n in range(8)]
HEAD = "user_id:token\titem_id:token\ttimestamp:float"


@pytest.fixture
def split(workdir):
    """A function that writes a dataset in some encoding and splits it."""

    def write(rows=ROWS, head=HEAD, written="utf-8", **keys):
        (workdir / "d").mkdir(exist_ok=True)
        lines = [head, *("\t".join(map(str, row)) for row in rows)]
        (workdir / "d" / "d.inter").write_bytes(("\n".join(lines) + "\n").encode(written))
        keys = {"data_path": str(workdir), **keys}
        return prepare_split(plain_config(make_config("RRD", "d", config_dict=keys)))

    return write


def test_a_byte_order_mark_is_no_part_of_a_name(split):
    plain, marked = split(), split(written="utf-8-sig")
    assert marked.dataset.field2type == plain.dataset.field2type
    assert "user_id" in marked.dataset.field2type
    assert marked.fingerprint == plain.fingerprint
    assert "encoding" not in marked.dataset.config.final_config_dict


@pytest.mark.parametrize(("encoding", "key"), [("latin-1", "latin-1"), ("utf-16", "utf-16"), ("utf-8", "utf-8-sig")])
def test_files_of_another_encoding_are_read_where_it_is_named(split, encoding, key):
    rows = [("ü", *row[1:]) if row[0] == "u3" else row for row in ROWS]
    assert "ü" in split(rows, written=encoding, encoding=key).tokens[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rows": [("ü", "i1", 1), *ROWS], "written": "latin-1"}, ["not text in utf-8", "encoding=latin-1"]),
        ({"written": "utf-16"}, ["d.inter", "UTF-16", "encoding=utf-16"]),
        ({"head": HEAD.replace("user_id:token", "user_id:float")}, ["d.inter", "user_id:float", "user_id:token"]),
        ({"head": HEAD.replace("item_id:token", "item_id:token_seq")}, ["item_id:token_seq", "item_id:token"]),
        (
            {"head": HEAD.replace("float", "token"), "eval_args": {"order": "TO"}},
            ["timestamp:token", "timestamp:float"],
        ),
        ({"rows": [*ROWS[:5], ('"u1', "i1", 1), *ROWS[5:]]}, ["line 7 of", "d.inter", "quote"]),
        ({"rows": [*ROWS[:5], ("u1", '"i1', 1), *ROWS[5:]]}, ["line 7 of", "quote"]),
        ({"rows": [*ROWS[:5], ('"u"1', "i1", 1), *ROWS[5:]]}, ["line 7 of", "quote"]),
        ({"rows": [*ROWS[:9], ("", "i1", 1), *ROWS[9:]]}, ["line 11 of", "empty user_id"]),
        ({"rows": [*ROWS[:9], ("u1", "", 1), *ROWS[9:]]}, ["line 11 of", "empty item_id"]),
    ],
)
def test_the_message_names_file_line_and_key(split, given, words):
    with pytest.raises(KDError) as caught:
        split(**given)
    assert all(word in str(caught.value) for word in words), caught.value


def test_closed_quotes_are_read_as_recbole_reads_them(split):
    rows = [(f'"{row[0]}"', *row[1:]) for row in ROWS] + [('a"b', '"x ""y"""', 9)] * 3
    tokens = split(rows).tokens
    assert {"u3", 'a"b'} <= set(tokens[0]) and 'x "y"' in tokens[1]


def test_blank_lines_are_left_out_and_an_empty_time_is_not_read(split):
    assert split([*ROWS[:9], ("u1", "i1", ""), *ROWS[9:]]).dataset.inter_num == len(ROWS) + 1


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate"), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_no_fault_of_the_data(split, monkeypatch, error):
    def fail(config):
        raise error

    monkeypatch.setattr(built_dataset, "create_dataset", fail)
    with pytest.raises(type(error), match="allocate"):
        split()
