"""Helpers of the comparison's tests: names, summaries without times, and what a refusal looks like."""

import json
import re
from pathlib import Path

from recbole_kd.cli import main

NAMES = ["teacher", "student alone", "SLD", "RRD, half"]


def untimed(summary):
    """A summary without its times."""
    return json.loads(re.sub(r'"(ms_per_user|seconds)": [-+.\de]+', r'"\1": 0', json.dumps(summary)))


def refused(content, changed, workdir, capsys):
    """Run the command line with a changed plan; check that it ends as a refusal has to; return its sentence."""
    if isinstance(changed.get("keys"), dict):
        keys = {**content["keys"], **changed["keys"]}
        changed = {**changed, "keys": {key: value for key, value in keys.items() if value is not None}}
    Path("plan.yaml").write_text(json.dumps({**content, **changed}))
    assert main(["compare", "plan.yaml"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("recbole_kd: ") and err.count("\n") == 1 and not out, err
    assert not list(workdir.rglob("*.pth")) and not list(workdir.rglob("*.html"))
    return err
