"""Unknown keys, methods, models and terms, in every layer."""

import re

import pytest

from recbole_kd.config.layering import read_layers
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from tests.config.helpers import by_command_line, by_dict, by_file, layers, made, unknown_key_warnings, yaml_file


@pytest.mark.parametrize(
    "key, near",
    [
        ("sld_wieght", "sld_weight"),
        ("learning_rat", "learning_rate"),
        ("nkdk", "nkd_k"),
        ("batch_size", "batch_size"),
        ("teacher.learning_rat", "learning_rate"),
        ("student.embeding_size", "embedding_size"),
        ("Teacher_path", "teacher_path"),
    ],
)
def test_the_command_line_refuses_an_unknown_key_and_names_the_nearest(key, near):
    with pytest.raises(KDError, match=rf"(?s){re.escape(key)}.*{near}'"):
        layers(f"--{key}=1")


# the names of a checkpoint's parts, of an argument's inner keys and of columns, not of config keys
@pytest.mark.parametrize("key", ["epoch", "optimizer", "mode", "distribution", "user_id", "state_dict"])
def test_a_name_that_recbole_reads_elsewhere_than_in_the_config_is_no_key(key):
    with pytest.raises(KDError, match=f"'{key}'"):
        layers(f"--{key}=5")


@pytest.mark.parametrize("source", [by_file, by_dict])
@pytest.mark.parametrize("key", ["sld_wieght", "teacher_pth", "student_modle", "resulf_file", "nkd_kk", "SLD_weight"])
def test_files_and_dicts_refuse_a_near_miss_of_ours(source, key, tmp_path):
    with pytest.raises(KDError, match=f"'{key}'.*did you mean"):
        read_layers("MKD", "toy", **source(tmp_path, {key: 1}))


@pytest.mark.parametrize("source", [by_file, by_dict])
@pytest.mark.parametrize("key", ["my_note", "learning_rat", "wandb_entity", "embedding_dim", "hidden_dim"])
def test_files_and_dicts_warn_once_of_any_other_unknown_key(source, key, tmp_path, caplog):
    config = make_config("MKD", "toy", **source(tmp_path, {key: 1}))
    config.warn_unused_keys()  # as a run does when its log begins
    assert len(unknown_key_warnings(caplog, key)) == len(caplog.records) == 1
    assert config[key] == 1  # it stays in the config, as in RecBole


@pytest.mark.parametrize("source", [by_file, by_dict, by_command_line])
@pytest.mark.parametrize("key", ["encoding", "tail_ratio", "token_num_threshold", "training_neg_sample_num"])
def test_keys_that_recbole_reads_but_lists_nowhere_pass(source, key, tmp_path):
    found = read_layers("MKD", "toy", **source(tmp_path, {key: 1}))
    assert found.plain[key] == 1
    assert not found.notes


@pytest.mark.parametrize("source", [by_file, by_dict, by_command_line])
@pytest.mark.parametrize("side", ["teacher", "student"])
def test_blocks_refuse_an_unknown_key_and_name_the_nearest(source, side, tmp_path):
    for keys in ({side: {"learning_rat": 1}}, {f"{side}.learning_rat": 1}):
        with pytest.raises(KDError, match=rf"{side}\.learning_rat'.*'learning_rate'"):
            read_layers("MKD", "toy", **source(tmp_path, keys))


OF_NO_SIDE = ["nkd_k", "teacher_path", "student_model", "baseline", "model", "dataset", "config_files"]


@pytest.mark.parametrize("key", OF_NO_SIDE)  # they would be passed over in silence
def test_blocks_refuse_what_is_no_key_of_one_side(key):
    with pytest.raises(KDError, match=key):
        layers(f"--teacher.{key}=LightGCN")


def test_a_file_that_cannot_be_read_as_yaml_is_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00epochs: 5")
    yaml_file(tmp_path, "- epochs\n", "list.yaml")
    yaml_file(tmp_path, "epochs: [1\n", "broken.yaml")
    for name in ("bytes.yaml", "list.yaml", "broken.yaml", "missing.yaml", "."):
        with pytest.raises(KDError, match=re.escape(f"the config file '{name}'")):
            layers(config_file_list=[name])


def test_an_empty_file_sets_nothing(tmp_path):
    assert layers(config_file_list=[yaml_file(tmp_path, "# nothing yet\nteacher:\n")]) == layers()


@pytest.mark.parametrize(
    "argv, near",
    [
        (["--model=MDK"], "MKD"),
        (["--model=mkd"], "MKD"),
        (["--model=MKDD"], "MKD"),
        (["--teacher_model=bpr"], "BPR"),
        (["--student_model=LightGCM"], "LightGCN"),
        (["--student_model=lightgcn"], "LightGCN"),
    ],
)
def test_an_unknown_method_or_model_is_refused_with_the_nearest_name(argv, near):
    with pytest.raises(KDError, match=f"did you mean '{near}'"):
        layers(*argv)


@pytest.mark.parametrize("terms", ["['FOO']", "NKD", "[]", "['NKD', 'NKD']", "5", "[5]", "['MKD']", "['Distiller']"])
def test_a_free_mix_takes_terms_by_their_names_each_once(terms):
    with pytest.raises(KDError, match="terms"):
        make_config(argv=["--model=Distiller", "--dataset=ml-100k", f"--terms={terms}"])


def test_a_free_mix_needs_its_terms():
    with pytest.raises(KDError, match="takes a list of different terms"):
        make_config(argv=["--model=Distiller", "--dataset=ml-100k"])


def test_a_free_mix_has_the_keys_of_its_terms_and_no_others():
    config = make_config(argv=["--model=Distiller", "--dataset=ml-100k", "--terms=['SLD', 'NKD']", "--nkd_k=3"])
    assert config["terms"] == ["SLD", "NKD"] and config["nkd_k"] == 3 and config["sld_k"] == 50
    assert config["cpd_k"] is None
    with pytest.raises(KDError, match="nkd_k=0"):
        make_config(argv=["--model=Distiller", "--dataset=ml-100k", "--terms=['NKD']", "--nkd_k=0"])


@pytest.mark.parametrize("terms", ["['FOO']", "NKD", "[]", "['NKD']", "5", "[5]"])
def test_terms_that_do_not_make_up_the_method_are_refused(terms):
    with pytest.raises(KDError, match="terms"):
        made(f"--terms={terms}")
