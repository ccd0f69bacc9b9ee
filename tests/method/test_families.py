"""Students of each of RecBole's families through the conformance suite, under methods that their kind can learn by."""

from recbole_kd.testing import MethodConformance

SEQUENCE = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}, "MAX_ITEM_LIST_LENGTH": 8}


class TestSASRec(MethodConformance):
    method = "SLD"
    student = "SASRec"
    dataset = "toy_seq"
    teacher_model = "SASRec"
    keys = {**SEQUENCE, "loss_type": "CE", "train_neg_sample_args": None}


class TestGRU4Rec(MethodConformance):
    method = "RRD"
    student = "GRU4Rec"
    dataset = "toy_seq"
    teacher_model = "BPR"
    keys = {**SEQUENCE}


class TestNeuMF(MethodConformance):
    method = "SLD"
    student = "NeuMF"


class TestDMF(MethodConformance):
    method = "RRD"
    student = "DMF"


class TestMultiVAE(MethodConformance):
    method = "KD"
    student = "MultiVAE"


class TestRecVAE(MethodConformance):
    method = "RRD"
    student = "RecVAE"


class TestCKE(MethodConformance):
    method = "RRD"
    student = "CKE"
    dataset = "toy_kg"


class TestCFKG(MethodConformance):
    method = "KD"
    student = "CFKG"
    dataset = "toy_kg"


class TestSGL(MethodConformance):
    method = "RRD"
    student = "SGL"


class TestENMF(MethodConformance):
    method = "RRD"
    student = "ENMF"
