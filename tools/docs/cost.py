"""The blocks of docs/cost.md: time, memory and disk of training and serving."""

import statistics

from benchmarks.result import FOLDER, Result, read_result, result
from tools.docs.text import aligned, difference, paragraph

AIMS = {  # an epoch over plain training's at most
    **dict.fromkeys(("KD", "CD", "RD", "UnKD"), 2), **dict.fromkeys(("RRD", "SLD", "RCEKD", "NKD"), 3),
    **dict.fromkeys(("MKD", "DE", "PCKD", "HTD", "DCD", "HetComp"), 5),
}  # fmt: skip


def method_values(name: str) -> dict[str, dict]:
    """What each method costs, by name."""
    return {record["name"]: record["values"] for record in result(name).records if record["name"] != "plain"}


def epoch_costs(name: str) -> str:
    """What an epoch costs, the cheapest method first."""
    rows = [
        [method, f"{row['ratio']:.1f}", f"{row['ratio_low']:.1f} to {row['ratio_high']:.1f}",
         str(AIMS.get(method, "")), f"{row['extra_rss_mib']:+.0f}", f"{row['setup_seconds']:.1f}"]
        for method, row in sorted(method_values(name).items(), key=lambda item: item[1]["ratio"])
    ]  # fmt: skip
    return aligned(["method", "epoch / plain", "spread", "aim", "MiB over plain", "set-up, seconds"], rows)


def missed_aims(name: str) -> str:
    """A sentence on what misses its aim."""
    values = method_values(name)
    slow = [method for method, row in values.items() if round(row["ratio"], 1) > AIMS.get(method, 99)]
    large = [method for method, row in values.items() if row["extra_rss_mib"] > 300]
    late = [method for method, row in values.items() if row["setup_seconds"] > 5 * row["plain_seconds"]]
    return (
        f"Epochs over their aim: {', '.join(slow) or 'none'}; over 300 MiB: {', '.join(large) or 'none'}; "
        f"set-up of more than five plain epochs: {', '.join(late) or 'none'}."
    )


def epoch_ratios(name: str, aim: str = "") -> str:
    """All ratios and their spreads in a sentence, and with an aim the methods that are over it."""
    values = method_values(name)
    text = ", ".join(
        f"{method} {row['ratio']:.1f} ({row['ratio_low']:.1f} to {row['ratio_high']:.1f})"
        for method, row in values.items()
    )
    if aim:
        slow = [method for method, row in values.items() if round(row["ratio"], 1) > float(aim)]
        text += f". Over it: {', '.join(slow) or 'none'}"
    return paragraph(f"{text}.")


def payback(*names: str) -> str:
    """When distillation has paid, of several files."""
    records = [record for name in names for record in result(name).records]
    methods = dict.fromkeys(record["name"] for record in records if record["name"] != "plain")
    rows = []
    for method in methods:
        runs = [record["values"]["ratio"] for record in records if record["name"] == method]
        ratios = [ratio for ratio in runs if ratio is not None]
        cells = [f"{part(ratios):.2f}" for part in (statistics.median, min, max)] if ratios else ["never"] * 3
        rows.append([method, *cells, f"{len(ratios)} of {len(runs)}"])
    return aligned(["method", "time / plain", "from", "to", "seeds that reach it"], rows)


def payback_by_rate(name: str) -> str:
    """The ratios of methods that were run on one seed, by their rate, the soonest first."""
    by_rate: dict[str, dict[str, float | None]] = {}
    for method, row in ((r["name"], r["values"]) for r in result(name).records if r["name"] != "plain"):
        rate = next(word.partition("=")[2] for word in method.split() if word.startswith("--learning_rate="))
        by_rate.setdefault(rate, {})[method.split()[0]] = row["ratio"]
    parts = []
    for rate, ratios in sorted(by_rate.items(), reverse=True):
        ordered = sorted(ratios.items(), key=lambda item: (item[1] is None, item[1] or 0.0))
        shown = (f"{method} {'never' if ratio is None else f'{ratio:.2f}'}" for method, ratio in ordered)
        parts.append(f"at {rate} {', '.join(shown)}")
    return paragraph("; ".join(parts) + ".")


def same_on_both(name: str) -> str:
    """A sentence on a LightGCN that was trained on a GPU and on a CPU. Raises ValueError: their metrics differ."""
    gpu, cpu = (result(f"{name}-{more}") for more in ("gpu", "plain"))
    rows = {end: [next(source.of(end))["values"] for source in (gpu, cpu)] for end in ("teacher", "student alone")}
    for end, (one, other) in rows.items():
        if any(one[key] != other[key] for key in one if key.startswith("valid_")):
            raise ValueError(f"the metrics of the {end} on a GPU and on a CPU are not the same")
    on_gpu, on_cpu = rows["teacher"]
    return paragraph(
        f"The teacher LightGCN 200 on citeulike, {on_gpu['epochs']} epochs, took "
        f"{on_gpu['seconds']:.0f} s there beside up to eight other processes, and "
        f"{on_cpu['seconds']:.0f} s on one thread of the machine of the other tables, beside one or two; all "
        "metrics on validation of both, and of the student alone on both, are the same to the eighth decimal "
        f"(`{name}-gpu.json`, `{name}-plain.json`)."
    )


WAITS = {  # torch's operations, and what the table calls them
    "_local_scalar_dense": "numbers", "_unique2": "unique ids", "index by a mask": "masks",
    "repeat_interleave": "repeats", "nonzero": "places",
}  # fmt: skip


def waits(name: str, on_gpu: str) -> str:
    """What a step asks of the device, plain RecBole's first, and the waits that were seen on a GPU."""
    rows, gpu = [], result(on_gpu)
    for record in result(name).records:
        row = record["values"]
        which = {key.removeprefix("waits_"): value for key, value in row.items() if key.startswith("waits_")}
        shown = ", ".join(f"{WAITS[part]} {number:.0f}" for part, number in which.items())
        seen = next(gpu.of(record["name"]))["values"]["seen"]
        rows.append([record["name"], f"{row['operations']:.0f}", f"{row['waits']:.0f}", shown, f"{seen:.0f}"])
    return aligned(["method", "operations", "waits", "for", "seen on a GPU"], rows)


def step_profile(name: str, methods: str) -> str:
    """Milliseconds by part, before and now, a pair of columns a method; ``methods``: separated by commas."""
    source = result(name)
    pairs = [(method, when) for method in methods.split(",") for when in ("before", "now")]
    values = {(r["name"], r["setting"]["when"]): r["values"] for r in source.records}
    columns = [values[pair] for pair in pairs]
    parts = dict.fromkeys(part for column in columns for part in column)
    rows = [[part, *(f"{column[part]:.1f}" if part in column else "" for column in columns)] for part in parts]
    rows.append(["together", *(f"{sum(column.values()):.1f}" for column in columns)])
    return aligned(["ms a step", *(f"{method}, {when}" for method, when in pairs)], rows)


def at_the_end(source: Result, setting: str) -> tuple[float, list[float]]:
    """The longest time of a setting, and the best score of each seed until then."""
    records = list(source.of(setting))
    last = max(record["setting"]["at_seconds"] for record in records)
    return last, [record["values"]["best"] for record in records if record["setting"]["at_seconds"] == last]


def equal_time(name: str) -> str:
    """Pairs of settings at equal time, the longest time of each pair."""
    source, rows = result(name), []
    for default, other in source.settings["pairs"]:
        (time, ones), (_, others) = (at_the_end(source, setting) for setting in (default, other))
        means = (f"{statistics.fmean(values):.4f}" for values in (ones, others))
        shown = f"`{other.removeprefix(default).strip(' -')}`"
        rows.append([default, shown, f"{time:.0f}", *means, difference(ones, others)])
    return aligned(["method", "other setting", "seconds", "default", "other", "difference (95%)"], rows)


def scale() -> str:
    """What the runs on synthetic data took."""
    headers = ["method", "users x items", "interactions", "teachers x lists", "knowledge, s", "epoch, s",
               "step / plain's", "peak MiB", "disk MiB"]  # fmt: skip
    rows, sources = [], [read_result(file) for file in FOLDER.glob("scale/results/*.json")]
    for source in sorted(sources, key=lambda one: (one.settings["method"], one.settings["users"])):
        (record,), size = source.records, source.settings
        row = record["values"]
        ratio = f"{row['step_ms'] / row['plain_step_ms']:.1f}" if "plain_step_ms" in row else ""
        rows.append(
            [size["method"], f"{size['users']:,} x {size['items']:,}", f"{row['interactions']:,}",
             f"{size['teachers']} x {size['states']}", f"{row['knowledge_seconds']:,.0f}",
             f"{row['epoch_seconds']:,.0f}", ratio, f"{row['peak_rss_mib']:,.0f}", f"{row['disk_mib']:,.0f}"]
        )  # fmt: skip
    return aligned(headers, rows)


def serving(name: str) -> str:
    """Milliseconds a user by catalogue and batch."""
    rows = [
        [f"{record['setting']['items']:,}", str(record["setting"]["batch"]), f"{row['teacher_ms']:.3f}",
         f"{row['student_ms']:.3f}", f"{row['ratio']:.1f}", f"{row['ensemble_ms']:.3f}",
         f"{row['ensemble_ratio']:.1f}", f"{row['teacher_mib']:.0f} / {row['student_mib']:.0f}"]
        for record in result(name).records
        for row in [record["values"]]
    ]  # fmt: skip
    headers = ["items", "users at once", "teacher", "student", "ratio", "ensemble", "ratio", "MiB, teacher / student"]
    return aligned(headers, rows)
