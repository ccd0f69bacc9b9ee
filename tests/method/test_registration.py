"""A method that is not ours: one class and one YAML, and it passes the whole suite."""

import shutil
import sys
import types

import pytest
import recbole.trainer

from recbole_kd import register
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config import schema
from recbole_kd.config.schema import kd_keys, method_names
from recbole_kd.term.base import Term
from recbole_kd.testing.conformance import Conformance

YAML = """# Pull: pulls the student's scores of the teacher's best items to the teacher's.
# Paper: none.
# Sure: a toy.
pull_weight: 0.1  # (float) [0, inf) Weight of the term.
pull_k: 5         # (int) [1, inf) Items a user.
"""


class Pull(Term):
    """The squared difference of both models' scores on the teacher's list."""

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.top = knowledge.top_items(self.key("k"))

    def loss(self, batch):
        users = self.subsample(batch.users)
        ids, scores = self.top.ids[users], self.top.scores[users]
        difference = batch.student.score(users, ids) - scores.masked_fill(ids == 0, 0.0)
        return self.reduce((difference * (ids > 0)).square().sum(1), len(batch.users), self.key("k"))


@pytest.fixture(scope="module", autouse=True)
def pull(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "properties"
    shutil.copytree(schema.PROPERTIES, folder)
    (folder / "method" / "Pull.yaml").write_text(YAML)
    module = types.ModuleType("recbole_kd.term.pull")
    module.Pull = Pull
    before, here = set(sys.modules), schema.PROPERTIES
    sys.modules["recbole_kd.term.pull"], schema.PROPERTIES = module, folder
    kd_keys.cache_clear()
    register()
    yield
    schema.PROPERTIES = here
    kd_keys.cache_clear()
    for name in set(sys.modules) - before:
        if name.endswith(".pull"):
            del sys.modules[name]
    del recbole.trainer.PullTrainer


class TestPull(Conformance):
    method = "Pull"


def test_it_is_one_of_the_methods_here():
    assert "Pull" in method_names()
