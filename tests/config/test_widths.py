"""Widths of student and teachers: one to ten unless given."""

import pytest
import yaml

from recbole_kd.config.recbole_schema import RECBOLE_PROPERTIES
from recbole_kd.config.widths import model_width
from recbole_kd.errors import KDError
from tests.config.helpers import made, stock, stock_checkpoint, yaml_file

WIDTHS = {
    "nothing given": ([], 20, 200),
    "the student's by a plain key": (["--embedding_size=64"], 64, 640),
    "the student's by its own key": (["--student.embedding_size=64"], 64, 640),
    "the student's own key over the plain one": (["--embedding_size=8", "--student.embedding_size=64"], 64, 640),
    "the teacher's": (["--teacher.embedding_size=640"], 64, 640),
    "a teacher too narrow for a tenth": (["--teacher.embedding_size=4"], 1, 4),
    "both": (["--embedding_size=48", "--teacher.embedding_size=96"], 48, 96),
    "a student wider than its teacher": (["--embedding_size=96", "--teacher.embedding_size=48"], 96, 48),
}


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "SimpleX"])
@pytest.mark.parametrize("case", WIDTHS)
def test_either_width_sets_the_other_at_ten_to_one(case, model):
    argv, student, teacher = WIDTHS[case]
    config = made(f"--student_model={model}", *argv)
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (student, teacher)


def test_a_width_counts_from_whichever_layer_it_comes(tmp_path):
    file = yaml_file(tmp_path, "teacher:\n  embedding_size: 50\n")
    assert made(config_file_list=[file])["embedding_size"] == 5
    assert made(config_dict={"embedding_size": "7"}).teacher["embedding_size"] == 70
    config = made("--teacher.embedding_size=90", config_file_list=[file])
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (9, 90)


@pytest.mark.parametrize("case", WIDTHS)
def test_ngcf_scales_its_hidden_sizes_along(case):
    argv, student, teacher = WIDTHS[case]
    config = made("--student_model=NGCF", *argv)
    assert config["hidden_size_list"] == [student] * 3
    assert config.teacher["hidden_size_list"] == [teacher] * 3


def test_hidden_sizes_of_ngcf_that_the_user_gives_stay():
    assert made("--student_model=NGCF", "--hidden_size_list=[7,7]")["hidden_size_list"] == [7, 7]


@pytest.mark.parametrize("model", ["EASE", "MultiVAE", "NeuMF"])
def test_a_model_without_embedding_size_keeps_its_defaults(model):
    plain = stock(model)
    for argv in ([], ["--embedding_size=64"]):
        config = made(f"--teacher_model={model}", *argv)
        own = yaml.safe_load((RECBOLE_PROPERTIES / "model" / f"{model}.yaml").read_text())
        assert {key: config.teacher[key] for key in own} == {key: plain[key] for key in own}
        assert config.teacher["embedding_size"] is None
        assert config["embedding_size"] == (64 if argv else 20)


def test_a_checkpoint_of_the_teacher_sets_the_students_width(tmp_path):
    path = stock_checkpoint(tmp_path, "LightGCN", embedding_size=96, n_layers=3)
    config = made(f"--teacher_path={path}")
    assert config["embedding_size"] == 9
    assert [config.teacher[key] for key in ("model", "embedding_size", "n_layers")] == ["LightGCN", 96, 3]
    assert made(f"--teacher_path={path}", "--embedding_size=30")["embedding_size"] == 30
    assert made(f"--teacher_path={path}", "--embedding_size=30").teacher["embedding_size"] == 96


@pytest.mark.parametrize("model", ["DMF", "DiffRec", "LDiffRec"])
def test_an_embedding_size_that_is_no_width_sets_none(model, tmp_path):
    """Theirs, 10, is that of features or of a diffusion's step: a tenth of it would be a student of width 1."""
    path = stock_checkpoint(tmp_path, model)
    assert made(f"--teacher_path={path}")["embedding_size"] == 20
    config = made(f"--teacher_model={model}", "--teacher.embedding_size=30")
    assert (config["embedding_size"], config.teacher["embedding_size"]) == (20, 30)
    config = made(f"--teacher_model={model}", "--embedding_size=8")
    assert (model_width(config), model_width(config.teacher)) == (8, None)
    assert config.teacher["embedding_size"] == stock(model)["embedding_size"]


def test_a_checkpoint_of_ngcf_keeps_its_hidden_sizes(tmp_path):
    path = stock_checkpoint(tmp_path, "NGCF", embedding_size=40, hidden_size_list=[40, 20])
    config = made(f"--teacher_path={path}", "--student_model=NGCF")
    assert config.teacher["hidden_size_list"] == [40, 20]
    assert (config["embedding_size"], config["hidden_size_list"]) == (4, [4, 4, 4])


@pytest.mark.parametrize("side", ["", "student.", "teacher."])
@pytest.mark.parametrize("width", ["0", "-3", "2.5", "nan", "True", "None", "[64]", "1e400"])
def test_a_width_out_of_range_is_refused(side, width):
    with pytest.raises(KDError, match="embedding_size"):
        made(f"--{side}embedding_size={width}")
