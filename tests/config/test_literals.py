"""Text as values: RecBole's spellings are kept, and nothing is evaluated."""

import pytest

from recbole_kd.compare.plan import make_plan, make_run_config
from recbole_kd.config.literals import parse_literal, parse_text, parse_yaml
from recbole_kd.config.model_names import model_class_of
from recbole_kd.config.plain_values import to_plain_value
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError
from tests.config.helpers import layers, made, yaml_file

CALL = "__import__('os').system('touch canary') or 'x'"


@pytest.fixture(autouse=True)
def canary(tmp_path):
    yield
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1,2]", [1, 2]),
        ("{'a': 1}", {"a": 1}),
        ("{a: 1}", {"a": 1}),
        ("[NDCG, Recall]", ["NDCG", "Recall"]),
        ("{max_norm: 1e-3}", {"max_norm": 0.001}),
        ("None", None),
        ("true", True),
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("'a if quoted'", "a if quoted"),
        ("'None'", "None"),
        ("5,10", (5, 10)),
        ("[5,inf)", "[5,inf)"),
        ("exit(3)", "exit(3)"),
        ("9**9**6", "9**9**6"),
        ("1+2j", "1+2j"),
        ("yes", "yes"),
        ("(" * 3000, "(" * 3000),
        ("os.pth", "os.pth"),
        (CALL, CALL),
        (f"[{CALL}]", [CALL]),
    ],
)
def test_a_text_has_the_value_of_its_literal_or_stays_a_text(text, value):
    result = parse_text(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, "{a: " * 3000 + "}" * 3000])
def test_deep_nesting_is_refused(text, tmp_path):
    for read in (
        parse_text,
        lambda text: layers(f"--teachers={text}"),
        lambda text: read_yaml(yaml_file(tmp_path, f"topk: {text}")),
    ):
        with pytest.raises(KDError, match=r"nested too deeply|is not a list"):
            read(text)


def test_values_that_hold_themselves_or_each_other_without_end_are_refused():
    itself, wide = [], ["x"] * 100
    itself.append(itself)
    for _ in range(10):
        wide = [wide] * 100
    for value in (itself, wide):
        for read in (lambda value: made(config_dict={"topk": value}), lambda value: make_plan({"seeds": value})):
            with pytest.raises(KDError, match="nested too deeply, or too large"):
                read(value)


@pytest.mark.parametrize(
    "text",
    ["[2020-99-99]", "!!bool x", "!!int ''", "!!timestamp x", "a: !!python/name:os.system", "{[a]: 1}", "9" * 5000],
)
def test_yaml_that_cannot_be_read_is_refused_with_a_sentence(text, tmp_path):
    with pytest.raises(ValueError, match=r"\w"):
        parse_yaml(text)
    with pytest.raises(KDError, match="is not YAML"):
        read_yaml(yaml_file(tmp_path, text))


def test_yaml_has_recboles_numbers_and_tuples_and_a_byte_order_mark(tmp_path):
    assert parse_yaml("[1e-3, !!python/tuple [1, 2], 1e5]") == [0.001, (1, 2), 1e5]
    (tmp_path / "mark.yaml").write_bytes(b"\xef\xbb\xbfepochs: 3\n")
    assert read_yaml(tmp_path / "mark.yaml") == {"epochs": 3}


def test_no_string_is_evaluated_wherever_it_stands(tmp_path):
    keys = {"wandb_project": CALL}
    plan = make_plan({"datasets": ["toy"], "seeds": [1], "methods": ["MKD"], "keys": keys})
    assert make_run_config({"model": "MKD", "dataset": "toy", **plan.keys})["wandb_project"] == CALL
    assert made(f"--wandb_project={CALL}")["wandb_project"] == CALL
    assert made(config_dict={"teacher": keys}).teacher["wandb_project"] == CALL
    assert made(config_dict={"teachers": [{"model": "BPR", **keys}]}).teacher["wandb_project"] == CALL


def test_the_values_of_a_plan_have_their_types_already():
    config = make_run_config({"model": "MKD", "dataset": "2020", "wandb_project": "1e3", "epochs": 3})
    assert (config["dataset"], config["wandb_project"], config["epochs"]) == ("2020", "1e3", 3)


def test_a_model_that_evaluates_its_settings_is_refused():
    for model in ({"model": "KD_DAGFM"}, {"model": "KD_DAGFM", "teacher": CALL}):
        with pytest.raises(KDError, match="choose another model"):
            model_class_of(model)
    with pytest.raises(KDError, match="choose another model"):
        made("--student_model=KD_DAGFM")


def test_a_text_key_may_look_like_a_number():
    assert layers("--wandb_project=2024", "--dataset_save_path=10").plain == {
        "wandb_project": "2024",
        "dataset_save_path": "10",
    }


@pytest.mark.parametrize(("value", "word"), [("a\0b", "NUL"), ("a\udcffb", "not UTF-8")])
@pytest.mark.parametrize(
    "key", ["result_file", "checkpoint_dir", "data_path", "teacher_path", "wandb_project", "dataset"]
)
def test_texts_that_no_file_can_hold_are_refused(key, value, word, tmp_path):
    for keys in ({"argv": [f"--{key}={value}"]}, {"config_dict": {key: value}}, {"config_dict": {key: [value]}}):
        with pytest.raises(KDError, match=word) as caught:
            made(
                *keys.get("argv", []), config_dict=keys.get("config_dict"), dataset=None if key == "dataset" else "toy"
            )
        assert str(caught.value).isprintable()
    with pytest.raises(KDError, match="holds a complex"):
        to_plain_value("topk", [1 + 2j])
    with pytest.raises(ValueError, match="not a literal"):
        parse_literal(CALL)
