"""The table that is printed when a search ends."""

from tabulate import tabulate

from recbole_kd.tune.types import SearchResult, Trial


def trials_table(result: SearchResult) -> str:
    """Format the result of ``tune`` as text: a row for each trial, the best one, and the paths of the files."""
    search, trials, best_number = result["search"], result["trials"], result["best"]
    names = list(trials[0]["settings"])
    header = ["trial", *names, f"valid {search['valid_metric']}", "", "evaluations", "seconds"]
    best, default = trials[best_number]["value"], trials[0]["value"]
    gain = "" if best is None or default is None else f", {best - default:+.4f} over the default settings (trial 0)"
    lines = [
        tabulate([_row(trial, names) for trial in trials], header, disable_numparse=True),
        f"best: trial {best_number}, {search['valid_metric']} {best:.4f} on validation{gain}",
        f"recipe: {result['recipe']}; all trials: {result['file']}",
    ]
    return "\n".join(lines)


def _row(trial: Trial, names: list[str]) -> list[object]:
    value = "" if trial["value"] is None else f"{trial['value']:.4f}"
    settings = [trial["settings"][name] for name in names]
    return [trial["number"], *settings, value, trial["state"], len(trial["curve"]), f"{trial['seconds']:.0f}"]
