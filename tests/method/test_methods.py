"""Every method through the conformance suite: a class and a name each."""

from recbole_kd.testing.conformance import Conformance


class TestBD(Conformance):
    method = "BD"


class TestRRD(Conformance):
    method = "RRD"


class TestHetComp(Conformance):
    method = "HetComp"
    keys = {"hetcomp_base_weight": 1.0, "hetcomp_warm_up": 1, "hetcomp_refresh": 1, "hetcomp_k": 10}  # in two epochs


class TestHetCompOfSeveral(Conformance):
    method = "HetComp"
    keys = {"hetcomp_base_weight": 1.0, "hetcomp_items": 20, "hetcomp_k": 10, "teacher_model": ["BPR", "EASE", "NeuMF"]}


class TestKD(Conformance):
    method = "KD"


class TestIRRRD(Conformance):
    method = "IRRRD"


class TestRCEKD(Conformance):
    method = "RCEKD"


class TestCD(Conformance):
    method = "CD"


class TestRD(Conformance):
    method = "RD"
    loses = "below the student alone at its default weight"


class TestUnKD(Conformance):
    method = "UnKD"


class TestDCD(Conformance):
    method = "DCD"
    keys = {"dcd_max_k": 20}  # shorter than the toy catalogue, so that lists do not grow with it


class TestDE(Conformance):
    method = "DE"
    loses = "level with the student alone (-0.004), one seed of three below"


class TestFitNet(Conformance):
    method = "FitNet"
    loses = "its default weight, tuned for width 20, is too much for width 4 (-0.019)"


class TestVkD(Conformance):
    method = "VkD"


class TestFreqD(Conformance):
    method = "FreqD"


class TestFTD(Conformance):
    method = "FTD"


class TestHTD(Conformance):
    method = "HTD"
    loses = "level with the student alone (-0.001)"


class TestDERRD(Conformance):
    method = "DERRD"


class TestPCKD(Conformance):
    method = "PCKD"
    loses = "level with the student alone, as DE is (-0.003), at the weight that is better on citeulike's validation"


class TestNKD(Conformance):
    method = "NKD"


class TestCPD(Conformance):
    method = "CPD"
    loses = "level with the student alone (-0.004)"


class TestSLD(Conformance):
    method = "SLD"
    keys = {"sld_refresh": 1}


class TestSLDUnderATeacherThatScoresPairs(Conformance):
    method = "SLD"
    keys = {"teacher_model": "NeuMF"}


class TestSLDUnderATeacherWithoutTraining(Conformance):
    method = "SLD"
    keys = {"teacher_model": "EASE"}


class TestMKD(Conformance):
    method = "MKD"


class TestMKDSeparate(Conformance):
    method = "MKD"
    keys = {"mkd_assembly": "separate"}


class TestAFreeMix(Conformance):
    method = "Distiller"
    keys = {"terms": ["SLD", "NKD"]}


class TestMKDWithAGraphStudent(Conformance):
    method = "MKD"
    student = "LightGCN"


def test_every_method_is_here():
    from recbole_kd.config.schema import method_names

    tested = {kind.method for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Conformance)}
    assert set(method_names()) <= tested
