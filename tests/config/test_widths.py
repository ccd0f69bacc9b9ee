"""Widths of student and teachers: one to ten unless given."""

import pytest
import yaml

from recbole_kd.config.recbole_schema import RECBOLE_PROPERTIES
from recbole_kd.config.widths import describe_width, model_width, width_entry
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


FAMILIES = {  # the student's widths, and those of its teacher: RecBole's own
    "SASRec": ({"hidden_size": 8, "inner_size": 32}, {"hidden_size": 64, "inner_size": 256}),
    "GRU4Rec": ({"embedding_size": 8, "hidden_size": 16}, {"embedding_size": 64, "hidden_size": 128}),
    "CORE": ({"embedding_size": 8, "inner_size": 32}, {"embedding_size": 64, "inner_size": 256}),
    "MultiVAE": (
        {"latent_dimension": 12, "mlp_hidden_size": [56]},
        {"latent_dimension": 128, "mlp_hidden_size": [600]},
    ),
    "RecVAE": ({"latent_dimension": 20, "hidden_dimension": 60}, {"latent_dimension": 200, "hidden_dimension": 600}),
    "NeuMF": (
        {"mf_embedding_size": 8, "mlp_embedding_size": 8, "mlp_hidden_size": [16, 8]},
        {"mf_embedding_size": 64, "mlp_embedding_size": 64, "mlp_hidden_size": [128, 64]},
    ),
    "CKE": ({"embedding_size": 8, "kg_embedding_size": 8}, {"embedding_size": 64, "kg_embedding_size": 64}),
    "MacridVAE": (
        {"embedding_size": 20, "encoder_hidden_size": [60]},
        {"embedding_size": 200, "encoder_hidden_size": [600]},
    ),
    "GRU4RecKG": ({"embedding_size": 64, "hidden_size": 12}, {"embedding_size": 64, "hidden_size": 128}),
    "ConvNCF": ({"embedding_size": 64}, {"embedding_size": 200}),
}


@pytest.mark.parametrize("model", FAMILIES)
def test_a_student_of_each_family_is_about_a_tenth_of_its_teacher(model):
    config = made(f"--student_model={model}")
    student, teacher = FAMILIES[model]
    assert {key: config[key] for key in student} == student
    assert {key: config.teacher[key] for key in teacher} == teacher


def test_widths_that_are_given_win_and_the_other_widths_follow_them():
    config = made("--student_model=SASRec", "--student.hidden_size=10", "--teacher.hidden_size=32")
    assert [config["hidden_size"], config["inner_size"]] == [10, 40]
    assert [config.teacher["hidden_size"], config.teacher["inner_size"]] == [32, 128]
    config = made("--student_model=SASRec", "--hidden_size=10", "--inner_size=7")
    assert [config["inner_size"], config.teacher["hidden_size"], config.teacher["inner_size"]] == [7, 100, 400]
    assert made("--student_model=SASRec", "--teacher.hidden_size=120")["hidden_size"] == 12
    assert made("--student_model=SASRec", "--n_heads=3")["hidden_size"] == 12  # a multiple of 4 and of 3


@pytest.mark.parametrize(
    "student, teacher, keys, width",
    [
        ("SASRec", "LightGCN", {"embedding_size": 100}, 12),  # both are lengths of vectors
        ("SASRec", "MultiVAE", {"latent_dimension": 320}, 8),
        ("BPR", "MultiVAE", {"latent_dimension": 320}, 20),
        ("MultiVAE", "MultiVAE", {"latent_dimension": 320}, 32),
    ],
)
def test_only_widths_that_mean_the_same_set_one_another(student, teacher, keys, width):
    config = made(f"--student_model={student}", f"--teacher_model={teacher}", config_dict={"teacher": keys})
    assert width_entry(config)[1] == width


def test_the_log_names_the_width_key_that_applies():
    config = made("--student_model=SASRec", "--teacher_model=GRU4Rec")
    assert (describe_width(config), describe_width(config.teacher)) == (", hidden_size 8", ", embedding_size 64")
    assert (model_width(config), model_width(config.teacher)) == (8, 64)
    config = made("--student_model=MultiVAE", "--teacher_model=EASE")
    assert (describe_width(config), model_width(config)) == (", latent_dimension 12", None)
    assert width_entry(config.teacher) is None and describe_width(config.teacher) == describe_width(None) == ""


@pytest.mark.parametrize("keys", ["--hidden_size=9", "--hidden_size=0", "--inner_size=0", "--inner_size=[8]"])
def test_widths_that_a_transformer_cannot_have_are_refused(keys):
    with pytest.raises(KDError, match=keys.strip("-").partition("=")[0]):
        made("--student_model=SASRec", keys)


def test_the_layers_of_an_autoencoder_are_whole_numbers():
    with pytest.raises(KDError, match=r"student\.mlp_hidden_size=0\.5"):
        made("--student_model=MultiVAE", "--mlp_hidden_size=[60, 0.5]")
