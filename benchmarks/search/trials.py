"""The trials of ``run_kd.py tune`` as a result file.

python run_kd.py tune --model=RRD --dataset=ml-100k
python -m benchmarks.search.trials tuned-RRD-ml-100k.json --output=benchmarks/search/results/tune-RRD-ml-100k.json
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.command import device_name
from benchmarks.schema import make_record, make_result, write_result


def trials_result(content: dict, command: str) -> dict:
    """The content of a result file: a record a trial.

    Args:
        content: the JSON that ``tune`` writes beside its recipe: ``search``, ``trials`` and ``best``.
        command: the command line that made the result file.
    """
    search = content["search"]
    records = [
        make_record(
            f"trial {trial['number']}", search["seed"], {key: trial[key] for key in ("value", "seconds", "curve")},
            {key: trial[key] for key in ("settings", "state", "reason")},
        )
        for trial in content["trials"]
    ]  # fmt: skip
    settings = {key: value for key, value in search.items() if key not in ("command", "versions", "key")}
    settings["best"] = content["best"]
    place = {"device": device_name(), "versions": search["versions"]}
    return make_result("search", [search["command"], command], settings, records, place)


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", help="the JSON that tune writes beside its recipe")
    parser.add_argument("--output", required=True)
    options = parser.parse_args(words)
    content = json.loads(Path(options.trials).read_text(encoding="utf-8"))
    command = f"python -m benchmarks.search.trials {options.trials} --output={options.output}"
    write_result(options.output, trials_result(content, command))


if __name__ == "__main__":
    main(sys.argv[1:])
