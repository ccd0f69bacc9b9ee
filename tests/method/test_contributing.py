"""A term that is added as CONTRIBUTING.md says touches the files that it names, and no other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TERM = '''"""XYZ: a toy."""

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.term.base import Term


class XYZ(Term):
    """The squared score of the teacher's best item."""

    layer = "output"
    teacher_needs = Capability.RANKS
    student_needs = Capability.SCORES

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.ids = knowledge.top_items(self.key("k")).ids

    def loss(self, batch):
        users = self.subsample(batch.queries)
        return self.reduce(batch.student.score(users, self.ids[users]).square().sum(1), len(batch.queries))
'''
YAML = """# XYZ: a toy.
# Paper: none.
# Sure: a toy.
xyz_weight: 0.1  # (float) [0, inf) Weight of the term.
xyz_k: 1         # (int) [1, inf) Items a user.
"""
CODE = {
    "recbole_kd/term/xyz.py": TERM,
    "properties/method/XYZ.yaml": YAML,
    "properties/space/XYZ.yaml": "xyz_weight: [0.1, 1.0]\n",
}


def named_files():
    """The files that the steps of CONTRIBUTING.md name."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    steps = text[text.index("## Add a term") : text.index("Nothing else.")]
    return set(re.findall(r"`((?:recbole_kd|properties|tests)/[\w/.]+\.(?:py|yaml))`", steps))


def test_the_steps_name_these_files():
    assert named_files() == {*CODE, "tests/method/test_methods.py"}


def test_a_term_in_these_files_alone_is_listed_and_distils(tmp_path, settings, workdir):
    for folder in ("recbole_kd", "properties"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in CODE.items():
        (tmp_path / "copy" / name).write_text(content)
    keys = {**settings, "epochs": 1, "show_progress": False}
    program = (
        "import recbole_kd\n"
        "from recbole_kd.cli import main\n"
        f"assert recbole_kd.__file__.startswith({str(tmp_path)!r})\n"
        "assert main(['--list']) == 0 and main(['--model=XYZ', '--explain']) == 0\n"
        f"result = recbole_kd.run_kd('XYZ', config_dict={keys!r})\n"
        "assert result['distilled']['method'] == 'XYZ'\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "copy")}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=workdir, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "| XYZ " in run.stdout and "xyz_k" in run.stdout
