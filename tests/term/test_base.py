"""What the terms declare about themselves is true of their losses."""

import pytest
import torch

from recbole_kd.config.schema import method_names, term_names
from recbole_kd.term import get_term
from recbole_kd.term.batch import Batch
from recbole_kd.testing.toy import ROWS, World
from tests.term.test_bd import World as BDWorld
from tests.term.test_dllm2rec import KEYS as DLLM2REC_KEYS
from tests.term.test_feature_terms import KEYS as FEATURE_KEYS
from tests.term.test_hetcomp import KEYS as HETCOMP_KEYS
from tests.term.test_hetcomp import Several
from tests.term.test_mkd_terms import KEYS as MKD_KEYS
from tests.term.test_pointwise_terms import KEYS as POINTWISE_KEYS
from tests.term.test_ranking_terms import KEYS as RANKING_KEYS

KEYS = (
    DLLM2REC_KEYS
    | FEATURE_KEYS
    | HETCOMP_KEYS
    | MKD_KEYS
    | POINTWISE_KEYS
    | RANKING_KEYS
    | BDWorld.common
    | {"kd_rows": 3}
)
TERMS = sorted({term for method in method_names() for term in term_names(method)})


@pytest.mark.parametrize("name", TERMS)
def test_a_loss_depends_on_the_negatives_where_the_term_says_so(name):
    kind = get_term(name)
    world = (Several if name == "HetComp" else World)(kind, **KEYS)
    state = world.term.generator.get_state()
    losses = []
    for shift in range(7):
        world.term.generator.set_state(state)
        loss = world.loss([(user, pos, (neg + shift - 1) % 7 + 1) for user, pos, neg in ROWS])
        losses.append(
            float(loss.detach() + getattr(world.term, "teacher_loss", torch.zeros(())).detach())
        )  # BD has two
    assert (len(set(losses)) > 1) == kind.needs_negatives


def test_row_counts_are_those_of_the_batch():
    batch = Batch(*torch.tensor(ROWS).T, None)
    assert batch.row_counts(torch.tensor([1, 2, 4])).tolist() == [3, 2, 1]
