"""recommend and export on the command line."""

import json

import pandas as pd
import pytest

from recbole_kd.cli import main
from recbole_kd.errors import KDError
from recbole_kd.serving import EXPORT_USAGE, RECOMMEND_USAGE, export_argv, recommend_argv
from recbole_kd.serving.command_line import _export_parser, _recommend_parser


def test_the_table_of_some_users(checkpoint, capsys):
    assert main(["recommend", checkpoint("BPR"), "--users=u3,u1", "--k=2"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["user", "item", "rank", "score"]
    assert [row[0] for row in rows[1:]] == ["u3", "u3", "u1", "u1"]


def test_all_users_go_to_a_file(checkpoint, tmp_path):
    file = tmp_path / "top.tsv"
    assert recommend_argv([checkpoint("BPR"), "--all", f"--output={file}", "--k", "3"]) == f"126 rows are in {file}"
    assert len(pd.read_csv(file, sep="\t")) == 126
    with pytest.raises(KDError, match="--overwrite"):
        recommend_argv([checkpoint("BPR"), "--all", f"--output={file}"])
    recommend_argv([checkpoint("BPR"), "--all", f"--output={file}", "--overwrite"])


def test_similar_items_and_new_users(checkpoint, tmp_path):
    assert recommend_argv([checkpoint("BPR"), "--items=i3", "--k=2"]).split()[:3] == ["item", "similar", "rank"]
    file = tmp_path / "new.csv"
    recommend_argv([checkpoint("BPR"), "--history=i3,i4", "--k=4", f"--output={file}", "--deny=i5"])
    assert not set(pd.read_csv(file)["item"]) & {"i3", "i4", "i5"}
    recommend_argv([checkpoint("BPR"), "--history=i3", "--k=49", f"--output={file}", "--exclude=none", "--overwrite"])
    assert "i3" in set(pd.read_csv(file)["item"])


def test_export(checkpoint, tmp_path):
    metrics = tmp_path / "result.json"
    metrics.write_text(json.dumps({"distilled": {"test_result": {"ndcg@10": 0.5}}}))
    text = export_argv(
        [checkpoint("BPR"), f"--output={tmp_path / 'b'}", "--precision=int8", f"--metrics={metrics}", "--licence=MIT"]
    )
    assert "bundle, int8" in text
    assert "of 42 users have the model's list" in text
    assert "ndcg@10 on validation" in text
    assert json.loads((tmp_path / "b" / "model.json").read_text())["metrics"] == {"ndcg@10": 0.5}
    metrics.write_text("[1]")
    with pytest.raises(KDError, match="no JSON file of names and numbers"):
        export_argv([checkpoint("BPR"), f"--output={tmp_path / 'c'}", f"--metrics={metrics}"])


@pytest.mark.parametrize(("usage", "parser"), [(RECOMMEND_USAGE, _recommend_parser), (EXPORT_USAGE, _export_parser)])
def test_help_names_every_option(usage, parser, capsys):
    for action in parser()._actions:
        assert all(f"  {name}" in usage for name in action.option_strings)
    command = parser().prog
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out == usage


REFUSALS = [
    (["recommend"], "the following arguments are required: model_file"),
    (["recommend", "x.pth"], "takes one of --users=196,186, --all"),
    (["recommend", "x.pth", "--all", "--users=1"], "takes one of"),
    (["recommend", "x.pth", "--all"], "name a file with --output"),
    (["recommend", "x.pth", "--usrs=1"], "has no option '--usrs'; did you mean '--users'?"),
    (["recommend", "x.pth", "--users=1", "--k=ten"], "invalid int value: 'ten'"),
    (["recommend", "x.pth", "--users=1"], "the checkpoint 'x.pth' is not there"),
    (["export", "x.pth"], "--output=bundle/"),
    (["export", "x.pth", "--output=b", "--format=tflite"], "invalid choice: 'tflite'"),
]


@pytest.mark.parametrize(("argv", "message"), REFUSALS)
def test_refused(argv, message, capsys, workdir):
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
