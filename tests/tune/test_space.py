"""Search spaces: those that come with the package, their notation, and what is refused."""

import numpy as np
import pytest

from recbole_kd.config.configurator import plain_config
from recbole_kd.config.layering import read_layers
from recbole_kd.config.schema import PROPERTIES, method_keys, method_names
from recbole_kd.errors import KDError
from recbole_kd.method.configuration import build_config
from recbole_kd.tune.searchers import RandomSearch
from recbole_kd.tune.space import (
    Choice,
    Interval,
    check_space,
    default_space,
    keys_set_by_user,
    override_layers,
    read_space,
    recipe_content,
)
from tests.tune.helpers import command_words, refused, write_space

SPACES = sorted((PROPERTIES / "space").glob("*.yaml"))
SIDE_FILES = {"alone", "teacher"}


def name_of(file):
    return file.stem


def test_every_method_has_a_space_and_so_have_the_two_other_sides():
    assert {name_of(file) for file in SPACES} == {*method_names(), *SIDE_FILES} - {"Distiller"}


@pytest.mark.parametrize("file", SPACES, ids=name_of)
def test_a_space_that_comes_with_us_fits_its_keys_and_holds_the_defaults(file):
    name = name_of(file)
    side, method = (name, "SLD") if name in SIDE_FILES else ("method", name)
    layers = read_layers(method, "toy")
    base = build_config(layers)
    space = read_space(file)
    assert check_space(space, side, layers, base).keys() == space.keys()
    assert "learning_rate" in space
    config = base.teacher if side == "teacher" else base
    drawn = build_config(override_layers(layers, recipe_content(side, RandomSearch(space, 0, True).suggest([]))))
    if side == "teacher":
        assert plain_config(drawn).final_config_dict == plain_config(base).final_config_dict
    else:
        assert drawn.teacher.final_config_dict == base.teacher.final_config_dict, "trials share their teacher"
    for key, domain in space.items():
        inside = (
            config[key] in domain.values if isinstance(domain, Choice) else domain.low <= config[key] <= domain.high
        )
        assert inside, f"{key}: the default {config[key]} lies outside"
    if side == "method":
        weights = [key for key in method_keys(method) if key.endswith("_weight") and key in space]
        assert weights and all(isinstance(space[key], Choice) or space[key].log for key in weights)


def test_a_mix_is_searched_over_its_terms_spaces():
    result = default_space("method", "Distiller", ["NKD", "RRD"])
    assert result == {**default_space("method", "NKD"), **default_space("method", "RRD")}
    with pytest.raises(KDError, match="terms=None"):
        default_space("method", "Distiller")


@pytest.mark.parametrize(
    "domain",
    [
        Interval(0.01, 10.0, True),
        Interval(1e-7, 1e-3, True),
        Interval(-1.0, 2.5),
        Interval(3, 70),
        Interval(1, 9, True),
    ],
)
def test_an_interval_is_covered_and_never_left(domain):
    values = [domain.at(share) for share in np.linspace(0, 1, 400, endpoint=False)]
    assert all(domain.low <= value <= domain.high for value in values) and values == sorted(values)
    assert all(isinstance(value, int if domain.is_integer else float) for value in values)
    assert values[0] == domain.low and values[-1] == pytest.approx(domain.high, rel=0.05)
    middle = (domain.low * domain.high) ** 0.5 if domain.log else (domain.low + domain.high) / 2
    assert domain.at(0.5) == pytest.approx(middle, rel=0.01, abs=1)
    assert all(float(f"{value:.3g}") == value for value in values)


def test_a_choice_takes_each_value_as_often():
    domain = Choice(("a", "b", "c"))
    assert [domain.at(share) for share in (0, 0.33, 0.34, 0.66, 0.67, 0.999)] == ["a", "a", "b", "b", "c", "c"]


def test_the_three_forms_are_read(tmp_path):
    file = tmp_path / "my.space.yaml"
    file.write_text("sld_weight: [1e-2, 10, log]\nsld_tau: [1, 3]\nsld_k: {20, 50}\nsld_mode: {union, teacher}\n")
    assert read_space(file) == {
        "sld_weight": Interval(0.01, 10, True),
        "sld_tau": Interval(1, 3),
        "sld_k": Choice((20, 50)),
        "sld_mode": Choice(("union", "teacher")),
    }


def test_ends_take_the_type_of_the_key():
    layers = read_layers("SLD", "toy")
    keys = {"sld_tau": Interval(1, 3), "sld_k": Interval(20, 50)}
    result = check_space(keys, "method", layers, build_config(layers))
    assert not result["sld_tau"].is_integer and result["sld_k"].is_integer


def test_what_the_user_sets_is_not_searched():
    argv = ["--model=SLD", "--dataset=toy", "--sld_weight=2", "--student.learning_rate=0.01", "--train_batch_size=64"]
    layers = read_layers(argv=[*argv, "--teacher.weight_decay=0.1"])
    result = check_space(default_space("method", "SLD"), "method", layers, build_config(layers))
    assert set(result) == {"sld_tau", "sld_gamma"}
    assert {"learning_rate", "train_batch_size"} <= keys_set_by_user(layers, "alone")
    teacher_keys = keys_set_by_user(layers, "teacher")
    assert {"train_batch_size", "weight_decay"} <= teacher_keys and "learning_rate" not in teacher_keys


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "names no key"),
        ("- 1\n", "my.space.yaml"),
        ("a: [\n", "not YAML"),
        ("sld_weight: 1\n", "sld_weight=1"),
        ("sld_weight: [1]\n", "sld_weight=[1]"),
        ("sld_weight: [1, 2, lin]\n", "log"),
        ("sld_weight: [a, b]\n", "write"),
        ("sld_weight: [2, 1]\n", "smaller"),
        ("sld_weight: [0, 1, log]\n", "above 0"),
        ("sld_k: {}\n", "write"),
        ("sld_weight: [0, .inf]\n", "write"),
        ("sld_weight: [0, .nan]\n", "write"),
        (f"sld_k: [1, 1{'0' * 400}]\n", "write"),
        (f"sld_k: [-1{'0' * 308}, 1{'0' * 308}]\n", "write"),
        ("sld_k: {a: 1}\n", "write"),
        ("sld_k: {20, ~}\n", "write"),
        ("sld_wieght: [0, 1]\n", "did you mean 'sld_weight'"),
        ("rrd_weight: [0, 1]\n", "SLD"),
        ("sld_weight: [-1, 1]\n", "sld_weight=-1"),
        ("sld_k: {20, 0}\n", "sld_k=0"),
        ("sld_k: [1.5, 3]\n", "sld_k=1.5"),
        ("sld_mode: {union, best}\n", "sld_mode='best'"),
        ("seed: {1, 2}\n", "'seed'"),
        ("topk: {10}\n", "'topk'"),
        ("valid_metric: {MRR@10}\n", "'valid_metric'"),
        ("embedding_size: {8, 16}\n", "'embedding_size'"),
        ("teacher: {learning_rate: [0, 1]}\n", "teacher"),
        ("baseline: {True}\n", "'baseline'"),
        ("weight_decay: [-1, 0]\n", "weight_decay=-1"),
        ("reg_weight: [1, 10]\n", "'reg_weight'"),
    ],
)
def test_a_space_that_cannot_be_used_is_refused_in_one_sentence(text, message, settings, capsys, workdir):
    assert message in refused(capsys, command_words(settings, write_space(text)))
