"""The protocol of a run: RecBole's defaults for the student's family, the same for all sides."""

import pytest

from recbole_kd.errors import KDError
from tests.config.helpers import made, stock

IN_TIME = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"}
COLUMNS = {"inter": ["user_id", "item_id", "timestamp"]}


def teacher_of(config):
    (spec,) = config.teachers
    return spec.config


def has_negatives(config):
    return config["train_neg_sample_args"]["distribution"] != "none"


def test_a_sequential_student_has_recboles_own_protocol_with_no_further_key():
    config = made("--student_model=SASRec")
    plain = stock("SASRec", train_neg_sample_args=None, load_col=COLUMNS)
    keys = ("eval_args", "repeatable", "train_neg_sample_args", "load_col", "MODEL_INPUT_TYPE", "loss_type")
    for side in (config, teacher_of(config)):
        assert {key: side[key] for key in keys} == {key: plain[key] for key in keys}


@pytest.mark.parametrize("teacher", ["LightGCN", "EASE", "MultiVAE", "NeuMF", "FPMC"])
def test_a_teacher_of_another_family_stands_on_the_students_protocol(teacher):
    config = made("--student_model=GRU4Rec", f"--teacher_model={teacher}")
    for key in ("eval_args", "repeatable", "load_col"):
        assert config[key] == teacher_of(config)[key]
    assert config["eval_args"]["order"] == "TO" and config["repeatable"] is True
    assert not has_negatives(config) and has_negatives(teacher_of(config))


def test_runs_of_general_models_are_given_nothing():
    for student, teacher in (("BPR", "EASE"), ("MultiVAE", "LightGCN")):
        config = made(f"--student_model={student}", f"--teacher_model={teacher}")
        for side, model in ((config, student), (teacher_of(config), teacher)):
            plain = stock(model)
            assert all(side[key] == plain[key] for key in ("eval_args", "repeatable", "load_col", "TIME_FIELD"))
        assert config.choices == ()


def test_the_users_evaluation_overrides_the_default_on_all_sides():
    wanted = {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "user", "mode": "uni5"}
    config = made("--student_model=SASRec", "--teacher_model=BPR", config_dict={"eval_args": wanted})
    for side in (config, teacher_of(config)):
        assert side["eval_args"] == {**wanted, "mode": {"valid": "uni5", "test": "uni5"}}
    assert not any("protocol" in choice for choice in config.choices)


def test_the_columns_are_those_that_any_side_needs():
    config = made("--student_model=BPR", "--teachers=['CKE', 'BPR']")
    for side in (config, *(spec.config for spec in config.teachers)):
        assert side["load_col"] == {
            "inter": ["user_id", "item_id", "rating", "timestamp"],
            "kg": ["head_id", "relation_id", "tail_id"],
            "link": ["item_id", "entity_id"],
        }
    config = made("--student_model=SASRec", config_dict={"load_col": None})
    assert config["load_col"] is None and teacher_of(config)["load_col"] is None
    config = made("--student_model=SASRec", "--TIME_FIELD=when")
    assert config["load_col"] == {"inter": ["user_id", "item_id", "when"]}


def test_a_file_of_entities_is_read_by_the_models_that_ask_for_it():
    config = made("--student_model=GRU4Rec", "--teacher_model=GRU4RecKG")
    assert teacher_of(config)["additional_feat_suffix"] == ["ent"] and not config["additional_feat_suffix"]
    assert teacher_of(config)["load_col"]["ent"] == ["ent_id", "ent_emb"]
    assert made("--student_model=GRU4RecKG")["eval_args"]["order"] == "TO"


def test_the_log_says_which_protocol_and_who_samples_nothing():
    protocol, negatives = made("--student_model=SASRec", "--teacher_model=GRU4Rec").choices
    assert "sequential models: split {'LS': 'valid_and_test'}, order TO, mode full, repeatable True" in protocol
    assert "write eval_args" in protocol
    assert "train_neg_sample_args is ~ for the student SASRec and the teacher GRU4Rec" in negatives
    assert "loss_type=BPR" in negatives


@pytest.mark.parametrize("side", ["", "student.", "teacher."])
def test_negatives_under_a_loss_over_all_items_are_refused(side):
    with pytest.raises(KDError, match=r"train_neg_sample_args=.* SASRec with loss_type=CE .* loss_type=BPR"):
        made("--student_model=SASRec", f"--{side}train_neg_sample_args={{'sample_num': 2}}")


def test_a_plain_number_of_negatives_is_for_the_sides_that_draw_some():
    config = made(
        "--student_model=BPR",
        "--teacher_model=SASRec",
        "--train_neg_sample_args={'sample_num': 2}",
        config_dict={"eval_args": IN_TIME},
    )
    assert config["train_neg_sample_args"]["sample_num"] == 2 and not has_negatives(teacher_of(config))


@pytest.mark.parametrize("student, loss", [("SASRec", "loss_type=BPR"), ("NeuMF", ""), ("CKE", "")])
def test_a_student_without_the_negatives_that_it_needs_is_refused(student, loss):
    keys = [f"--{loss}"] if loss else []
    with pytest.raises(KDError, match=f"train_neg_sample_args=.* {student}.*{loss}"):
        made(f"--student_model={student}", *keys, "--train_neg_sample_args=None")


def test_a_sequential_student_may_sample_negatives():
    config = made("--student_model=SASRec", "--loss_type=BPR")
    assert has_negatives(config) and not has_negatives(teacher_of(config))  # loss_type is the student's alone
    assert has_negatives(teacher_of(made("--student_model=SASRec", "--teacher.loss_type=BPR")))


def test_models_that_read_users_rows_need_no_negatives():
    assert not has_negatives(made("--student_model=MultiVAE", "--train_neg_sample_args=None"))


@pytest.mark.parametrize("student, teacher, side", [("SASRec", "BPR", "student"), ("BPR", "SASRec", "teacher")])
def test_sequences_without_the_order_of_time_are_refused(student, teacher, side):
    random = {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "mode": "full"}}
    with pytest.raises(KDError, match=f"{side}_model=SASRec .* order: RO: write eval_args: .*order: TO"):
        made(f"--student_model={student}", f"--teacher_model={teacher}", config_dict=random)


def test_models_that_score_pair_by_pair_are_evaluated_in_smaller_batches():
    config = made("--student_model=NeuMF", "--teacher_model=BPR")
    assert (config["eval_batch_size"], teacher_of(config)["eval_batch_size"]) == (100_000, 2_000_000)
