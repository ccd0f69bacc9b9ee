"""README and docs: generated parts are up to date, figures in prose are measured, links and keys exist, claims hold."""

import ast
import importlib
import itertools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.result import result
from recbole_kd.config.recbole_schema import recbole_keys
from recbole_kd.config.schema import kd_keys, method_names
from tools.docs import prose
from tools.docs.__main__ import main
from tools.docs.pages import BLOCK, fill, make_block, pages, write_changed
from tools.docs.svg import Axis

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*pages(), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "benchmarks/README.md"]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


# what tools.docs makes and checks


def test_the_documentation_is_up_to_date(capsys):
    code = main(["--check"])
    assert code == 0, capsys.readouterr().out


def test_every_page_with_a_changed_figure_in_a_block_is_filled_as_it_was():
    blocks = 0
    for name, text in TEXTS.items():
        matches = list(BLOCK.finditer(text))
        wrong = BLOCK.sub(lambda match: re.sub(r"\d", "7", match[0].removeprefix(match["marker"])).join(
            (match["marker"], "")), text)  # fmt: skip
        assert fill(wrong) == text, name
        assert wrong != text or not matches
        assert len(matches) == text.count("<!-- table: ") + text.count("<!-- text: ")
        blocks += len(matches)
    assert blocks > 60


def test_a_check_names_what_is_out_of_date_and_writes_nothing(monkeypatch, capsys):
    monkeypatch.setattr("tools.docs.__main__.generated_files", lambda only_figures: {"docs/keys.md": "other"})
    before = (ROOT / "docs/keys.md").read_text(encoding="utf-8")
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/keys.md is out of date: run python -m tools.docs\n"
    assert (ROOT / "docs/keys.md").read_text(encoding="utf-8") == before


def test_only_what_has_changed_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.docs.pages.ROOT", tmp_path)
    assert write_changed({"docs/a.svg": "one"}, write=True) == ["docs/a.svg"]
    assert write_changed({"docs/a.svg": "one"}, write=True) == []
    assert write_changed({"docs/a.svg": "two"}, write=False) == ["docs/a.svg"]
    assert (tmp_path / "docs/a.svg").read_text() == "one"


def test_a_marker_of_no_block_is_refused():
    with pytest.raises(ValueError, match="no block is called 'metods'"):
        make_block("metods methods-ml-1m")


def noticed(pattern, wrong):
    """Of the pages' figures of a pattern how many are reported when they are changed, and how many there are."""
    reports = [
        bool(prose.missing_in(f"it is at {wrong(text)}", names))
        for page in prose.PAGES
        for paragraph, names in prose.paragraphs(TEXTS[page])
        for text in pattern.findall(paragraph)[:2]
    ]
    return sum(reports), len(reports)


def next_digit(text, place):
    return text[:place] + str((int(text[place]) + 5) % 10) + text[place + 1 :]


def test_a_changed_interval_in_the_prose_is_reported():
    reported, number = noticed(prose.INTERVAL, lambda text: next_digit(text, text.index(".") + 4))
    assert reported == number > 40


def test_a_changed_figure_in_the_prose_is_reported_unless_it_is_on_file_by_chance():
    reported, number = noticed(prose.FIGURE, lambda text: next_digit(text, len(text) - 1))
    assert number > 100 and reported > 0.8 * number


def test_a_p_value_that_no_test_gives_is_reported():
    names = ["methods-citeulike-tuned"]
    assert prose.missing_in("in each of the five seeds, p 0.0018 and 0.00018", names) == []
    assert prose.missing_in("in each of the five seeds, p 0.0018 and 0.0077", names) == ["p 0.0077"]


# figures


@pytest.mark.parametrize("file", sorted((ROOT / "docs/images").glob("*.svg")), ids=lambda file: file.stem)
def test_a_figure_is_well_formed_shown_on_a_page_and_within_its_frame(file):
    root = ElementTree.parse(file).getroot()
    _, _, width, height = map(float, root.get("viewBox").split())
    assert any(re.search(rf"images/{file.name}[)\"]", text) for text in TEXTS.values())
    places = [(float(one.get("x") or one.get("cx")), float(one.get("y") or one.get("cy"))) for one in root.iter()
              if one.tag.endswith(("text", "circle"))]  # fmt: skip
    assert places and all(0 <= x <= width and 0 <= y <= height for x, y in places)


def test_an_axis_has_round_ticks_and_keeps_its_ends():
    axis = Axis(0.0123, 0.0477, 100, 500)
    assert [f"{tick:.3f}" for tick in axis.ticks()] == ["0.020", "0.030", "0.040"]
    assert (axis(0.0123), axis(0.0477)) == (100, 500)
    logarithmic = Axis(5, 5000, 0, 300, logarithmic=True)
    assert logarithmic.ticks() == [10, 100, 1000] and logarithmic(50) == pytest.approx(100)


# links, paths, keys, code


def anchors_of(text):
    titles = re.findall(r"^#+ (.+)$", without_code(text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_to_a_file_and_a_title(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(TEXTS[name])):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            file = (ROOT / name).parent / path if path else ROOT / name
            assert file.exists(), target
            if anchor:
                assert anchor in anchors_of(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_of_the_project_that_a_page_names_exists(name):
    for path in re.findall(r"(?<![\w/.])((?:benchmarks|properties|tools|tests|docs)/[\w./-]+\.\w+)", TEXTS[name]):
        assert (ROOT / path).exists() or re.search(r"NAME|XYZ", path), path
    for module in re.findall(r"python -m ((?:benchmarks|tools)[\w.]*)", TEXTS[name]):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("name", TEXTS)
def test_a_table_ends_before_the_next_line_of_text(name):
    for line, after in itertools.pairwise(TEXTS[name].split("\n")):
        assert not line.startswith("|") or after.startswith(("|", "<!--")) or not after.strip(), after


@pytest.mark.parametrize("name", ["README.md", "docs/get-started.md", "docs/configuration.md", "docs/faq.md"])
def test_every_key_that_a_page_for_beginners_names_exists(name):
    keys = re.findall(r"--(?:teacher\.|student\.)?([a-zA-Z_]+)=", TEXTS[name])
    assert keys and not set(keys) - {"key", "recipe", "users"} - kd_keys() - recbole_keys()


def test_the_table_of_methods_lists_every_method():
    page = TEXTS["docs/choose-a-method.md"]
    table = page[page.index("| --model= |") :]
    rows = re.findall(r"^\| (\w+) \|", table[: table.index("\n\n")], re.M)
    assert rows == method_names()


def test_the_readme_is_short():
    assert len(README.splitlines()) < 130


@pytest.mark.parametrize("name", TEXTS)
def test_python_in_a_page_is_python_and_imports_what_there_is(name):
    for block in re.findall(r"^```python\n(.*?)^```", TEXTS[name], re.M | re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), block


def test_the_readmes_main_job_is_that_of_its_result_file():
    source = result("main-job-ml-100k")
    rows = {name: next(source.of(name))["values"] for name in ("teacher", "student alone", "MKD")}
    block = README[README.index("test               recall@10") :].splitlines()
    metrics = block[0].split()[1:6]
    shown = {"teacher": "teacher", "student alone": "student alone", "distilled (MKD)": "MKD"}
    for label, name in shown.items():
        cells = next(line for line in block if line.startswith(label)).removeprefix(label).split()
        assert cells[:5] == [f"{rows[name][f'test_{metric}']:.4f}" for metric in metrics]
        assert cells[5:7] == [f"{rows[name][key]:,}" for key in ("parameters", "bytes")]
    shares = next(line for line in block if line.startswith("recovered share")).split()[2:]
    ends = [[rows[name][f"test_{metric}"] for name in shown.values()] for metric in metrics]
    assert shares == [f"{(mkd - alone) / (teacher - alone):.0%}" for teacher, alone, mkd in ends]
    (advice,) = source.of("neighbour advice")
    assert advice["values"]["better"] and f"{advice['setting']['metric']} {advice['values']['with']:.4f}" in README
