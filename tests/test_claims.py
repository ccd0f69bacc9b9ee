"""Claims of docs/results.md, computed from the committed result files."""

from pathlib import Path

import pytest

from benchmarks.result import result
from recbole_kd.evaluation.statistics import paired
from tools.docs import goals
from tools.docs.accuracy import HEADLINE, TEST

RESULTS = (Path(__file__).resolve().parent.parent / "docs/results.md").read_text(encoding="utf-8")


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


def test_the_rows_that_confirm_hold_after_holms_correction_and_as_many_of_all_rows_as_the_results_say():
    rows = goals.goal_rows()
    starred = goals.confirming(rows)
    assert len(starred) >= 10 and all(p < 0.05 for _, p in goals.corrected(starred)[1])
    files = {f"`{name}.json`" for name in CLAIMED}
    reached = [row for row in rows if row[1] == "reached"]
    corrected = goals.corrected(rows)[1]
    held = [p < 0.05 for row, (_, p) in zip(reached, corrected, strict=True) if row[-1] in files]
    assert (sum(held), len(held)) == (3, 8) and "three of the eight do" in " ".join(RESULTS.split())


def test_recall_at_10_is_passed_where_the_results_say_and_not_elsewhere():
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
