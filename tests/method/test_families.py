"""Students of each of RecBole's families through the conformance suite, under methods that their kind can learn by."""

import pytest
from recbole.quick_start import quick_start

from recbole_kd.testing import MethodConformance

SEQUENCES = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "MAX_ITEM_LIST_LENGTH": 8,
    "train_batch_size": 256,
}
NO_LARGER_GRAPH = {
    "test_a_step_allocates_no_more_than_the_tables_grow": "no dataset has twice the users, items and knowledge graph"
}
NOISE = {"test_the_order_of_rows_does_not_matter": "the encoder draws its noise by position"}
SMALL_BATCHES = {"train_batch_size": 24}  # of users: some steps an epoch


class DrawsWhereOperationsAreCounted(MethodConformance):
    """``run_recbole`` counts the operations of a copy of the model for its log: the copy of SGL draws graphs, and the
    batch of BERT4Rec draws masks. Those draws have no part in the training.
    """

    @pytest.fixture(autouse=True)
    def no_count_of_operations(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quick_start, "get_flops", lambda *arguments: 0)


class TestSASRec(MethodConformance):
    method = "SLD"
    student = "SASRec"
    teacher_model = "SASRec"
    dataset = "toy_seq"
    twice = "twice_seq"
    keys = {**SEQUENCES, "teacher.hidden_size": 16}
    not_applicable = {"test_padding_rows_get_no_gradient": "its table of positions has no padding row"}


class TestGRU4Rec(MethodConformance):
    method = "RRD"
    student = "GRU4Rec"
    teacher_model = "BPR"
    dataset = "toy_seq"
    twice = "twice_seq"
    keys = SEQUENCES


class TestBERT4Rec(DrawsWhereOperationsAreCounted):
    method = "RRD"
    student = "BERT4Rec"
    teacher_model = "BPR"
    dataset = "toy_seq"
    twice = "twice_seq"
    keys = SEQUENCES
    not_applicable = {"test_padding_rows_get_no_gradient": "its table of positions has no padding row"}


class TestNeuMF(MethodConformance):
    method = "SLD"
    student = "NeuMF"


class TestDMF(MethodConformance):
    method = "RRD"
    student = "DMF"
    not_applicable = {"test_padding_rows_get_no_gradient": "it has no table of users or items"}


class TestMultiVAE(MethodConformance):
    method = "KD"
    student = "MultiVAE"
    keys = SMALL_BATCHES
    not_applicable = NOISE


class TestRecVAE(MethodConformance):
    method = "RRD"
    student = "RecVAE"
    keys = {**SMALL_BATCHES, "hidden_dimension": 16, "latent_dimension": 4}
    loss_arguments = {"encoder_flag": True}
    not_applicable = NOISE


class TestCKE(MethodConformance):
    method = "RRD"
    student = "CKE"
    dataset = "toy_kg"
    not_applicable = NO_LARGER_GRAPH


class TestCFKG(MethodConformance):
    method = "KD"
    student = "CFKG"
    dataset = "toy_kg"
    not_applicable = NO_LARGER_GRAPH


class TestSGL(DrawsWhereOperationsAreCounted):
    method = "RRD"
    student = "SGL"


class TestENMF(MethodConformance):
    method = "RRD"
    student = "ENMF"
    keys = SMALL_BATCHES
