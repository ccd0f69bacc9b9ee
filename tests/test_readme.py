"""README and docs: generated parts are up to date, figures in prose are measured, links and keys exist, claims hold."""

import ast
import importlib
import itertools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.result import result
from recbole_kd import method_names
from recbole_kd.compare.statistics import paired
from recbole_kd.config.keys import our_keys, recbole_keys
from tools.docs import goals, prose
from tools.docs.__main__ import main
from tools.docs.accuracy import HEADLINE, TEST
from tools.docs.pages import BLOCK, fill, make_block, pages, write_changed
from tools.docs.svg import Axis

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*pages(), ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]
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
        found = list(BLOCK.finditer(text))
        wrong = BLOCK.sub(lambda match: re.sub(r"\d", "7", match[0].removeprefix(match["marker"])).join(
            (match["marker"], "")), text)  # fmt: skip
        assert fill(wrong) == text, name
        assert wrong != text or not found
        assert len(found) == text.count("<!-- table: ") + text.count("<!-- text: ")
        blocks += len(found)
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
    assert number > 100 and reported > 0.6 * number


def test_a_p_value_that_no_test_gives_is_reported():
    names = ["methods-citeulike-tuned"]
    assert prose.missing_in("in each of the five seeds, p 0.0018 and 0.00018", names) == []
    assert prose.missing_in("in each of the five seeds, p 0.0018 and 0.0077", names) == ["p 0.0077"]


# figures


@pytest.mark.parametrize("file", sorted((ROOT / "docs/images").glob("*.svg")), ids=lambda file: file.stem)
def test_a_figure_is_well_formed_shown_on_a_page_and_within_its_frame(file):
    root = ElementTree.parse(file).getroot()
    _, _, width, height = map(float, root.get("viewBox").split())
    assert any(f"images/{file.name})" in text for text in TEXTS.values())
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


def test_every_key_that_the_readme_names_exists():
    keys = re.findall(r"--(?:teacher\.|student\.)?([a-z_]+)=", README)
    assert len(keys) > 15 and not set(keys) - {"key"} - our_keys() - recbole_keys()


def test_the_readmes_table_of_methods_lists_every_method():
    table = README[README.index("| --model= |") :]
    rows = re.findall(r"^\| (\w+) \|", table[: table.index("\n\n")], re.M)
    assert rows == method_names()


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


# claims, from the result files alone


def gap(file, name, other, key=TEST):
    source = result(file)
    ones, others = source.by_seed(name, key), source.by_seed(other, key)
    return paired(list(ones.values()), [others[seed] for seed in ones])


def row_of(file, start):
    return next(name for name in result(file).names() if name.startswith(start))


def above_in_every_seed(file, name, others, key=TEST):
    source = result(file)
    return all(
        source.by_seed(name, key)[seed] > source.by_seed(other, key)[seed]
        for other in others
        for seed in source.seeds()
    )


CLAIMED = [file for label, file in HEADLINE.items() if not label.startswith("ml-100k")]


@pytest.mark.parametrize("method", ["MKD", "Distiller"])
@pytest.mark.parametrize("file", CLAIMED)
def test_a_student_of_the_headline_passes_its_teacher_in_each_of_five_seeds(file, method):
    name = row_of(file, method)
    assert len(result(file).seeds()) == 5 and above_in_every_seed(file, name, ["teacher"])
    test = gap(file, name, "teacher")
    assert test["t_low"] > 0 and test["p"] < 0.05
    (small,), (large,) = (set(result(file).values(row, "parameters")) or {None} for row in (name, "teacher"))
    assert small is None or small * 10 == large


def test_on_ml_100k_the_student_is_not_told_apart_from_its_teacher():
    file = HEADLINE["ml-100k, BPR 200 → BPR 20"]
    test = gap(file, row_of(file, "MKD"), "teacher")
    assert test["t_low"] < 0 < test["t_high"]


def test_the_rows_that_confirm_hold_after_holms_correction_and_as_many_of_all_rows_as_the_readme_says():
    rows = goals.goal_rows()
    starred = goals.confirming(rows)
    assert len(starred) >= 10 and all(p < 0.05 for _, p in goals.corrected(starred)[1])
    files = {f"`{name}.json`" for name in CLAIMED}
    reached = [row for row in rows if row[1] == "reached"]
    corrected = goals.corrected(rows)[1]
    held = [p < 0.05 for row, (_, p) in zip(reached, corrected, strict=True) if row[-1] in files]
    assert (sum(held), len(held)) == (3, 8) and "three of the eight do" in " ".join(README.split())


def test_recall_at_10_is_passed_where_the_readme_says_and_not_elsewhere():
    recall = "test_recall@10"
    light, city = "methods-citeulike-lightgcn-tuned", "methods-citeulike-tuned"
    for file, method in ((light, "MKD"), (light, "Distiller"), (city, "Distiller")):
        assert gap(file, row_of(file, method), "teacher", recall)["t_low"] > 0
    draw = gap(city, "MKD", "teacher", recall)
    assert draw["t_low"] < 0 < draw["t_high"]
    for file in ("methods-ml-1m-neighbours-6-10", "methods-ml-1m-lightgcn"):
        assert gap(file, row_of(file, "MKD"), "teacher", recall)["t_high"] < 0


@pytest.mark.parametrize(("file", "number", "students"), [
    ("hetcomp-citeulike-tuned", 3, ["HetComp", "SLD"]), ("hetcomp-citeulike-five", 5, ["HetComp"]),
])  # fmt: skip
def test_a_student_of_several_teachers_passes_each_of_them_in_each_seed(file, number, students):
    source = result(file)
    teachers = [name for name in source.names() if name.startswith("teacher ")]
    assert len(teachers) == number and len(source.seeds()) == 5
    for name in (row_of(file, start) for start in students):
        assert above_in_every_seed(file, name, teachers)
    assert above_in_every_seed(file, "ensemble", ["HetComp"])


def test_neighbours_bring_what_sharper_labels_do_not():
    near, plain = (result(f"methods-citeulike-tuned-16-20{more}") for more in ("", "-plain"))
    for name in near.settings["methods"]:
        with_them, without, sharper = (
            list(source.by_seed(row, TEST).values())
            for source, row in ((near, name), (plain, name), (plain, f"{name} --sld_tau=0.5"))
        )
        assert paired(with_them, without)["t_low"] > 0
        test = paired(sharper, without)
        assert test["t_low"] < 0 < test["t_high"]
        assert gap(plain.name, name, "teacher")["t_high"] < 0 < gap(near.name, name, "teacher")["t_low"]


def test_a_twentieth_of_the_width_passes_its_teacher_on_seeds_of_its_own_only_in_ndcg():
    first, again = "methods-citeulike-tuned-10", "methods-citeulike-tuned-10-16-20"
    keys = [result(name).settings["keys"] for name in (first, again)]
    assert keys[0] == keys[1] and not set(result(first).seeds()) & set(result(again).seeds())
    name = row_of(again, "Distiller")
    assert all(above_in_every_seed(file, name, ["teacher"]) for file in (first, again))
    recall = gap(again, name, "teacher", "test_recall@10")
    assert gap(again, name, "teacher")["t_low"] > 0 > recall["t_low"] and recall["t_high"] > 0


def test_no_weight_of_mkd_or_pckd_is_told_apart_from_the_default():
    for file in ("mkd-weights-ml-100k", "pckd-weights-ml-100k"):
        default, *others = result(file).settings["methods"]
        for name in others:
            test = gap(file, name, default)
            assert test["t_low"] < 0 < test["t_high"]


def test_protocol_a_is_met_where_its_page_says():
    source = result("protocol-a")
    for name, published in (("teacher", 0.0155), ("RCEKD", 0.0152), ("RRD", 0.0135)):
        assert abs(source.mean(name, TEST) / published - 1) < 0.01
    methods = [name for name in source.settings["methods"] if name != "MKD-neighbours"]
    best = max(methods, key=lambda name: source.mean(name, TEST) if name != "MKD" else 0)
    assert best == "RCEKD" and above_in_every_seed("protocol-a", "MKD-neighbours", ["teacher", best])
    assert gap("protocol-a", "RCEKD", "teacher")["t_high"] > 0 > gap("protocol-a", "MKD", "teacher")["t_high"]


def test_the_same_runs_give_the_same_figures_in_both_files_of_citeulike():
    report, runs = result("compare-citeulike"), result("methods-citeulike-tuned")
    for name in runs.names():
        label = "SLD and RCEKD" if name.startswith("Distiller") else name
        assert report.by_seed(label, TEST) == pytest.approx(runs.by_seed(name, TEST), abs=1e-7)


def test_projectors_keep_the_head_of_the_list_only_at_the_new_settings():
    source = result("preferences-ml-100k")

    def rates(name):
        runs = [record["values"] for record in source.of(name)]
        pairs = [[run["by_fifth"][one][two] for run in runs] for one, two in ((0, 0), (0, -1), (-1, -1))]
        return [sum(one) / len(one) for one in ([run["uniform"] for run in runs], *pairs)]

    without, before, now = map(rates, ("PCKD --cpd_weight=0", "PCKD --cpd_tau=0.1 --cpd_rows=16", "PCKD"))
    assert all(one > other for one, other in zip(before, without, strict=True))
    assert now[1] < without[1] - 0.03 and all(abs(now[kind] - without[kind]) < 0.02 for kind in (0, 2, 3))


@pytest.mark.parametrize(("ones", "word"), [
    ([0.3, 0.31, 0.32, 0.33, 0.34], "reached"), ([0.3, 0.31, 0.32, 0.33], "so far"), ([0.3], "one seed"),
    ([0.1, 0.11, 0.12, 0.13, 0.14], "**no**"), ([0.1, 0.3, 0.19, 0.21, 0.2], "undecided"),
])  # fmt: skip
def test_the_word_for_a_goal(ones, word):
    seeds = [{"MKD --x=1": one, "teacher A": 0.2, "teacher B": 0.1} for one in ones]
    line = goals.goal_row("goal", "file", seeds, "MKD")
    assert line[1] == word and line[3] == "0.2000" and line[6] == len(ones)
    for wrong in ([*seeds, {"teacher A": 0.2}], [{"SLD": 0.1, "teacher A": 0.2}]):
        with pytest.raises(ValueError, match="each seed"):
            goals.goal_row("goal", "file", wrong, "MKD")
