"""The capability sets, how they are named, and that what the terms need can be met."""

import pytest

from recbole_kd.backbone.capabilities import FACTOR_MODEL, FACTORS, RANK_LISTS, SCORER, Capability, describe
from recbole_kd.config.schema import method_names, term_names
from recbole_kd.term import get_term

TERMS = sorted({term for method in method_names() for term in term_names(method)})


@pytest.mark.parametrize(
    ("capabilities", "phrase"),
    [
        (FACTOR_MODEL, "factors"),
        (FACTORS | Capability.RANKS, "factors"),
        (SCORER, "scores"),
        (Capability.SCORES, "scores"),
        (Capability.ALL_SCORES, "scores of all items"),
        (Capability.SCORES | Capability.RANKS, "scores and ranks"),
        (RANK_LISTS, "ranks"),
        (Capability.ROW_SCORES, "scores of a batch's rows"),
        (Capability.QUERY_VECTORS | Capability.ITEM_VECTORS, "query and item vectors"),
        (Capability.SCORES | Capability.USER_TABLE, "scores and vectors of all users"),
        (Capability(0), "nothing"),
    ],
)
def test_capabilities_in_words(capabilities, phrase):
    assert describe(capabilities) == phrase


def test_every_capability_has_a_word():
    assert len({describe(capability) for capability in Capability}) == len(Capability)


def test_a_factor_model_has_all_capabilities_and_ranked_lists_the_fewest():
    assert ~Capability(0) == FACTOR_MODEL
    assert RANK_LISTS in SCORER and SCORER in FACTOR_MODEL
    assert FACTORS not in SCORER and Capability.SCORES not in RANK_LISTS


@pytest.mark.parametrize("name", TERMS)
def test_a_term_needs_something_of_both_sides(name):
    term = get_term(name)
    assert term.teacher_needs and term.student_needs
    assert isinstance(term.teacher_needs, Capability) and isinstance(term.student_needs, Capability)
