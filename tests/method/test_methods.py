"""Every method through the conformance suite: a class and a name each."""

from recbole_kd.testing import MethodConformance


class TestBD(MethodConformance):
    method = "BD"


class TestRRD(MethodConformance):
    method = "RRD"


class TestHetComp(MethodConformance):
    method = "HetComp"
    keys = {"hetcomp_base_weight": 1.0, "hetcomp_warm_up": 1, "hetcomp_refresh": 1, "hetcomp_k": 10}  # in two epochs


class TestHetCompOfSeveral(MethodConformance):
    method = "HetComp"
    keys = {"hetcomp_base_weight": 1.0, "hetcomp_items": 20, "hetcomp_k": 10, "teacher_model": ["BPR", "EASE", "NeuMF"]}


class TestKD(MethodConformance):
    method = "KD"


class TestIRRRD(MethodConformance):
    method = "IRRRD"


class TestRCEKD(MethodConformance):
    method = "RCEKD"


class TestCD(MethodConformance):
    method = "CD"


class TestRD(MethodConformance):
    method = "RD"
    loses = "below the student alone at its default weight"


class TestUnKD(MethodConformance):
    method = "UnKD"


class TestDCD(MethodConformance):
    method = "DCD"
    keys = {"dcd_max_k": 20}  # shorter than the toy catalogue, so that lists do not grow with it


class TestDE(MethodConformance):
    method = "DE"
    loses = "level with the student alone (-0.004), one seed of three below"


class TestFitNet(MethodConformance):
    method = "FitNet"
    loses = "its default weight, tuned for width 20, is too much for width 4 (-0.019)"


class TestVkD(MethodConformance):
    method = "VkD"


class TestFreqD(MethodConformance):
    method = "FreqD"


class TestFTD(MethodConformance):
    method = "FTD"


class TestHTD(MethodConformance):
    method = "HTD"
    loses = "level with the student alone (-0.001)"


class TestDERRD(MethodConformance):
    method = "DERRD"


class TestPCKD(MethodConformance):
    method = "PCKD"
    loses = "level with the student alone, as DE is (-0.003), at the weight that is better on citeulike's validation"


class TestNKD(MethodConformance):
    method = "NKD"


class TestCPD(MethodConformance):
    method = "CPD"
    loses = "level with the student alone (-0.004)"


class TestSLD(MethodConformance):
    method = "SLD"
    keys = {"sld_refresh": 1}


class TestSLDUnderATeacherThatScoresPairs(MethodConformance):
    method = "SLD"
    keys = {"teacher_model": "NeuMF"}


class TestSLDUnderATeacherWithoutTraining(MethodConformance):
    method = "SLD"
    keys = {"teacher_model": "EASE"}


class TestMKD(MethodConformance):
    method = "MKD"


class TestMKDSeparate(MethodConformance):
    method = "MKD"
    keys = {"mkd_assembly": "separate"}


class TestAFreeMix(MethodConformance):
    method = "Distiller"
    keys = {"terms": ["SLD", "NKD"]}


class TestMKDWithAGraphStudent(MethodConformance):
    method = "MKD"
    student = "LightGCN"


class TestMKDWithAPropagatingStudentWithDropout(MethodConformance):
    method = "MKD"
    student = "NGCF"
    keys = {"hidden_size_list": [4, 4, 4]}  # recbole_kd's default follows the width, plain RecBole's is 64


class TestMKDWithAStudentThatAggregatesHistories(MethodConformance):
    method = "MKD"
    student = "SimpleX"


class TestDLLM2Rec(MethodConformance):
    method = "DLLM2Rec"

    @classmethod
    def zero_weights(cls, settings):
        return super().zero_weights(settings) | {"dllm2rec_ed_weight": 0.0}


def test_every_method_is_here():
    from recbole_kd.config.schema import method_names

    tested = {
        kind.method for kind in globals().values() if isinstance(kind, type) and issubclass(kind, MethodConformance)
    }
    assert set(method_names()) <= tested
