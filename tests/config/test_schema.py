"""The keys of each method: their types, ranges, defaults and meanings."""

import re

import pytest
import yaml

from recbole_kd.config.schema import PROPERTIES, explain_keys, method_keys, method_names
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config

LINE = re.compile(
    r"^\w+:\s*(?P<default>.*?)\s*# \((?P<type>\w+)\)(?: (?P<range>[\[({].*?[\])}]))? (?P<meaning>[^ ].*)$"
)
OUR_LINES = {
    f"{file.stem}.{line.partition(':')[0]}": line
    for file in (PROPERTIES / "overall.yaml", *sorted((PROPERTIES / "method").glob("*.yaml")))
    for line in file.read_text().splitlines()
    if line and not line.startswith("#")
}


@pytest.mark.parametrize("key", OUR_LINES)
def test_a_key_has_type_range_and_meaning_and_a_default_within_its_range(key):
    line = LINE.match(OUR_LINES[key])
    assert line, OUR_LINES[key]
    assert line["type"] in {"int", "float", "str", "path", "bool", "list", "names", "paths"}
    assert len(line["meaning"].split()) > 2
    default, wanted = yaml.safe_load(line["default"]), line["range"]
    if line["type"] in ("int", "float"):
        assert wanted[0] in "[(" and wanted[-1] in "])"
        low, high = (float(bound) for bound in wanted[1:-1].split(","))
        assert low <= default <= high
        assert (default > low or wanted[0] == "[") and (default < high or wanted[-1] == "]")
        assert type(default) in ((int,) if line["type"] == "int" else (int, float))
    if wanted and wanted.startswith("{"):
        assert default in wanted[1:-1].split(", ")


@pytest.mark.parametrize("method", [name for name in method_names() if name != "Distiller"])
def test_the_properties_are_found_and_explained(method):
    assert method in method_names()
    own = set(yaml.safe_load((PROPERTIES / "method" / f"{method}.yaml").read_text()))
    explained = {name: rest for name, *rest in explain_keys(method)}
    assert own | set(yaml.safe_load((PROPERTIES / "overall.yaml").read_text())) <= set(explained)
    assert all(meaning for _, _, meaning in explained.values())
    config = make_config(method, "toy")
    assert {name: str(config[name]) for name in own} == {name: explained[name][0] for name in own}


def test_a_composed_method_has_the_keys_of_its_terms():
    files = [
        PROPERTIES / "overall.yaml",
        *(PROPERTIES / "method" / f"{name}.yaml" for name in ("NKD", "CPD", "SLD", "MKD")),
    ]
    assert set(method_keys("MKD")) == {name for file in files for name in yaml.safe_load(file.read_text())}
    assert not {name for name in method_keys("NKD") if name.startswith(("sld_", "cpd_", "mkd_"))}


@pytest.mark.parametrize(
    ("method", "rows"), [("MKD", 128), ("DERRD", 128), ("IRRRD", 128), ("PCKD", 128), ("SLD", 512), ("HTD", 96)]
)
def test_a_method_of_several_terms_does_not_take_the_rows_of_one_of_them(method, rows):
    assert make_config(method, "toy")["kd_rows"] == rows


def test_the_rows_of_a_mix_do_not_hang_on_the_order_of_its_terms():
    for terms, rows in ((["RRD", "HTD"], 96), (["SLD", "RCEKD"], 512), (["SLD", "NKD"], 128)):
        for order in (terms, terms[::-1]):
            assert method_keys("Distiller", order)["kd_rows"].default == rows


def values_out_of_range(line):
    kind, wanted = line["type"], line["range"] or ""
    if kind == "bool":
        return [1, 0, "yes", None]
    if wanted.startswith("{"):
        return ["nonsense", 1, True, None, [wanted[1:-1].split(", ")[0]]]
    if kind in ("int", "float"):
        low, high = (float(bound) for bound in wanted[1:-1].split(","))
        bad = [float("nan"), float("inf"), -float("inf"), low - 1, "1", True, [1], None]
        bad += [low] if wanted[0] == "(" else []
        bad += [high] if wanted[-1] == ")" else [high + 1]
        return bad + ([1.5, 2.0] if kind == "int" else [])
    if kind in ("names", "paths"):
        return [5, True, [5], ["x", None]]
    return [5, True] if kind in ("str", "path") else [5, "x"]


@pytest.mark.parametrize("key", OUR_LINES)
def test_every_key_refuses_what_is_out_of_its_range(key):
    line = LINE.match(OUR_LINES[key])
    method, _, key = key.partition(".")
    checked = method_keys("MKD" if method == "overall" else method)[key]
    assert checked.check(yaml.safe_load(line["default"])) == yaml.safe_load(line["default"])
    for value in values_out_of_range(line):
        if value is None and line["default"] == "~":
            continue
        with pytest.raises(KDError, match=key):
            checked.check(value)
