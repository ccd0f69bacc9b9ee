"""benchmarks/data/prepare.py: public files to atomic files, and the checksums that say whether they are those used."""

import hashlib
import itertools
import random

import pytest

from benchmarks.data import prepare
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config

LIBRARIES = """6 2 4 8 30 31 40
4 1 2 3 5
5 4 9 30 31 50
11 2 4 6 8 10 12 14 16 18 20 22
"""


def test_citeulike_is_numbered_filtered_and_split_in_the_files_order(tmp_path, capsys):
    (tmp_path / "users.dat").write_text(LIBRARIES)
    assert prepare.main([f"--citeulike={tmp_path / 'users.dat'}", f"--output={tmp_path / 'out'}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all("NOT equal" in line for line in lines)
    # kept: users of 6, 5 and 11 items; their items 2 4 6 8 9 10 12 14 16 18 20 22 30 31 40 50 are 0 to 15
    wanted = {
        "train": {0: [0, 1, 3, 12], 1: [1, 4, 12, 13], 2: [0, 1, 2, 3, 5, 6, 7, 8]},
        "valid": {0: [13], 1: [], 2: [9]},
        "test": {0: [14], 1: [15], 2: [10, 11]},
    }
    together = []
    for part, users in wanted.items():
        rows = [f"{user}\t{item}" for user, items in users.items() for item in items]
        text = (tmp_path / f"out/citeulike-fileorder/citeulike-fileorder.{part}.inter").read_text()
        assert text == "\n".join(["user_id:token\titem_id:token", *rows]) + "\n"
        together += rows
    content = (tmp_path / "out/citeulike/citeulike.inter").read_bytes()
    assert content.decode().splitlines() == ["user_id:token\titem_id:token", *together]
    assert hashlib.sha256(content).hexdigest() in lines[0]


@pytest.mark.parametrize("count", range(1, 60))
def test_a_user_is_split_at_eight_and_nine_tenths_with_one_to_train_on(count):
    sizes = [len(part) for part in prepare.file_order_parts([list(range(count))])]
    train = max(1, count * 8 // 10)
    assert sizes == [train, max(0, count * 9 // 10 - train), count - max(train, count * 9 // 10)]


def ratings(draw, users=40, items=50):
    rows = [(user, item, draw.randint(1, 5)) for user in range(1, users + 1) for item in draw.sample(range(items), 20)]
    return [(user, item + 7, rating) for user, item, rating in rows]


def test_ml_1m_is_what_recboles_own_copy_is_under_val_interval(tmp_path, settings):
    rows = ratings(random.Random(0))
    (tmp_path / "ratings.dat").write_text("".join(f"{user}::{item}::{stars}::97830\n" for user, item, stars in rows))
    assert prepare.main([f"--ml-1m={tmp_path / 'ratings.dat'}", f"--output={tmp_path / 'ours'}"]) == 1
    (tmp_path / "original/ml-1m").mkdir(parents=True)
    (tmp_path / "original/ml-1m/ml-1m.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + "".join(f"{user}\t{item}\t{stars}\t97830\n" for user, item, stars in rows)
    )
    found = []
    for folder, keys in (("ours", {}), ("original", {"val_interval": {"rating": "[3,inf)"}}), ("original", {})):
        columns = {"load_col": {"inter": ["user_id", "item_id", *(["rating"] if folder == "original" else [])]}}
        own = {**settings, **columns, **keys, "dataset": "ml-1m", "data_path": str(tmp_path / folder)}
        found.append(prepare_split(plain_config(make_config("SLD", config_dict=own))).fingerprint)
    assert found[0] == found[1] != found[2]


def test_the_checksum_of_pairs_knows_no_names_and_no_order_but_every_pair():
    pairs = prepare.liked(ratings(random.Random(1)))
    assert 0 < len(pairs) < 800
    names = dict(zip(range(100), random.Random(2).sample(range(1000), 100), strict=True))
    other = [(3 * user + 5, names[item]) for user, item in pairs]
    random.Random(3).shuffle(other)
    assert prepare.sum_of_pairs(other) == prepare.sum_of_pairs(pairs)
    user = pairs[7][0]
    changed = [*pairs[:7], (user, next(item for _, item in pairs if (user, item) not in pairs)), *pairs[8:]]
    assert prepare.sum_of_pairs(changed) != prepare.sum_of_pairs(pairs) != prepare.sum_of_pairs(pairs[1:])
    swapped = next(
        {*pairs} - {one, two} | {(two[0], one[1]), (one[0], two[1])}
        for one, two in itertools.combinations(pairs, 2)
        if one[0] != two[0] and not {(two[0], one[1]), (one[0], two[1])} & {*pairs}
    )
    assert prepare.sum_of_pairs(swapped) != prepare.sum_of_pairs(pairs)  # everyone has as many as before


def test_equal_is_said_where_it_is_equal(tmp_path, capsys, monkeypatch):
    (tmp_path / "users.dat").write_text(LIBRARIES)
    files = prepare.citeulike(tmp_path / "users.dat")
    monkeypatch.setattr(prepare, "SUMS", {name: checksum for name, (_, checksum) in files.items()})
    assert prepare.main([f"--citeulike={tmp_path / 'users.dat'}", f"--output={tmp_path / 'out'}"]) == 0
    assert "NOT" not in capsys.readouterr().out


@pytest.mark.parametrize(("key", "text", "words"), [
    ("citeulike", "3 1 2\n", "line 1"),
    ("citeulike", "2 1 2\n1::2::3::4\n", "line 2"),
    ("citeulike", "", "empty"),
    ("citeulike", None, "cannot be read"),
    ("ml-1m", "1::2::3\n", "line 1"),
    ("ml-1m", "2 1 2\n", "line 1"),
    ("ml-1m", "\N{SNOWMAN}", "no text"),
])  # fmt: skip
def test_a_file_of_another_kind_is_refused_in_one_sentence_and_nothing_is_written(key, text, words, tmp_path, capsys):
    if text is not None:
        (tmp_path / "a.dat").write_text(text, encoding="utf-8")
    assert prepare.main([f"--{key}={tmp_path / 'a.dat'}", f"--output={tmp_path / 'out'}"]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()
