"""Exports of a student, read in an environment without torch, RecBole and recbole_kd: the same top 10 for 1,000 users.

    python -m benchmarks.serving.clean_environment saved/BPR-….pth --result_file=benchmarks/serving/results/clean.json

A virtual environment with numpy, onnxruntime and faiss-cpu is made by pip; clean_reader.py runs there, isolated from
this folder.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks.command import environment
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd import export, recommend
from recbole_kd.serving import Recommender
from recbole_kd.serving.checks import sample

PACKAGES = ("numpy", "onnxruntime", "faiss-cpu")
FORMATS = ("bundle", "safetensors", "onnx", "faiss")
USERS, K = 1000, 10


def write_exports(model: Recommender, folder: Path) -> None:
    """The student in every format, and the lists that it gives."""
    for format in FORMATS:
        export(model, folder / format, format=format)
    users = model.users.tokens[sample(model.trained_ids("users"), USERS)]
    table = recommend(model, users.tolist(), K)
    lists = {
        user: list(zip(rows["item"], map(float, rows["score"]), strict=True)) for user, rows in table.groupby("user")
    }
    (folder / "expected.json").write_text(json.dumps(lists))


def make_environment(folder: Path) -> Path:
    """A new virtual environment with PACKAGES; returns its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_file")
    parser.add_argument("--data_path")
    parser.add_argument("--python", help="the Python of such an environment, instead of a new one")
    parser.add_argument("--result_file", required=True)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole reads the command line
    model = Recommender(options.model_file, options.data_path)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_exports(model, folder)
        python = options.python or make_environment(folder / "environment")
        script = shutil.copy(Path(__file__).with_name("clean_reader.py"), folder)
        run = subprocess.run(
            [str(python), "-I", script, str(folder)], capture_output=True, text=True, cwd=folder, check=False
        )
    if run.returncode:
        raise SystemExit(run.stderr)
    answer = json.loads(run.stdout)
    if len(answer["absent"]) < 3:
        raise SystemExit("the environment holds torch, recbole or recbole_kd: take another one")
    print(answer)
    versions = answer.pop("versions") | {"python": environment()["versions"].get("python", "")}
    shared = {"users": answer["users"], "k": answer["k"]}
    records = [
        make_record(name, None, {**shared, "same": answer[name]})
        for name in ("numpy", "safetensors", "onnxruntime", "faiss")
    ]
    command = "python -m benchmarks.serving.clean_environment BPR.pth"
    settings = {"dataset": str(model.config["dataset"]), "model": model.name, "absent": answer["absent"]}
    place = {"device": "cpu", "versions": versions}
    write_result(options.result_file, make_result("clean_environment", [command], settings, records, place))


if __name__ == "__main__":
    main()
