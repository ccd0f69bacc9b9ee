"""The blocks of docs/goals.md: what was to be shown, and how far it is."""

from benchmarks.result import result, topic_file
from recbole_kd.evaluation.statistics import holm, paired
from tools.docs.accuracy import TEST, scores, share
from tools.docs.text import aligned, interval, paragraph

ENOUGH = 5  # so many seeds make a claim
FRESH, FRESHER, LAST = (f", seeds {seeds} \\*" for seeds in ("6 to 10", "11 to 15", "16 to 20"))  # chosen before
NEAR, THREE = ", `neighbour_weight` 1", "above each of three teachers"
HEAVY, AGAIN = f"{NEAR}, `sld_weight` 3", ", seeds 16 to 20"
MIXED = "Distiller --terms=\"['SLD','RCEKD']\" --kd_rows=512"
FIVE = "citeulike, two tuned: HetComp's student above each of five teachers"
CITY, LIGHT, MIX = "citeulike, BPR 200 -> 20", "citeulike, LightGCN 200 -> 20", "SLD and RCEKD mixed"
GOALS: tuple[tuple[str, str, str], ...] = (  # what was to be shown, the row that shows it, the result file
    ("ml-100k, BPR 200 -> 20, tuned: MKD", "MKD", "methods-ml-100k"),
    (f"ml-100k, BPR 200 -> 20, tuned: MKD{NEAR}", "MKD", "methods-ml-100k-neighbours"),
    ("ml-100k, BPR 200 -> 10, tuned: MKD", "MKD", "methods-ml-100k-10"),
    (f"{CITY}: MKD", "MKD", "methods-citeulike-best"),
    (f"{CITY}: SLD", "SLD", "methods-citeulike-best"),
    (f"{CITY}: RCEKD", "RCEKD", "methods-citeulike-best"),
    (f"{CITY}: {MIX}", "Distiller", "methods-citeulike-best"),
    (f"{CITY}: MKD{NEAR}", "MKD", "methods-citeulike-neighbours"),
    (f"{CITY}: {MIX}{NEAR}", "Distiller", "methods-citeulike-neighbours"),
    (f"{CITY}: MKD{NEAR}{FRESH}", "MKD", "methods-citeulike-neighbours-6-10"),
    (f"{CITY}, tuned: MKD{NEAR}{FRESHER}", "MKD", "methods-citeulike-tuned"),
    (f"{CITY}, tuned: {MIX}{NEAR}{FRESHER}", "Distiller", "methods-citeulike-tuned"),
    (f"{CITY}, tuned: MKD{NEAR}{AGAIN}", "MKD", "methods-citeulike-tuned-16-20"),
    (f"{CITY}, tuned: {MIX}{NEAR}{AGAIN}", "Distiller", "methods-citeulike-tuned-16-20"),
    (f"{CITY}, tuned: MKD{AGAIN}", "MKD", "methods-citeulike-tuned-16-20-plain"),
    (f"{CITY}, tuned: {MIX}{AGAIN}", MIXED, "methods-citeulike-tuned-16-20-plain"),
    (f"citeulike, BPR 200 -> 10: MKD{NEAR}", "MKD", "methods-citeulike-10"),
    (f"citeulike, BPR 200 -> 10, tuned: MKD{HEAVY}", "MKD", "methods-citeulike-tuned-10"),
    (f"citeulike, BPR 200 -> 10, tuned: {MIX}{HEAVY}", "Distiller", "methods-citeulike-tuned-10"),
    (f"citeulike, BPR 200 -> 10, tuned: {MIX}{HEAVY}{LAST}", "Distiller", "methods-citeulike-tuned-10-16-20"),
    (f"{LIGHT}: MKD", "MKD", "methods-citeulike-lightgcn"),
    (f"{LIGHT}: RCEKD", "RCEKD", "methods-citeulike-lightgcn"),
    (f"{LIGHT}: MKD{NEAR}", "MKD", "methods-citeulike-lightgcn-neighbours"),
    (f"{LIGHT}, tuned: MKD{NEAR}{FRESH}", "MKD", "methods-citeulike-lightgcn-tuned"),
    (f"{LIGHT}, tuned: {MIX}{NEAR}{FRESH}", "Distiller", "methods-citeulike-lightgcn-tuned"),
    (f"citeulike, LightGCN 200 -> 10, tuned: MKD{HEAVY}", "MKD", "methods-citeulike-lightgcn-10"),
    (f"citeulike, LightGCN 200 -> 10, tuned: {MIX}{HEAVY}", "Distiller", "methods-citeulike-lightgcn-10"),
    ("ml-1m, BPR 200 -> 20: MKD", "MKD", "methods-ml-1m"),
    (f"ml-1m, BPR 200 -> 20: {MIX}", "Distiller", "methods-ml-1m"),
    (f"ml-1m, BPR 200 -> 20: MKD{NEAR}", "MKD", "methods-ml-1m-neighbours"),
    (f"ml-1m, BPR 200 -> 20, tuned: MKD{HEAVY}{FRESH}", "MKD", "methods-ml-1m-neighbours-6-10"),
    (f"ml-1m, BPR 200 -> 20, tuned: {MIX}{NEAR}{FRESH}", "Distiller", "methods-ml-1m-neighbours-6-10"),
    (f"ml-1m, BPR 200 -> 10: MKD{HEAVY}", "MKD", "methods-ml-1m-10"),
    (f"ml-1m, BPR 200 -> 10: {MIX}{HEAVY}", "Distiller", "methods-ml-1m-10"),
    (f"ml-1m, LightGCN 200 -> 20, tuned: MKD{HEAVY}{FRESH}", "MKD", "methods-ml-1m-lightgcn"),
    (f"ml-1m, LightGCN 200 -> 20, tuned: {MIX}{NEAR}{FRESH}", "Distiller", "methods-ml-1m-lightgcn"),
    (f"ml-1m, LightGCN 200 -> 10, tuned: MKD{HEAVY}", "MKD", "methods-ml-1m-lightgcn-10"),
    (f"ml-1m, LightGCN 200 -> 10, tuned: {MIX}{HEAVY}", "Distiller", "methods-ml-1m-lightgcn-10"),
    ("ml-100k: HetComp's student above each of five teachers", "HetComp", "hetcomp-ml-100k-seeds"),
    (f"citeulike: HetComp's student {THREE}", "HetComp", "hetcomp-ablation-citeulike"),
    (f"ml-1m: HetComp's student {THREE}", "HetComp", "hetcomp-ablation-ml-1m"),
    (f"citeulike: SLD's student {THREE}", "SLD", "sld-ensemble-citeulike"),
    (f"citeulike, tuned: HetComp's student {THREE}, seeds 6 to 10", "HetComp", "hetcomp-citeulike-tuned"),
    (f"citeulike, tuned: SLD's student {THREE}, seeds 6 to 10", "SLD", "hetcomp-citeulike-tuned"),
    (f"{FIVE}, seeds 6 to 10", "HetComp", "hetcomp-citeulike-five"),
)
OTHER_FILES = ("methods-citeulike", "mkd-ablation-ml-100k")  # whose commands stand here though no goal does


def verdict(test: dict) -> str:
    """What a paired comparison says of a goal, in a word or two."""
    if test["t_low"] is None:
        return "one seed"
    if test["t_low"] > 0:
        return "reached" if test["n"] >= ENOUGH else "so far"
    return "**no**" if test["t_high"] < 0 else "undecided"


def goal_row(goal: str, file: str, seeds: list[dict[str, float]], name: str) -> list:
    """A line of the table.

    Args:
        goal: what was to be shown.
        file: the result file.
        seeds: for each seed the scores of its rows by name.
        name: the row that is to be above each teacher of its seed, or its method.

    Raises:
        ValueError: a seed has no such row, or several.
    """
    exact = any(name in seed for seed in seeds)  # not its method alone: other settings of it stand beside it
    students = [
        score for seed in seeds for key, score in seed.items() if (key if exact else key.split(" --")[0]) == name
    ]
    if not students or len(students) != len(seeds):
        raise ValueError(f"{file}: {name} does not stand once in each seed")
    best = [max(score for key, score in seed.items() if key.startswith("teacher")) for seed in seeds]
    test = paired(students, best)
    means = [f"{sum(values) / len(values):.4f}" for values in (students, best)]
    gap, p = f"{test['difference']:+.4f}", ""
    if test["p"] is not None:
        gap, p = interval(test), f"{test['p']:.2g}"
    return [goal, verdict(test), *means, gap, p, test["n"], f"`{file}.json`"]


def goal_rows() -> list[list]:
    """The lines of the table."""
    return [goal_row(goal, file, result(file).seed_rows(TEST), name) for goal, name, file in GOALS]


def goals() -> str:
    """The table of goals."""
    headers = ["goal", "", "student", "best teacher", "difference", "p", "seeds", "file"]
    return aligned(headers, goal_rows())


def corrected(rows: list[list]) -> tuple[int, list[tuple[str, float]]]:
    """Holm's correction over the tests of these lines: their number; of each goal reached its p before and after."""
    tested = [row for row in rows if row[5]]
    adjusted = holm([float(row[5]) for row in tested])
    return len(tested), [(row[5], p) for row, p in zip(tested, adjusted, strict=True) if row[1] == "reached"]


def confirming(rows: list[list]) -> list[list]:
    """The lines with a star: chosen before anything was seen of their seeds."""
    return [row for row in rows if row[0].endswith("\\*")]


def holm_paragraph() -> str:
    """What Holm's correction leaves of what was reached, over all lines and over those with a star."""
    rows = goal_rows()
    number, reached = corrected(rows)
    text = (
        f"Holm's correction over all {number} tests of this page, those that explore with those that confirm, leaves "
    )
    text += f"{sum(p < 0.05 for _, p in reached)} of what was reached below 0.05: of its p "
    text += (", ".join(f"{before} becomes {p:.2g}" for before, p in reached) or "nothing") + ". "
    number, reached = corrected(confirming(rows))
    text += f"Over the {number} rows with a star alone it leaves {sum(p < 0.05 for _, p in reached)}, the largest at "
    return paragraph(f"{text}{max(p for _, p in reached):.2g}.")


PUBLISHED = {"RRD": 0.65, "DCD": 0.67, "DCD-relaxed": 0.67, "HetComp": 0.65, "RCEKD": 0.95}  # shares to recover


def protocol_paragraph() -> str:
    """How far the published figures of protocol A are met."""
    source = result("protocol-a")
    values = {name: scores(source, name) for name in source.names()}
    parts = []
    for name, printed in (("teacher", 0.0155), ("student alone", 0.0098)):
        mean = source.mean(name, TEST)
        met = ("reached" if len(values[name]) >= ENOUGH else "so far") if abs(mean / printed - 1) <= 0.05 else "**no**"
        parts.append(f"the {name} {mean:.4f}, to be within 5% of {printed}: {met} ({mean / printed - 1:+.0%})")
    for name, aim in PUBLISHED.items():
        ends = zip(values["teacher"], values["student alone"], strict=True)
        test = paired(values[name], [alone + aim * (teacher - alone) for teacher, alone in ends])
        measured = share(source, name, TEST)
        parts.append(f"{name}, to recover {aim:.0%}: {measured:.0%}, {verdict(test)}, {interval(test)} over it")
    best = max(PUBLISHED, key=lambda name: source.mean(name, TEST))
    for name, words in (("MKD", "MKD"), ("MKD-neighbours", "MKD with `neighbour_weight` 1 and RCEKD's weight decay")):
        for rival, aim in ((best, "above them all"), ("teacher", "above the teacher")):
            test = paired(values[name], values[rival])
            shown = "it" if rival == "teacher" else best
            parts.append(f"{words} {aim}: {verdict(test)}, {interval(test)} over {shown}")
    seeds = f"([protocol-a.md](protocol-a.md), {len(values['teacher'])} seeds)"
    text = f"**Protocol A** {seeds}, the first two by the mean, the rest by the interval: {'; '.join(parts)}. "
    text += (
        "MKD's settings with neighbours were settled after its test figures without them were known on these seeds: "
    )
    return paragraph(text + "an exploring row.")


def commands() -> str:
    """How each file of the table is made, in the table's order."""
    names = dict.fromkeys([*(file for _, _, file in GOALS), *OTHER_FILES])
    rows = []
    for name in names:
        first = result(name).command[0]
        rows.append([f"[`{name}.json`](../{topic_file(name)})", f"`{first.partition(' --output')[0]}`"])
    return aligned(["result file", "runs"], rows)
