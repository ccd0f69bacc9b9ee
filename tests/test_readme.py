"""The README's figures are those of the result files beside it."""

import importlib.util
import itertools
import json
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_kd.config.parsing import parse_value
from recbole_kd.evaluation.statistics import holm, paired

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
METHODS = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
PROTOCOL = (ROOT / "docs/protocol-a.md").read_text(encoding="utf-8")


def result_of(name):
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())


def gap_of(runs, name, other, metric="ndcg@10"):
    return paired(*([run[row]["test_result"][metric] for run in runs] for row in (name, other)))


def interval(one, sign="+"):
    return f"{one['difference']:{sign}.4f} [{one['t_low']:{sign}.4f}, {one['t_high']:{sign}.4f}]"


def figures_of(line):
    return [float(figure) for figure in re.findall(r"0\.\d{4}", line)]


def test_the_differences_on_ml_100k_are_those_of_their_result_files():
    found, text = result_of("mkd-ml-100k")["test_result"], " ".join(README.split())
    over, draw = (found[f"distilled - {other}"] for other in ("student_alone", "teacher"))
    assert (
        f"above alone by {over['mean']:+.4f}, paired 95% interval [{over['low']:+.4f}, {over['high']:+.4f}]; above the "
        f"teacher by {draw['mean']:+.4f} [{draw['low']:+.4f}, {draw['high']:+.4f}], which is a draw" in text
    )
    runs = list(result_of("methods-ml-100k")["runs"].values())
    gaps = [interval(gap_of(runs, "MKD --learning_rate=0.003", other)) for other in ("student alone", "teacher")]
    assert f"distilled above alone by {gaps[0]}, against the teacher {gaps[1]}." in text
    ends = [f"{statistics.fmean(run[name]['test_result']['ndcg@10'] for run in runs):.4f}" for name in
            ("teacher", "student alone", "MKD --learning_rate=0.003")]  # fmt: skip
    assert f"end at {ends[0]} for the teacher, {ends[1]} for the student alone and {ends[2]} for MKD:" in text


def test_the_cost_of_an_epoch_is_that_of_its_result_files():
    costs = [result_of(f"cost-{dataset}")["methods"]["MKD"] for dataset in ("citeulike", "ml-1m")]
    ratios, memory = ([f"{cost[key]:.{digits}f}" for cost in costs] for key, digits in
                      (("ratio", 1), ("extra_rss_mib", 0)))  # fmt: skip
    assert (
        f"MKD takes {ratios[0]} times as long as one of plain BPR 20 on citeulike and {ratios[1]} times on ml-1m, with "
        f"{memory[0]} MiB and {memory[1]} MiB more memory" in " ".join(README.split())
    )


def test_the_student_alone_at_its_better_rate_is_that_of_its_result_file():
    alone, mkd = (json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())["test_result"]
                  for name in ("hetcomp-ml-100k-seeds", "mkd-ml-100k"))  # fmt: skip
    found = paired(mkd["distilled"]["values"], alone["student_alone"]["values"])
    assert f"it reaches {alone['student_alone']['mean']:.4f} on" in README
    assert interval(found) in README


def test_when_it_pays_for_itself_is_that_of_its_result_file():
    files = sorted((ROOT / "benchmarks/results").glob("payback-citeulike*.json"))
    runs = [run for file in files if "others" not in file.name for run in json.loads(file.read_text())["runs"]]
    ratios = [run["methods"]["MKD"]["ratio"] for run in runs]
    assert len(runs) == 6 and f"after {statistics.median(ratios):.0%} of the time" in README
    assert f"{min(ratios):.0%} to {max(ratios):.0%}" in README


@pytest.mark.parametrize(("script", "page"), [
    ("picture.py", "methods.svg"), ("scale.py", "scale.svg"), ("cost.py", "cost.md"), ("goals.py", "goals.md"),
    ("keys.py", "keys.md"),
])  # fmt: skip
def test_what_is_made_of_the_result_files_is_as_it_is_made(script, page):
    run = subprocess.run([sys.executable, f"docs/{script}"], cwd=ROOT, capture_output=True, check=True)
    asked = f"run: python docs/{script} > docs/{page}"
    assert run.stdout.decode() == (ROOT / "docs" / page).read_text(encoding="utf-8"), asked


def test_what_neighbours_bring_on_larger_data_is_as_the_result_files_say():
    names = ("methods-citeulike-neighbours", "methods-ml-1m-neighbours")
    citeulike, large = (json.loads((ROOT / f"benchmarks/results/{name}.json").read_text()) for name in names)
    text = " ".join(README.split())
    means = [found["summary"]["MKD"]["ndcg@10"]["mean"] for found in (citeulike, large)]
    assert f"MKD is at {means[0]:.4f} on citeulike and at {means[1]:.4f} on ml-1m, where the five seeds" in text
    assert len(large["runs"]) == 5


def test_what_neighbours_bring_on_other_seeds_and_at_half_the_width_is_as_the_result_files_say():
    names = ("neighbours-6-10", "10", "neighbours")
    again, narrow, first = (
        json.loads((ROOT / f"benchmarks/results/methods-citeulike-{name}.json").read_text()) for name in names
    )
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    text = " ".join(page.split())

    def gap(*found):
        runs = [run for one in found for run in one["runs"].values()]
        own, teacher = ([run[row]["test_result"]["ndcg@10"] for run in runs] for row in ("MKD", "teacher"))
        compared = paired(own, teacher)
        assert len(runs) == 5 * len(found)
        return compared, interval(compared)

    alone = result_of("methods-citeulike-neighbours-6-10-decay")["summary"]["student alone"]["ndcg@10"]["mean"]
    assert f"a rate of 0.003 ends at {alone:.4f} on these seeds" in text
    assert all(gap(found)[1] in page for found in (again, narrow))
    assert f"p {gap(again)[0]['p']:.4f}, which is the p to go by" in text
    assert f"Over all ten seeds, those that were explored on among them: {gap(first, again)[1]}." in text
    assert f"{narrow['summary']['MKD']['ndcg@10']['share']:.0%} of the way to the teacher" in text
    assert f"(p {gap(narrow)[0]['p']:.4f})" in text


def test_how_far_neighbours_carry_a_student_is_that_of_the_result_files():
    both = [json.loads((ROOT / f"benchmarks/results/methods-citeulike-{name}.json").read_text())["runs"] for name in
            ("neighbours", "best")]  # fmt: skip
    mkd, without = ([run["MKD"]["test_result"]["ndcg@10"] for run in runs.values()] for runs in both)
    teacher, read = ([run[name]["test_result"]["ndcg@10"] for run in both[0].values()]
                     for name in ("teacher", "with its neighbours"))  # fmt: skip
    gain, over, behind = (paired(mkd, other) for other in (teacher, without, read))
    text = " ".join((ROOT / "docs/methods.md").read_text(encoding="utf-8").split())
    assert min(one - other for one, other in zip(mkd, teacher, strict=True)) > 0 and len(mkd) == 5
    assert interval(gain) in text and interval(over) in text
    assert f"{-behind['difference']:.4f} [{-behind['t_high']:.4f}, {-behind['t_low']:.4f}]" in text
    assert f"of MKD's p, {gain['p']:.3f}," in text
    light = result_of("methods-citeulike-lightgcn-neighbours")["runs"].values()
    assert f"each of the five seeds (p {gap_of(light, 'MKD', 'teacher')['p']:.4f}; " in text


def test_what_is_said_of_the_lightgcn_at_half_the_width_is_in_its_result_file():
    found = result_of("methods-citeulike-lightgcn-10")
    runs, (mkd, mix) = list(found["runs"].values()), found["methods"][1:]
    gaps = {name: gap_of(runs, name, "teacher") for name in (mkd, mix)}
    ps = [gap["p"] for gap in gaps.values()]
    above = {name: [run[name]["test_result"]["ndcg@10"] > run["teacher"]["test_result"]["ndcg@10"] for run in runs]
             for name in gaps}  # fmt: skip
    page = METHODS[METHODS.index("#### citeulike, LightGCN 200 -> LightGCN 10") :]
    text, readme = " ".join(page[: page.index("\n### ")].split()), " ".join(README.split())
    assert list(found["runs"]) == ["6", "7", "8", "9", "10"] and all(above[mix]) and sum(above[mkd]) == 4
    assert f"in each of the five seeds, p {ps[1]:.2g}, by Holm's correction for the two {holm(ps)[1]:.2g}: by" in text
    assert f"MKD is not told apart from the teacher, p {ps[0]:.2g}, above it in four seeds of five" in text
    assert f"A LightGCN 10 is {interval(gaps[mix], '')} above its LightGCN 200 on citeulike under the mix" in readme
    assert f"by little evidence (p {ps[1]:.2g}); under MKD it is not told apart." in readme
    assert gaps[mix]["t_low"] > 0 > gaps[mkd]["t_low"]


def test_what_is_said_of_the_tuned_lightgcn_is_in_its_result_file():
    found = result_of("methods-citeulike-lightgcn-tuned")
    runs, (mkd, mix) = found["runs"].values(), found["methods"][1:]
    gaps = [gap_of(runs, name, "teacher") for name in (mkd, mix)]
    wider = [interval(gap_of(runs, name, "teacher", "recall@10")) for name in (mkd, mix)]
    ps = [gap["p"] for gap in gaps]
    page = METHODS[METHODS.index("#### citeulike, LightGCN tuned") :]
    text = " ".join(page[: page.index("\n### ")].split())
    scores = [[run[name]["test_result"]["ndcg@10"] for name in (mkd, mix, "teacher")] for run in runs]
    assert list(found["runs"]) == ["6", "7", "8", "9", "10"] and all(min(one[:2]) > one[2] for one in scores)
    holms = [f"{p:.2g}" for p in holm(ps)]
    assert f"p {ps[0]:.2g} and {ps[1]:.2g}, by Holm's correction for the two {holms[0]} and {holms[1]};" in text
    assert f"in recall@10 too, MKD by {wider[0]}, the mix by {wider[1]}." in text
    valid = {
        name: f"{row['ndcg@10']['mean']:.4f}" for name, row in result_of("tune-citeulike-lightgcn")["summary"].items()
    }
    assert f"MKD is at {valid[mkd]} and the mix of SLD and RCEKD at {valid[mix]} (" in text


def test_what_is_said_of_the_lightgcn_on_ml_1m_is_in_its_result_files():
    found, half = (result_of(f"methods-ml-1m-lightgcn{more}") for more in ("", "-10"))
    runs, (mkd, mix) = list(found["runs"].values()), found["methods"][1:]
    gaps = [gap_of(runs, name, "teacher") for name in (mkd, mix)]
    ps, above = [gap["p"] for gap in gaps], (run[name]["test_result"]["ndcg@10"] for run in runs for name in (mkd, mix))
    teachers = (run["teacher"]["test_result"]["ndcg@10"] for run in runs for _ in (mkd, mix))
    assert list(found["runs"]) == list(half["runs"]) == ["6", "7", "8", "9", "10"]
    assert all(one > other for one, other in zip(above, teachers, strict=True))
    page = METHODS[METHODS.index("#### ml-1m, LightGCN 200 -> LightGCN 20") :]
    text = " ".join(page[: page.index("\n### ")].split())
    holms = [f"{p:.2g}" for p in holm(ps)]
    assert f"p {ps[0]:.2g} and {ps[1]:.2g}, by Holm's correction for the two {holms[0]} and {holms[1]}." in text
    mkd, mix = half["methods"][1:]
    shares = [half["summary"][name]["ndcg@10"]["share"] for name in (mkd, mix)]
    assert (
        f"MKD recovers {shares[0]:.0%} of the way to the teacher and the mix {shares[1]:.0%}, below it in each" in text
    )
    wide, narrow = found["runs"], half["runs"]
    for seed, run in narrow.items():
        low, high = (one["test_result"]["ndcg@10"] for one in (wide[seed]["student alone"], run["teacher"]))
        assert all(low < run[name]["test_result"]["ndcg@10"] < high for name in (mkd, mix))


def module_of(name):
    """A script of docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_what_the_readme_says_under_its_first_table_is_in_the_result_files():
    text, tables = " ".join(README.split()), module_of("tables")
    files = dict(tables.BEST)
    settled = {place: list(result_of(name)["runs"].values()) for place, name in files.items()}
    chosen = settled.pop("ml-100k, BPR 200 → BPR 20")

    def gap(place, start, metric="ndcg@10"):
        row = next(row for row in settled[place][0] if row.startswith(start))
        return gap_of(settled[place], row, "teacher", metric)

    # "in each of five seeds"
    for place, runs in settled.items():
        for start in ("MKD", "Distiller"):
            row = next(row for row in runs[0] if row.startswith(start))
            above = [run[row]["test_result"]["ndcg@10"] > run["teacher"]["test_result"]["ndcg@10"] for run in runs]
            assert len(above) == 5 and all(above) and gap(place, start)["t_low"] > 0
    name = next(row for row in chosen[0] if row.startswith("MKD"))
    draw = gap_of(chosen, name, "teacher")
    assert draw["t_low"] < 0 < draw["t_high"]  # "not told apart"
    # "In recall@10"
    light, city = "citeulike, LightGCN 200 → LightGCN 20", "citeulike, BPR 200 → BPR 20"
    assert all(
        gap(*both, "recall@10")["t_low"] > 0 for both in ((light, "MKD"), (light, "Distiller"), (city, "Distiller"))
    )
    assert f"the mix's by little, p {gap(light, 'Distiller', 'recall@10')['p']:.3f})" in text
    draw = gap(city, "MKD", "recall@10")
    assert draw["t_low"] < 0 < draw["t_high"]
    # "by Holm's correction"
    goals = module_of("goals")
    lines = [goals.of_file(*goal) for goal in goals.GOALS]
    starred = [line for line in lines if line[0].endswith("\\*")]
    assert all(p < 0.05 for _, p in goals.corrected(starred)[1])
    shown = {f"`{name}.json`" for name in files.values()}
    place = [(line[-1], line[1]) for line in lines if line[1] == "reached"]
    held = [p < 0.05 for (file, _), (_, p) in zip(place, goals.corrected(lines)[1], strict=True) if file in shown]
    assert len(held) == 8 and sum(held) == 3 and "exploring ones too, three of the eight do" in text
    assert all(gap(place, "MKD", "recall@10")["t_high"] < 0 for place in settled if place.startswith("ml-1m"))
    # the way without neighbours
    shares = [
        result_of(name)["summary"]["MKD"]["ndcg@10"]["share"] for name in ("methods-citeulike-best", "methods-ml-1m")
    ]
    assert f"under a teacher without weight decay MKD {shares[0]:.0%}; {shares[1]:.0%} on ml-1m," in text
    asked = result_of(files[city])["summary"]["with its neighbours"]["ndcg@10"]["mean"]
    assert f"asked with its neighbours, is at {asked:.4f} on citeulike" in text


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_a_table_ends_before_the_next_line_of_text(page):
    lines = page.read_text(encoding="utf-8").split("\n")
    for line, after in itertools.pairwise(lines):
        assert not line.startswith("|") or after.startswith(("|", "<!--")) or not after.strip(), after


def test_the_tables_are_as_they_are_made():
    tables = module_of("tables")
    for text, number in ((README, 3), (METHODS, 39), (PROTOCOL, 2)):
        assert tables.filled(text) == text, "run: python docs/tables.py"
        spots = re.findall(r"<!-- table: .+? -->\n\n\| .*\n\| --- ", text)
        assert len(spots) == text.count("<!-- table: ") == number
        wrong = tables.SPOT.sub(lambda spot: spot[0].replace("| 0.", "| 1."), text)
        assert tables.filled(wrong) == text != wrong


def paragraphs_of(text):
    """The prose of a page: each paragraph with the result files that its section names."""
    for section in re.split(r"\n(?=#+ )", text):
        said = set(re.findall(r"([\w-]+)\.json", section)) | set(re.findall(r"<!-- table: \w+ ([\w-]+)", section))
        files = [name for name in sorted(said) if (ROOT / f"benchmarks/results/{name}.json").is_file()]
        for paragraph in section.split("\n\n"):
            if not paragraph.startswith(("|", "<!--")):
                yield " ".join(paragraph.split()), files


def numbers_in(found):
    """All numbers of a result file, as they are written."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        return {text for one in found for text in numbers_in(one)}
    return {f"{found:.4f}"} if isinstance(found, float) else set()


def seeds_in(found):
    """The rows of a result file's runs by seed, each a name to its metrics by part."""
    runs = found.get("runs", {}) if isinstance(found, dict) else {}
    if isinstance(runs, list):
        return {str(run.get("seed", place)): run.get("rows", run) for place, run in enumerate(runs, 1)}
    if any(isinstance(rows, list) for rows in runs.values()):  # a method's, a run a seed
        return {
            str(seed): dict(zip(runs, rows, strict=True))
            for seed, rows in enumerate(zip(*runs.values(), strict=True), 1)
        }
    return runs


def is_a_gap(said, files):
    """Whether the paired difference of two rows over all seeds of a file, or of two files, is written so."""
    by_file = [seeds_in(one) for one in files]
    for one, other in itertools.product(by_file, repeat=2):
        seeds = [seed for seed in one if seed in other]
        if len(seeds) < 2 or len(seeds) < len(one):
            continue
        for metric, name, base in itertools.product(("ndcg@10", "recall@10"), one[seeds[0]], other[seeds[0]]):
            runs = [{"a": one[seed].get(name), "b": other[seed].get(base)} for seed in seeds]
            if all(isinstance(row, dict) and "test_result" in row for run in runs for row in run.values()):
                values = ([run[row]["test_result"][metric] for run in runs] for row in "ab")
                mean = statistics.fmean(mine - its for mine, its in zip(*values, strict=True))
                if abs(mean - float(said.split(" ")[0])) < 1e-4:
                    gap = gap_of(runs, "a", "b", metric)
                    if said in (interval(gap), interval(gap, "")):
                        return True
    return False


OF_TEN_SEEDS = "+0.0030 [+0.0019, +0.0040]"  # of two files' seeds together: it has a test of its own


def test_the_figures_in_the_prose_of_methods_are_in_the_files_that_its_section_names():
    """A net: a figure that no file of its section holds is wrong or lacks its file. Some sentences have more."""
    seen = 0
    for paragraph, names in paragraphs_of(METHODS):
        files = [result_of(name) for name in names]
        said = re.findall(r"[+-]?0\.\d{4} \[[^]]+\]", paragraph)
        for text in said:
            assert text == OF_TEN_SEEDS or is_a_gap(text, files), (text, paragraph)
            paragraph = paragraph.replace(text, "")
        paragraph = re.sub(r"\b(p|the two) 0\.\d+( and 0\.\d+)?", "", paragraph)  # p-values: held elsewhere
        single = set(re.findall(r"(?<![\d.])0\.\d{4}\b", paragraph))
        missing = single - {text for one in files for text in numbers_in(one)}
        assert not missing, (missing, paragraph)
        seen += len(said) + len(single)
    assert seen > 100


def test_every_key_that_the_readme_names_exists():
    from recbole_kd.config.recbole_schema import recbole_keys
    from recbole_kd.config.schema import kd_keys as our_keys

    keys = re.findall(r"--(?:teacher\.|student\.)?([a-z_]+)=", README)
    benchmarks = {"seeds", "key", "methods", "alone"}
    assert keys and not set(keys) - benchmarks - our_keys() - recbole_keys()


def test_what_is_said_of_kept_preferences_is_in_its_result_file():
    found = result_of("preferences-ml-100k")["summary"]

    def turned(name):
        grid = found[name]["by_fifth"]
        return [found[name]["uniform"], grid[0][0], grid[0][-1], grid[-1][-1]]

    without, theirs, ours = map(turned, ("PCKD --cpd_weight=0", "PCKD --cpd_tau=0.1 --cpd_rows=16", "PCKD"))
    assert all(one > other for one, other in zip(theirs, without, strict=True))  # "for each kind of pair"
    assert ours[1] < without[1] - 0.03 and all(abs(ours[kind] - without[kind]) < 0.02 for kind in (0, 2, 3))
    gain = found["PCKD"]["over_first"]
    assert f"no better beyond chance ({gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}] on" in " ".join(
        METHODS.split()
    )


def test_what_is_said_of_several_teachers_on_ml_100k_is_in_its_result_files():
    fast, slow = (result_of(f"hetcomp-ml-100k-seeds{more}") for more in ("", "-slow"))
    text = " ".join(METHODS.split())
    rates = [[f"{found['valid_result'][row]['mean']:.4f}" for found in (slow, fast)] for row in
             ("distilled", "student_alone")]  # fmt: skip
    assert f"validation {' against '.join(rates[0])} (means of the five seeds)" in text
    assert f"learns better at 0.005 too: validation {rates[1][1]} against {rates[1][0]}" in text
    alone = fast["test_result"]["distilled - student_alone"]
    assert f"Distilled over alone p {alone['p']:.2g};" in text
    ensemble = fast["test_result"]["recovered_share"]
    assert f"That is {ensemble:.0%} of the way from alone to all five" in text


def test_what_is_said_of_three_tuned_teachers_is_in_its_result_file():
    found = result_of("hetcomp-citeulike-tuned")
    runs = [run["rows"] for run in found["runs"]]
    sld = next(name for name in runs[0] if name.startswith("SLD"))
    teachers = [f"teacher {name}" for name in ("BPR", "LightGCN", "ItemKNN")]
    assert [run["seed"] for run in found["runs"]] == [6, 7, 8, 9, 10]
    for name in ("HetComp", sld):  # "each of their three tuned teachers, in each of the five seeds"
        for run in runs:
            best = max(run[teacher]["test_result"]["ndcg@10"] for teacher in teachers)
            assert best < run[name]["test_result"]["ndcg@10"]
    # "HetComp's is below the three's consensus by rank in each seed"
    assert all(run["HetComp"]["test_result"]["ndcg@10"] < run["ensemble"]["test_result"]["ndcg@10"] for run in runs)
    mean = {name: statistics.fmean(run[name]["test_result"]["ndcg@10"] for run in runs) for name in runs[0]}
    own, other = (gap_of(runs, name, "teacher LightGCN") for name in ("HetComp", sld))
    text, readme = " ".join(METHODS.split()), " ".join(README.split())
    said = f"by {interval(own)}, p {own['p']:.2g}, SLD's by {interval(other)}, p {other['p']:.2g}; SLD's is above"
    assert said in text and max(mean[teacher] for teacher in teachers) == mean["teacher LightGCN"]
    share = (mean[sld] - mean["student alone"]) / (mean["ensemble"] - mean["student alone"])
    size = runs[0][sld]["parameters"] / runs[0]["ensemble"]["parameters"]
    assert (
        f"for {share:.0%} of the way from the student alone" in text
        and f"with {size:.0%} of the three teachers'" in text
    )
    said = f"{mean[sld]:.4f} under SLD and {mean['HetComp']:.4f} under HetComp against "
    assert said + "{:.4f}, {:.4f} and {:.4f} (".format(*(mean[teacher] for teacher in teachers)) in readme


def test_what_is_said_of_five_teachers_on_citeulike_is_in_its_result_file():
    found, three = (result_of(f"hetcomp-citeulike-{name}") for name in ("five", "tuned"))
    runs = [run["rows"] for run in found["runs"]]
    assert [run["seed"] for run in found["runs"]] == [6, 7, 8, 9, 10] and len(found["teachers"]) == 5
    for run, other in zip(runs, three["runs"], strict=True):
        teachers = [row["test_result"] for name, row in run.items() if name.startswith("teacher ")]
        run["of three"] = other["rows"]["HetComp"]
        best = max(row["ndcg@10"] for row in teachers)
        assert len(teachers) == 5 and best < run["HetComp"]["test_result"]["ndcg@10"]
    mean = {name: statistics.fmean(run[name]["test_result"]["ndcg@10"] for run in runs) for name in runs[0]}
    first = max((name for name in mean if name.startswith("teacher ")), key=mean.get)
    best, text, readme = gap_of(runs, "HetComp", first), " ".join(METHODS.split()), " ".join(README.split())
    size = runs[0]["HetComp"]["parameters"] / runs[0]["ensemble"]["parameters"]
    said = f"above LightGCN, the best of them, by {interval(best)}, p {best['p']:.2g}, with {size:.1%} of the"
    assert first == "teacher LightGCN" and said in text
    assert f"in each of five seeds, the best of them by {interval(best, '')}, and" in readme
    both = [[run[name]["test_result"]["ndcg@10"] for run in runs] for name in ("HetComp", "of three")]
    assert all(own > other for own, other in zip(*both, strict=True))
    own, other = (f"{statistics.fmean(values):.4f}" for values in both)
    assert f"HetComp's student of the three in each seed, {own} against {other} (" in text
    share = (mean["HetComp"] - mean["student alone"]) / (mean["ensemble"] - mean["student alone"])
    behind = interval(gap_of(runs, "ensemble", "HetComp"), "")
    assert f"consensus by rank it is by {behind}, {share:.0%} of the way" in text


def test_two_processes_end_as_the_page_says():
    text = (ROOT / "docs/processes.md").read_text(encoding="utf-8")
    one, two = (json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())["test_result"]["distilled"]
                for name in ("mkd-ml-100k", "mkd-ml-100k-two-processes"))  # fmt: skip
    for row in (one, two):
        assert f"{row['mean']:.4f} ± {row['sd']:.4f}" in text
    gap = paired(two["values"], one["values"])
    assert interval(gap) in text


def test_what_is_said_of_the_way_along_the_trajectories_is_in_its_result_files():
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    walk = result_of("walk-ml-100k")
    assert {run["all_last_from_epoch"] for run in walk["runs"]} == {50, 60}
    epochs = [run["epochs"] for run in walk["runs"]]
    assert f"epoch 50 or 60 of {min(epochs)} to {max(epochs)}" in " ".join(text.split())
    assert {max(run["comparisons"]) for run in walk["runs"]} == {4, 5}


def test_what_is_said_of_protocol_a_is_in_its_result_files():
    said = " ".join(PROTOCOL.split())
    rows = result_of("protocol-a")["datasets"]["citeulike-fileorder"]["rows"]
    test = {name: row["metrics"]["ndcg@10"] for name, row in rows.items()}
    for name, printed in (("teacher", 0.0155), ("RCEKD", 0.0152), ("RRD", 0.0135)):
        assert abs(test[name]["mean"] / printed - 1) < 0.01
    assert f"alone is {test['student alone']['mean'] / 0.0098 - 1:.0%} better than the published" in said
    below = 1 - rows["teacher"]["metrics"]["recall@20"]["mean"] / 0.0442
    assert f"near the printed .0442, where ours is {below:.0%} below" in said
    assert f"ends after {rows['teacher']['epochs']:.0f} on average" in said
    het, dcd = (test[name]["mean"] / printed - 1 for name, printed in (("HetComp", 0.0135), ("DCD", 0.0136)))
    assert f"HetComp's is {het:.0%} above the printed one and DCD's {-dcd:.0%} below" in said
    inside = test["DCD-relaxed"]["mean"] / 0.0136 - 1
    assert f"with RRD inside (`DCD-relaxed`) {inside:.0%} above" in said
    values = {name: list(own["values"].values()) for name, own in test.items()}
    gaps = [paired(values["DCD-relaxed"], values[name]) for name in ("DCD", "RRD")]
    both = [f"{test[name]['share']:.0%}" for name in ("DCD-relaxed", "DCD")]
    assert f"recovers {both[0]} for {both[1]}, {interval(gaps[0])}" in said
    assert f"not told apart from RRD, {interval(gaps[1])}" in said and gaps[1]["t_low"] < 0 < gaps[1]["t_high"]
    assert f"level with one another, p {paired(values['RCEKD'], values['MKD'])['p']:.2f}" in said
    ours, best = values["MKD-neighbours"], max(("RCEKD", "RRD", "DCD", "HetComp"), key=lambda name: test[name]["mean"])
    assert best == "RCEKD" and "in each of the five seeds it is above both" in said
    for other, words in (("teacher", "the teacher"), ("RCEKD", "RCEKD, the best of the published methods")):
        found = paired(ours, values[other])
        assert (
            all(one > two for one, two in zip(ours, values[other], strict=True)) and "in each of the five seeds" in said
        )
        gap = f"{found['difference']:+.4f} [{found['t_low']:+.4f}, {found['t_high']:+.4f}]"
        assert f"{gap} over {words}, p {found['p']:.1g}" in said
    assert test["RCEKD"]["against_teacher"]["t_high"] > 0 > test["MKD"]["against_teacher"]["t_high"]
    shares = {name: sorted(
        (test[name]["values"][seed] - alone) / (test["teacher"]["values"][seed] - alone)
        for seed, alone in test["student alone"]["values"].items()
    ) for name in ("RCEKD", "RRD", "DCD", "DCD-relaxed", "HetComp", "MKD")}  # fmt: skip
    for name, own in shares.items():
        name = {"DCD-relaxed": "with RRD inside"}.get(name, name)
        assert re.search(rf"{name}\b[^.]*? {own[0]:.0%} to {own[-1]:.0%}", said), (name, own)
    beside = {
        "teacher with its neighbours": "with its neighbours", "MKD, `neighbour_weight` 1, weight decay 4.9e-9": "MKD",
    }  # fmt: skip
    summaries = [result_of(name)["summary"] for name in ("tune-protocol-a-neighbours", "tune-protocol-a")]
    assert summaries[0]["teacher"]["ndcg@10"] == summaries[1]["teacher"]["ndcg@10"]  # as it ranks by itself
    near, valid = ({tuple(shlex.split(name)): row["ndcg@10"] for name, row in own.items()} for own in summaries)
    lines = re.findall(r"^\| ([^|]+) \| (0\.\d{4}) \| (?:(\d+%) )?\|$", PROTOCOL, re.M)
    assert len(lines) == len(valid) + len(beside)
    asked = {
        "MKD": "--weight_decay=4.9e-7", "MKD, weight decay 4.9e-9": "--weight_decay=4.9e-9",
        "MKD, `sld_weight` 3": "--sld_weight=3.0",
        "RCEKD": "--rcekd_weight=500", "RCEKD, `rcekd_weight` 200": "--rcekd_weight=200",
        "RRD, weight decay 1e-4": "--weight_decay=0.0001", "RRD, weight decay 1e-3": "--weight_decay=0.001",
        "DCD, read every epoch, weight decay 1e-5": "--dcd_refresh=1",
        "DCD with RRD inside, weight decay 1e-5": "--dcd_relaxed_weight=10.0",
        "DCD, weight decay 1e-3": "--weight_decay=0.001", "DCD, weight decay 1e-4": "--weight_decay=0.0001",
    }  # fmt: skip
    for label, value, share in lines:
        name, key = beside.get(label, re.split(", | with ", label)[0]), asked.get(label)
        rows = [
            row for words, row in (near if label in beside else valid).items()
            if " ".join(words).startswith(name) and (not key or key in words)
        ]  # fmt: skip
        row = rows[0]  # of MKD the one that was measured first
        assert (value, share) == (f"{row['mean']:.4f}", f"{row['share']:.0%}" if "share" in row else "")
    first = result_of("protocol-a-seed-1")["datasets"]["citeulike-fileorder"]["rows"]
    earlier = [f"{first[name]['metrics']['ndcg@10']['share']:.0%}" for name in ("RRD", "DCD")]
    assert f"RRD had recovered {earlier[0]} and DCD {earlier[1]} on the test part of seed 1" in said
    assert f"RRD's {earlier[0]} there are more than the {shares['RRD'][0]:.0%} of the table's 1e-5" in said
    published = result_of("protocol-a")["datasets"]["citeulike-fileorder"]["rows"]
    recall = {name: own["metrics"]["recall@10"] for name, own in published.items()}
    there = (("teacher", 0.0283), ("RCEKD", 0.0278), ("RRD", 0.0251))
    away = [1 - recall[name]["mean"] / printed for name, printed in there]
    assert f"their recall@10 is {min(away):.0%} to {max(away):.0%} below the printed one" in said
    found = paired(*(list(recall[name]["values"].values()) for name in ("MKD-neighbours", "teacher")))
    assert f"In recall@10 it is not told apart from its teacher, {interval(found)}" in said
    assert found["t_low"] < 0 < found["t_high"]
    for file in re.findall(r"`(properties/recipe/[\w.-]+|benchmarks/plans/[\w.-]+)`", PROTOCOL):
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize(("ones", "word"), [
    ([0.3, 0.31, 0.32, 0.33, 0.34], "reached"), ([0.3, 0.31, 0.32, 0.33], "so far"), ([0.3], "one seed"),
    ([0.1, 0.11, 0.12, 0.13, 0.14], "**no**"), ([0.1, 0.3, 0.19, 0.21, 0.2], "undecided"),
])  # fmt: skip
def test_the_word_for_a_goal(ones, word):
    goals = module_of("goals")
    rows = [
        {"MKD --x=1": {"test_result": {"ndcg@10": one}}, "teacher A": {"test_result": {"ndcg@10": 0.2}},
         "teacher B": {"test_result": {"ndcg@10": 0.1}}} for one in ones
    ]  # fmt: skip
    line = goals.row("goal", "file.json", rows, "MKD", "teacher ")
    assert line[1] == word and line[3] == "0.2000" and line[6] == len(ones)
    for nothing in (None, [{"SLD": one["MKD --x=1"]} for one in rows]):
        assert goals.row("goal", "file.json", nothing, "MKD", "teacher ")[1] == "not run"
    with pytest.raises(ValueError, match="each seed"):
        goals.row("goal", "file.json", [*rows, {"teacher A": rows[0]["teacher A"]}], "MKD", "teacher ")


def test_the_page_of_goals_has_each_files_own_command():
    text = (ROOT / "docs/goals.md").read_text()
    files = set(re.findall(r"`([\w-]+\.json)` +\|\n", text))
    lines = re.findall(r"^python benchmarks/.*", text, re.M)
    files |= set(module_of("goals").TABLES)
    assert len(files) == len(lines)
    for line in lines:
        _, script, *words = shlex.split(line)
        said = dict(word.split("=", 1) for word in words)
        file = ROOT / said["--result_file"]
        assert (ROOT / script).is_file() and file.name in files
        found = json.loads(file.read_text())
        asked = [word for word in found["command"] if word not in ("--show_progress=False", "--resume=True")]
        assert words[-len(asked) :] == asked
        if "methods" in found:
            made = [one for one in found["methods"] if one != "with its neighbours"]
            assert (said["--methods"].split(";"), said["--alone"]) == (made, found["alone"])
        if "teachers" in found:
            assert parse_value("teachers", said["--teachers"]) == found["teachers"]


def test_the_main_jobs_table_is_that_of_its_result_file():
    found = json.loads((ROOT / "benchmarks/results/main-job-ml-100k.json").read_text())
    block = README[README.index("test               recall@10") :].splitlines()
    rows = {"teacher": found["teacher"], "student alone": found["student_alone"], "distilled (MKD)": found["distilled"]}
    for label, row in rows.items():
        cells = next(line for line in block if line.startswith(label)).removeprefix(label).split()
        assert cells[:5] == [f"{value:.4f}" for value in row["test_result"].values()]
        assert cells[5:7] == [f"{row['parameters']:,}", f"{row['bytes']:,}"]
    shares = next(line for line in block if line.startswith("recovered share")).split()[2:]
    worth = found["neighbours_worth"]
    assert worth["better"] and f"{worth['metric']} {worth['with']:.4f} against {worth['without']:.4f}: --n" in README
    ends = [[row["test_result"][metric] for row in rows.values()] for metric in found["teacher"]["test_result"]]
    assert shares == [f"{(mkd - alone) / (teacher - alone):.0%}" for teacher, alone, mkd in ends]


def test_the_single_figures_of_the_readme_are_those_of_their_result_files():
    text = " ".join(README.split())

    assert f"Recovered share of the means: {result_of('mkd-ml-100k')['test_result']['recovered_share']:.0%}." in text
    narrow = result_of("methods-ml-100k-10")["summary"]
    mkd, alone = (f"{narrow[name]['ndcg@10']['mean']:.4f}" for name in ("MKD --learning_rate=0.003", "student alone"))
    assert f"the student distilled by MKD ends at {mkd} with the same settings" in text
    assert f"whose settings were chosen at 20, at {alone} " in text
    decayed = next(
        row["ndcg@10"]["mean"] for name, row in result_of("methods-citeulike")["summary"].items()
        if name.startswith("student alone --")
    )  # fmt: skip
    page = " ".join((ROOT / "docs/methods.md").read_text(encoding="utf-8").split())
    assert f"with weight decay reaches {decayed:.4f} on the first three seeds" in page


def test_what_is_said_of_ml_1m_on_other_seeds_is_in_its_result_file():
    found = json.loads((ROOT / "benchmarks/results/methods-ml-1m-neighbours-6-10.json").read_text())
    runs = found["runs"].values()
    mkd, mix = (next(name for name in found["methods"] if name.startswith(start)) for start in ("MKD", "Distiller"))

    def gap(*asked):
        return gap_of(runs, *asked)

    tests = [gap(name, "teacher") for name in (mkd, mix)]
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    page = page[page.index("## ml-1m, five other seeds") :]
    text = " ".join(page.split())
    ps = [one["p"] for one in tests]
    assert f"p {ps[0]:.4f} and {ps[1]:.4f}, by Holm's correction for the two {max(holm(ps)):.4f}" in text
    assert all(interval(gap(name, "teacher", "recall@10")) in text for name in (mkd, mix))
    assert f"above MKD's student by {interval(gap('with its neighbours', mkd), '')}" in text


def test_the_teacher_that_could_be_stronger_is_that_of_its_result_files():
    rows = result_of("decay")
    wide = [row for row in rows if "--dataset=citeulike" in row["keys"] and row["embedding_size"] == 200]
    stopped = {row["weight_decay"]: f"{row['valid_ndcg@10']:.4f}" for row in wide if row["learning_rate"] == 0.001}
    decayed, plain = (result_of(f"tune-{name}")["summary"] for name in ("decayed-citeulike", "mix-citeulike"))
    mix = next(name for name in decayed if name.startswith("Distiller"))
    better, was, mkd, mixed, alone = (
        f"{found[name]['ndcg@10']['mean']:.4f}"
        for found, name in (
            (decayed, "teacher"),
            (plain, "teacher"),
            (decayed, "MKD"),
            (decayed, mix),
            (decayed, "student alone"),
        )
    )
    methods = " ".join((ROOT / "docs/methods.md").read_text(encoding="utf-8").split())
    assert f"{was} as in the tables" in methods and f"{better} with 1e-6" in methods
    said = f"at {stopped[0]} without, at {stopped[1e-6]} with 1e-6 and at {stopped[3e-6]} with 3e-6 (`decay.json`)"
    assert f"stopped by ndcg@10 {said}" in methods
    assert (
        f"MKD is at {mkd} there and the mix of SLD and RCEKD at {mixed}" in methods and f"decay at {alone}." in methods
    )
    large = [row for row in rows if "--dataset=ml-1m" in row["keys"] and row["embedding_size"] == 200]
    best = max(large, key=lambda row: row["valid_ndcg@10"])
    assert len(large) == 3 and best["weight_decay"] == 3e-6


def test_what_is_said_of_pckds_weights_is_in_their_result_file():
    runs = list(result_of("pckd-weights-ml-100k")["runs"].values())
    rows = [name for name in runs[0] if name.startswith("PCKD")]
    for name in rows:
        own, alone = gap_of(runs, name, rows[0]), gap_of(runs, name, "student alone")
        assert name == rows[0] or own["t_low"] < 0 < own["t_high"]
        assert alone["t_low"] < 0 < alone["t_high"] and gap_of(runs, name, "teacher")["t_high"] < 0
    less = next(name for name in rows if "de_weight=0.3" in name)
    assert f"a smaller weight of DE is near it: {interval(gap_of(runs, less, rows[0]))}" in METHODS


def test_a_tenth_of_the_numbers_again_passes_its_teacher_on_seeds_of_its_own():
    pages = [" ".join(text.split()) for text in (README, METHODS)]
    first, again = (result_of(f"methods-citeulike-tuned-10{seeds}") for seeds in ("", "-16-20"))
    assert {*again["command"]} == {*first["command"]} and again["seeds"] == "16,17,18,19,20"
    mix = next(name for name in again["methods"] if name.startswith("Distiller"))
    for runs in (list(found["runs"].values()) for found in (first, again)):
        assert all(run[mix]["test_result"]["ndcg@10"] > run["teacher"]["test_result"]["ndcg@10"] for run in runs)
    found, recall = gap_of(runs, mix, "teacher"), gap_of(runs, mix, "teacher", "recall@10")
    assert found["t_low"] > 0 > recall["t_low"] and recall["t_high"] > 0
    assert all(f"{interval(found)}, p {found['p']:.3f}" in page for page in pages)
    assert f"in recall@10 it is not told apart, {interval(recall)}" in pages[1]
    behind = gap_of(runs, "with its neighbours", mix)
    assert f"the teacher with its neighbours, it is by {interval(behind, '')}" in pages[1]
    both = [again["summary"][name]["ndcg@10"] for name in (mix, "teacher")]
    said = [f"{one['mean']:.4f} ± {one['sd']:.4f}" for one in both]
    assert f"({said[0]}, the teacher {said[1]}, " in pages[0]


def test_what_the_neighbours_bring_and_sharper_labels_do_not_is_in_its_result_files():
    found, plain = (result_of(f"methods-citeulike-tuned-16-20{more}") for more in ("", "-plain"))
    tuned = result_of("methods-citeulike-tuned")["command"]
    assert {*found["command"]} == {*tuned, "--teacher.embedding_size=200"}  # the default, said
    assert {*found["command"]} == {*plain["command"], "--neighbour_weight=1.0"}
    runs = list(found["runs"].values())
    for (seed, run), (other, also) in zip(found["runs"].items(), plain["runs"].items(), strict=True):
        ends = ("teacher", "student alone")
        assert seed == other and all(run[end]["test_result"] == also[end]["test_result"] for end in ends)
        run.update({f"{name} plain": row for name, row in also.items()})
    mkd, mix = found["methods"][1:]
    text, readme = " ".join(METHODS.split()), " ".join(README.split())
    brought, sharper = (
        [gap_of(runs, *rows(name)) for name in (mkd, mix)]
        for rows in (
            lambda name: (name, f"{name} plain"),
            lambda name: (f"{name} --sld_tau=0.5 plain", f"{name} plain"),
        )
    )
    assert f"worth {interval(brought[0])} to MKD and {interval(brought[1])} to the mix" in text
    assert f"worth nothing, {interval(sharper[0])} and {interval(sharper[1])}, at" in text
    shares = [f"{plain['summary'][name]['ndcg@10']['share']:.0%}" for name in (mkd, mix)]
    assert f"MKD with {shares[0]} of the way, the mix with {shares[1]}," in text
    assert f"(MKD {shares[0]} of the way on citeulike, the mix {shares[1]}, both below it, on" in readme
    assert all(gap_of(runs, f"{name} plain", "teacher")["t_high"] < 0 for name in (mkd, mix))
    recall = gap_of(runs, f"{mix} plain", "teacher", "recall@10")
    assert recall["t_low"] < 0 < recall["t_high"] and f"recall@10, {interval(recall)}. With them" in text
    above = [gap_of(runs, name, "teacher") for name in (mkd, mix)]
    each = [run[name]["test_result"]["ndcg@10"] > run["teacher"]["test_result"]["ndcg@10"]
            for run in runs for name in (mkd, mix)]  # fmt: skip
    assert all(each) and f"p {above[0]['p']:.2g} and {above[1]['p']:.2g}, in recall@10 too" in text
    recall = [gap_of(runs, name, "teacher", "recall@10") for name in (mkd, mix)]
    assert all(one["t_low"] > 0 for one in recall) and f"MKD's by {interval(recall[0])}, and" in text
    behind = gap_of(runs, "with its neighbours", mix)
    assert f"MKD by {interval(gap_of(runs, mix, mkd))}, is" in text and behind["t_low"] < 0 < behind["t_high"]
    assert f"learns from ({interval(behind, '')} below)" in text


def test_what_is_said_of_the_tuned_ends_of_citeulike_is_in_their_result_files():
    found = result_of("methods-citeulike-tuned")
    runs = found["runs"].values()
    mkd, mix = (next(name for name in found["methods"] if name.startswith(start)) for start in ("MKD", "Distiller"))

    def gap(*asked):
        return gap_of(runs, *asked)

    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    page = page[page.index("### citeulike, tuned") :]
    page = page[: page.index("\n### ", 5)]
    text = " ".join(page.split())
    above = [run[name]["test_result"]["ndcg@10"] - run["teacher"]["test_result"]["ndcg@10"]
             for run in runs for name in (mkd, mix)]  # fmt: skip
    assert list(found["runs"]) == ["11", "12", "13", "14", "15"] and min(above) > 0
    ps = [gap(name, "teacher")["p"] for name in (mkd, mix)]
    holms = [f"{p:.2g}" for p in holm(ps)]
    assert f"p {ps[0]:.2g} and {ps[1]:.2g}, by Holm's correction for the two {holms[0]} and {holms[1]}" in text
    for name in (mkd, mix):
        assert interval(gap(name, "teacher", "recall@10")) in text
        assert interval(gap("with its neighbours", name), "") in text
    assert f"The mix is above MKD, {interval(gap(mix, mkd))}." in text
    decays = {(row["weight_decay"], row["learning_rate"]): f"{row['valid_ndcg@10']:.4f}" for row in result_of("decay")
              if "--dataset=citeulike" in row["keys"] and row["embedding_size"] == 200}  # fmt: skip
    best, milder, none, strong = (decays[decay, 0.001] for decay in (1e-6, 3e-7, 0.0, 3e-6))
    assert (
        f"the teacher is at {best} with weight decay 1e-6, at {milder} with 3e-7, at {none} without and at {strong} "
        "with 3e-6" in text
    )
    tuned = {
        name: f"{row['ndcg@10']['mean']:.4f}" for name, row in result_of("tune-tuned-citeulike")["summary"].items()
    }
    assert f"at {tuned['MKD']}, at `sld_weight` 3 at {tuned['MKD --sld_weight=3']}, the mix" in text
    later = {tuned[name] for name in ("MKD --kd_rows=512", "SLD")}
    assert f"a step and SLD alone, {later.pop()} both)" in text and not later
    assert f"the student alone at {tuned['student alone']} with 1e-6" in text and f"RCEKD at {tuned[mix]} (" in text


def test_what_is_said_of_the_tuned_ends_of_citeulike_at_half_the_width_is_in_their_result_files():
    found, chosen = (json.loads((ROOT / f"benchmarks/results/{name}-10.json").read_text())
                     for name in ("methods-citeulike-tuned", "tune-tuned-citeulike"))  # fmt: skip
    runs = found["runs"].values()
    mkd, mix = (next(name for name in found["methods"] if name.startswith(start)) for start in ("MKD", "Distiller"))
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    page = page[page.index("citeulike, tuned, at a width of 10") :]
    page = page[: page.index("\n### ")]
    text, readme = " ".join(page.split()), " ".join(README.split())

    def gap(*asked):
        return gap_of(runs, *asked)

    ps = [gap(name, "teacher")["p"] for name in (mkd, mix)]
    above = [run[mix]["test_result"]["ndcg@10"] > run["teacher"]["test_result"]["ndcg@10"] for run in runs]
    assert (
        len(above) == 5
        and all(above)
        and f"(p {ps[1]:.3f}, by Holm's correction for the two {holm(ps)[1]:.2f})" in text
    )
    share = f"{found['summary'][mkd]['ndcg@10']['share']:.0%}"
    assert f"MKD recovers {share} of ndcg@10 and is not told apart there either (p {ps[0]:.3f})" in text
    gaps = [interval(gap(name, "teacher", "recall@10")) for name in (mix, mkd)]
    assert f"in recall@10 {gaps[0]}." in text and f"but below in recall@10, {gaps[1]}, and" in text
    assert f"the mix by {interval(gap(mix, mkd), '')}" in text
    valid = {name: f"{row['ndcg@10']['mean']:.4f}" for name, row in chosen["summary"].items()}
    plain = mix.removesuffix(" --sld_weight=3")
    assert f"MKD was at {valid['MKD']}, at `sld_weight` 3 at {valid[mkd]}, the mix at {valid[plain]}, at" in text
    assert f"`sld_weight` 3 at {valid[mix]}, the teacher at {valid['teacher']}." in text
    assert "MKD's is not told apart there, and on ml-1m both are below" in readme


def test_what_is_said_of_ml_1m_at_a_width_of_10_is_in_its_result_file():
    found, wide = (json.loads((ROOT / f"benchmarks/results/methods-ml-1m-{name}.json").read_text())
                   for name in ("10", "neighbours-6-10"))  # fmt: skip
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    page = page[page.index("#### ml-1m, at a width of 10") :]
    page, runs = page[: page.index("\n### ")], found["runs"].values()
    mix = next(name for name in found["methods"] if name.startswith("Distiller"))
    values = {name: [run[name]["test_result"]["ndcg@10"] for run in runs] for name in found["summary"]}
    assert len(runs) == 5 and all(own < teacher for own, teacher in zip(values[mix], values["teacher"], strict=True))
    assert f"{found['summary'][mix]['ndcg@10']['share']:.0%} of the way to the teacher" in " ".join(page.split())
    alone = [run["student alone"]["test_result"]["ndcg@10"] for run in wide["runs"].values()]
    assert paired(values[mix], alone)["t_low"] > 0  # the same seeds, twice the width


def test_what_is_said_of_another_start_is_in_its_result_file():
    runs = json.loads((ROOT / "benchmarks/results/initial-citeulike-10.json").read_text())["runs"]["1"]
    text = " ".join((ROOT / "docs/methods.md").read_text(encoding="utf-8").split())
    near, random = (f"{runs[start]['valid_result']['ndcg@10']:.4f}" for start in ("teacher", "random"))
    epochs = [runs[start]["best_epoch"] + 1 for start in ("teacher", "random")]  # RecBole counts from 0
    assert f"with neighbours ({runs['teacher']['share']:.0%} of their squares)" in text
    assert f"ends at {near} from there and at {random} from RecBole's random start" in text
    assert f"its best epoch the {epochs[0]}th and the {epochs[1]}rd" in text


def test_the_report_of_citeulike_has_the_same_runs():
    report, found = (json.loads((ROOT / f"benchmarks/results/{name}-citeulike{more}.json").read_text())
                     for name, more in (("compare", ""), ("methods", "-tuned")))  # fmt: skip
    rows = report["datasets"]["citeulike"]["rows"]
    for name, row in found["summary"].items():
        label = "SLD and RCEKD" if name.startswith("Distiller") else name
        assert rows[label]["metrics"]["ndcg@10"]["mean"] == pytest.approx(row["ndcg@10"]["mean"], abs=1e-7)
    assert (ROOT / "docs/compare-citeulike.html").is_file()
