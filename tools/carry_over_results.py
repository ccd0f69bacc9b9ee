"""Convert the result files of revision 81e16f4 into the one schema, once; figures stay as they were.

    python -m tools.carry_over_results

Reads ``benchmarks/results/*.json`` of that revision from git and writes ``benchmarks/<topic>/results/*.json``.
"""

import json
import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.layers import read_yaml, typed

REVISION, OLD = "81e16f4", "benchmarks/results/"
TOPICS = {  # how a file's name begins: its topic, the first that fits
    "tune-kd-rows": "cost", "tune-RRD-ml-100k-seeds": "accuracy", "tune-": "search", "decay": "search",
    "preferences": "inspection", "walk": "inspection", "initial": "inspection", "neighbours": "inspection",
    "cost": "cost", "profile": "cost", "waits": "cost", "payback": "cost", "equal-time": "cost",
    "scale": "scale", "serving": "serving", "kill": "robustness", "": "accuracy",
}  # fmt: skip
ROWS = {  # the rows of the old hetcomp.py: method and keys
    "HetComp": {"model": "HetComp", "learning_rate": 0.005},
    "last states only": {"model": "HetComp", "learning_rate": 0.005, "teacher_states": 1},
    "no adaptive transfer": {"model": "HetComp", "learning_rate": 0.005, "hetcomp_transfer": "rank"},
    "best teacher only": {"model": "HetComp", "learning_rate": 0.005, "teachers": "best"},
    "RRD": {"model": "RRD", "learning_rate": 0.01, "kd_rows": 128},
    "SLD": {"model": "SLD", "learning_rate": 0.01, "ensemble": "score"},
}


def topic_of(name: str) -> str:
    """The topic of a result file."""
    return next(topic for start, topic in TOPICS.items() if name.startswith(start))


def git(*words: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


def keys_of(words: list[str]) -> dict[str, Any]:
    """The words of a command line as keys; a recipe is written out."""
    keys: dict[str, Any] = {}
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if name == "config_files":
            keys |= flat(read_yaml(value))
        elif name not in ("show_progress", "resume"):
            keys[name] = typed(name, value)
    return keys


def flat(keys: dict) -> dict:
    """The blocks teacher and student written out with a dot."""
    found = {}
    for key, value in keys.items():
        inner = value.items() if key in ("teacher", "student") else ()
        found |= {f"{key}.{name}": one for name, one in inner} if inner else {key: value}
    return found


def labelled(label: str) -> dict[str, Any]:
    """The method and the keys that an old row's name stands for."""
    name, *words = shlex.split(label)
    return {"model": name, **keys_of(words)}


def values_of(row: dict) -> dict[str, Any]:
    """An old row's metrics by part, and what stands beside them."""
    found = {}
    for key, value in row.items():
        if key in ("valid_result", "test_result"):
            found |= {f"{key.removesuffix('_result')}_{metric}": one for metric, one in value.items()}
        elif key not in ("label", "checkpoint", "method"):
            found[key] = value
    return found


def environment(old: dict) -> dict:
    """Where it was measured; without a device it was a CPU."""
    found = {key: old[key] for key in ("cores", "threads", "machine", "versions") if key in old}
    return {"device": old.get("device", "cpu"), **found}


def compare_command(name: str, topic: str, more: str = "") -> list[str]:
    """How a comparison and its result file are made."""
    return [
        f"python run_kd.py compare benchmarks/{topic}/plans/{name}.yaml",
        f"python -m benchmarks.accuracy.analysis compare/{name}{more} --output=benchmarks/{topic}/results/{name}.json",
    ]


def methods(name: str, old: dict) -> dict:
    """Of the old methods.py, and the one file that was put together from its output."""
    topic, part = topic_of(name), old.get("part", "valid_result")
    if "valid_result" in old:
        by_seed = {"1": {label: {"valid_result": row} for label, row in old["valid_result"].items()}}
    else:
        by_seed = old["runs"]
    labels = list(dict.fromkeys(label for rows in by_seed.values() for label in rows))
    assert "summary" not in old or labels == list(old["summary"]), name
    keys = keys_of(old["command"])
    alone = keys_of(shlex.split(old["alone"]))
    taught = [one for one in labels if not one.startswith(("teacher", "student alone", "with its neighbours"))]
    others = [one for one in labels if one.startswith("student alone ")]
    settings = {
        "dataset": {"dataset": keys.pop("dataset")}, "seeds": [int(seed) for seed in by_seed], "keys": keys,
        "alone": {key.removeprefix("student."): value for key, value in alone.items()},
        "methods": {label: labelled(label) for label in taught},
    }  # fmt: skip
    if others:
        settings["other_students_alone"] = {
            label: keys_of(shlex.split(label.removeprefix("student alone"))) for label in others
        }
    records = [
        make_record(label, int(seed), values_of(row)) for seed, rows in by_seed.items() for label, row in rows.items()
    ]
    command = compare_command(name, topic, " --part=valid" if part == "valid_result" else "")
    for number, label in enumerate(others, 1):
        words = shlex.quote(f"{name}-alone-{number}=student alone={label}")
        command.insert(number, f"python run_kd.py compare benchmarks/{topic}/plans/{name}-alone-{number}.yaml")
        command[-1] = command[-1].replace(" --output", f" compare/{name}-alone-{number} --relabel={words} --output")
    return make_result("accuracy", command, settings, records, environment(old))


def compared(name: str, old: dict) -> dict:
    """Of a summary of compare: values by seed, what it kept as means in records without a seed."""
    (part,) = old["datasets"].values()
    assert not old["failed"] and not old["warnings"]
    records, rows = [], part["rows"]
    for seed in old["seeds"]:
        for label, row in rows.items():
            own = {f"test_{metric}": one["values"][str(seed)] for metric, one in row["metrics"].items()}
            records.append(make_record(label, seed, own))
    for label, row in rows.items():
        means = {key: row[key] for key in ("epochs", "seconds", "parameters", "bytes", "ms_per_user")}
        bins = row["popularity"]
        for key in ("mean", "sd", "items", "pairs", "least", "most"):
            means[f"popularity_{'recall' if key == 'mean' else key}"] = [one[key] for one in bins]
        records.append(make_record(label, None, means))
    taught = {label: {"model": row["method"], **row["keys"]} for label, row in rows.items() if row["method"]}
    settings = {
        "dataset": {"dataset": part["dataset"]}, "seeds": old["seeds"], "keys": old["keys"], "alone": old["alone"],
        "methods": taught,
        "data": {key: part[key] for key in ("users", "items", "interactions", "valid_metric", "k")},
    }  # fmt: skip
    return make_result("accuracy", compare_command(name, "accuracy"), settings, records, environment(old))


def run_plan_command(name: str) -> list[str]:
    """How runs whose teachers are measured one by one, and their result file, are made."""
    return [
        f"python -m benchmarks.accuracy.run_plan benchmarks/accuracy/run_plans/{name}.yaml "
        f"--output=benchmarks/accuracy/results/{name}.json"
    ]


def seeds(name: str, old: dict) -> dict:
    """Of the old seeds.py: one method, each seed one run."""
    keys = keys_of(old["command"])
    method, dataset = keys.pop("model"), keys.pop("dataset")
    names = {"student_alone": "student alone", "distilled": method}
    numbers = [int(seed) for seed in old["seeds"].split(",")]
    records = [
        make_record(names.get(label, label), seed, values_of(row))
        for seed, run in zip(numbers, old["runs"], strict=True)
        for label, row in run.items()
    ]
    settings = {"dataset": {"dataset": dataset}, "seeds": numbers, "keys": keys, "methods": {method: {"model": method}}}
    settings |= {"config": old["config"]} if "config" in old else {}
    return make_result("accuracy", run_plan_command(name), settings, records, environment(old))


def several(name: str, old: dict) -> dict:
    """Of the old hetcomp.py: several teachers and their students."""
    keys = keys_of(old["command"])
    records = [
        make_record(label, run["seed"], values_of(row)) for run in old["runs"] for label, row in run["rows"].items()
    ]
    ends = ("teacher ", "ensemble", "student alone")
    taught = {}
    for label in old["runs"][0]["rows"]:
        if not label.startswith(ends):
            row, _, more = label.partition(" --")
            taught[label] = {**ROWS[row], **keys_of(shlex.split(more and f"--{more}"))}
    alone = keys_of(shlex.split(old["alone"]))
    settings = {
        "dataset": {"dataset": keys.pop("dataset")}, "seeds": [run["seed"] for run in old["runs"]],
        "keys": {**keys, "teachers": old["teachers"]}, "methods": taught,
        "alone": {key.removeprefix("student."): value for key, value in alone.items()},
    }  # fmt: skip
    return make_result("accuracy", run_plan_command(name), settings, records, environment(old))


def main_job(name: str, old: dict) -> dict:
    """Of one run's result file."""
    seed, advice = old["config"]["seed"], dict(old["neighbours_worth"])
    records = [
        make_record(label, seed, values_of(old[key]))
        for label, key in (("teacher", "teacher"), ("student alone", "student_alone"), ("MKD", "distilled"))
    ]
    metric = advice.pop("metric")
    records.append(make_record("neighbour advice", seed, advice, {"metric": metric}))
    settings = {"dataset": {"dataset": "ml-100k"}, "seeds": [seed], "keys": {}, "methods": {"MKD": {"model": "MKD"}}}
    settings |= {"config": old["config"], "teacher_config": old["teacher_config"]}
    return make_result("accuracy", run_plan_command(name), settings, records, environment(old))


def script_command(script: str, name: str, topic: str, options: dict, words: list[str]) -> list[str]:
    """A benchmark's command line."""
    said = [f"--{key}={value}" for key, value in options.items() if value != ""]
    line = [*said, *words, f"--result_file=benchmarks/{topic}/results/{name}.json"]
    return [f"python -m benchmarks.{script} {shlex.join(line)}"]


def epoch_cost(name: str, old: dict) -> dict:
    """Of the old cost.py."""
    records = [make_record("plain", None, old["plain"])]
    for label, row in old["methods"].items():
        low, high = row["spread"]
        own = {key: value for key, value in row.items() if key != "spread"}
        records.append(make_record(label, None, {**own, "ratio_low": low, "ratio_high": high}))
    options = {"methods": ";".join(old["methods"])}
    command = script_command("cost.epoch", name, "cost", options, old["command"])
    return make_result("epoch_cost", command, {"keys": keys_of(old["command"])}, records, environment(old))


def decay(name: str, old: list) -> dict:
    """Of the old decay.py: a record a setting."""
    records = []
    for row in old:
        setting = {
            "keys": row["keys"],
            **{key: row[key] for key in ("embedding_size", "learning_rate", "weight_decay")},
        }
        keys = keys_of(row["keys"])
        model = keys.get("student_model", "BPR")
        records.append(make_record(model, keys["seed"], {"valid_ndcg@10": row["valid_ndcg@10"]}, setting))
    command = [
        "python -m benchmarks.search.decay --settings=[[embedding_size,learning_rate,weight_decay],...] "
        f"<the record's keys> --result_file=benchmarks/search/results/{name}.json"
    ]
    return make_result("weight_decay", command, {}, records, environment({}))


def equal_time(name: str, old: dict) -> dict:
    """Of the old equal_time.py: a record a setting, seed and time."""
    numbers = [int(seed) for seed in old["seeds"]]
    records = [
        make_record(label, seed, point, {"at_seconds": float(at)})
        for label, runs in old["scores"].items()
        for seed, run in zip(numbers, runs, strict=True)
        for at, point in run.items()
    ]
    times = dict.fromkeys(at for runs in old["scores"].values() for run in runs for at in run)
    pairs = " / ".join(f"{one};{other.removeprefix(one)}" for one, other in old["pairs"])
    options = {"pairs": pairs, "seconds": ",".join(f"{float(at):.0f}" for at in times), "seeds": ",".join(old["seeds"])}
    settings = {"keys": keys_of(old["command"]), "metric": old["metric"], "pairs": old["pairs"], "seeds": numbers}
    command = script_command("cost.equal_time", name, "cost", options, old["command"])
    return make_result("equal_time", command, settings, records, environment(old))


def payback(name: str, old: dict) -> dict:
    """Of the old payback.py: plain training and each method, a record a seed."""
    records, numbers = [], list(dict.fromkeys(run["seed"] for run in old["runs"]))
    for place, run in enumerate(old["runs"], 1):  # one file holds several measurements of one seed
        setting = {"run": place} if len(numbers) < len(old["runs"]) else None
        records.append(make_record("plain", run["seed"], run["plain"], setting))
        for label, row in run["methods"].items():
            row = row or dict.fromkeys(("seconds", "epochs", "ratio"))
            records.append(make_record(label, run["seed"], row, setting))
    labels = dict.fromkeys(label for run in old["runs"] for label in run["methods"])
    options = {"methods": ";".join(labels), "seeds": ",".join(map(str, numbers)), "alone": old["alone"]}
    settings = {"keys": keys_of(old["command"]), "alone": keys_of(shlex.split(old["alone"])), "metric": old["metric"]}
    command = script_command("cost.payback", name, "cost", options, old["command"])
    return make_result("payback", command, settings, records, environment(old))


def profile(name: str, old: dict) -> dict:
    """Of the old profile_epoch.py: milliseconds a step, now and before."""
    records = [
        make_record(label, None, parts, {"when": when})
        for when, key in (("now", "ms_a_step"), ("before", "before"))
        for label, parts in old[key].items()
    ]
    options = {"methods": ";".join(old["ms_a_step"])}
    command = script_command("cost.profile_epoch", name, "cost", options, old["command"])
    return make_result("step_profile", command, {"keys": keys_of(old["command"])}, records, environment(old))


def waits(name: str, old: dict) -> dict:
    """Of the old waits.py: operations and waits a step."""
    records = []
    for label, row in old["steps"].items():
        own = {key: row[key] for key in ("operations", "waits", "seen")}
        records.append(make_record(label, None, own | {f"waits_{part}": n for part, n in row["waits_by"].items()}))
    options = {"methods": "all"}
    command = script_command("cost.waits", name, "cost", options, old["command"])
    return make_result("device_waits", command, {"keys": keys_of(old["command"])}, records, environment(old))


def preferences(name: str, old: dict) -> dict:
    """Of the old preferences.py."""
    numbers = [int(seed) for seed in old["seeds"].split(",")]
    records = [
        make_record(label, seed, values_of(run))
        for label, runs in old["runs"].items()
        for seed, run in zip(numbers, runs, strict=True)
    ]
    options = {"methods": ";".join(old["runs"]), "seeds": old["seeds"]}
    settings = {"keys": keys_of(old["command"]), "metric": old["metric"], "seeds": numbers}
    command = script_command("inspection.preferences", name, "inspection", options, old["command"])
    return make_result("preferences", command, settings, records, environment(old))


def neighbours(name: str, old: dict) -> dict:
    """Of the old neighbours.py: a record a weight and seed."""
    metric = f"{old['part'].removesuffix('_result')}_{old['metric']}"
    records = [
        make_record("teacher", int(seed), {metric: value}, {"neighbour_weight": float(weight)})
        for seed, run in old["runs"].items()
        for weight, value in run.items()
    ]
    options = {"weights": ",".join(next(iter(old["runs"].values()))), "seeds": ",".join(old["runs"])}
    command = script_command("inspection.neighbours", name, "inspection", options, old["command"])
    return make_result("neighbour_weight", command, {"keys": keys_of(old["command"])}, records, environment(old))


def initial(name: str, old: dict) -> dict:
    """Of the old initial.py: a record a start and seed."""
    records = [
        make_record(start, int(seed), values_of(row))
        for seed, rows in old["runs"].items()
        for start, row in rows.items()
    ]
    options = {"method": old["method"], "seeds": ",".join(old["runs"])}
    settings = {"keys": keys_of(old["command"]), "method": old["method"]}
    command = script_command("inspection.initial", name, "inspection", options, old["command"])
    return make_result("initial_factors", command, settings, records, environment(old))


def walk(name: str, old: dict) -> dict:
    """Of the old walk.py: what each teacher's states share, and how far the student came."""
    records = []
    for run in old["runs"]:
        for (label, shares), comparisons in zip(run["shares"].items(), run["comparisons"], strict=True):
            records.append(make_record(label, run["seed"], {"shares": shares, "comparisons": comparisons}))
        own = {key: run[key] for key in ("all_last_from_epoch", "best_epoch", "epochs")}
        records.append(make_record("student", run["seed"], own))
    options = {"seeds": ",".join(str(run["seed"]) for run in old["runs"])}
    command = script_command("inspection.walk", name, "inspection", options, old["command"])
    return make_result("trajectories", command, {"keys": keys_of(old["command"])}, records, environment(old))


def scale(name: str, old: dict) -> dict:
    """Of the old scale.py."""
    settings = dict(old["asked"])
    own = {key: value for key, value in old.items() if key not in ("asked", "threads", "versions")}
    command = script_command("scale.synthetic", name, "scale", settings, [])
    return make_result("scale", command, settings, [make_record(settings["method"], None, own)], environment(old))


def serving(name: str, old: dict) -> dict:
    """Of the old serving.py: a record a size of catalogue and batch."""
    records = []
    for row in old["rows"]:
        setting = {key: row[key] for key in ("items", "batch")}
        own = {key: value for key, value in row.items() if key not in ("items", "batch", "spread")}
        low, high = row["spread"]
        records.append(make_record("ranking", None, {**own, "ratio_low": low, "ratio_high": high}, setting))
    command = [f"python -m benchmarks.serving.latency --result_file=benchmarks/serving/results/{name}.json"]
    return make_result("serving", command, old["asked"], records, environment(old))


def kill(name: str, old: dict) -> dict:
    """Of the old kill.py: a record a kill."""
    records = [
        make_record(f"kill {number}", None, {key: row[key] for key in ("line", "of", "same")}, {"after": row["after"]})
        for number, row in enumerate(old["kills"], 1)
    ]
    options = {"times": len(records)}
    command = script_command("robustness.kill", name, "robustness", options, old["command"])
    return make_result("kill", command, {"keys": keys_of(old["command"])}, records, environment(old))


def trials(name: str, old: dict) -> dict:
    """Of ``tune``: a record a trial."""
    search = old["search"]
    records = []
    for trial in old["trials"]:
        setting = {key: trial[key] for key in ("settings", "state", "reason")}
        own = {key: trial[key] for key in ("value", "seconds", "curve")}
        records.append(make_record(f"trial {trial['number']}", search["seed"], own, setting))
    settings = {key: value for key, value in search.items() if key not in ("command", "versions", "key")}
    command = [
        search["command"],
        f"python -m benchmarks.search.trials <the JSON of the trials> --output=benchmarks/search/results/{name}.json",
    ]
    settings["best"] = old["best"]
    return make_result("search", command, settings, records, environment(search))


def converter(name: str, old: Any) -> Any:
    """Which function converts a file."""
    by_name = {
        "decay": decay, "preferences": preferences, "neighbours": neighbours, "initial": initial, "walk": walk,
        "cost": epoch_cost, "profile": profile, "waits": waits, "payback": payback, "equal-time": equal_time,
        "tune-kd-rows": equal_time, "scale": scale, "serving": serving, "kill": kill, "main-job": main_job,
    }  # fmt: skip
    for start, function in by_name.items():
        if name.startswith(start):
            return function
    if "trials" in old:
        return trials
    if "datasets" in old:
        return compared
    if "teachers" in old:
        return several
    return (
        methods if "methods" in old or ("valid_result" in old and "config" not in old and "runs" not in old) else seeds
    )


def converted() -> Iterator[tuple[str, dict]]:
    """Each old file's name and its new content."""
    for file in git("ls-tree", "--name-only", REVISION, OLD).split():
        name, old = file.removeprefix(OLD).removesuffix(".json"), json.loads(git("show", f"{REVISION}:{file}"))
        yield name, converter(name, old)(name, old)


def main() -> None:
    """Write all files."""
    for name, content in converted():
        write_result(f"benchmarks/{topic_of(name)}/results/{name}.json", content)


if __name__ == "__main__":
    main()
