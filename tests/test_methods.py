"""Every method through the conformance suite: a class and a name each."""

from conformance import Conformance


class TestBD(Conformance):
    method = "BD"


class TestRRD(Conformance):
    method = "RRD"


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


class TestUnKD(Conformance):
    method = "UnKD"


class TestDCD(Conformance):
    method = "DCD"
    keys = {"dcd_max_k": 20}  # shorter than the toy catalogue, so that lists do not grow with it


class TestDE(Conformance):
    method = "DE"


class TestFitNet(Conformance):
    method = "FitNet"


class TestVkD(Conformance):
    method = "VkD"


class TestFreqD(Conformance):
    method = "FreqD"


class TestFTD(Conformance):
    method = "FTD"


class TestHTD(Conformance):
    method = "HTD"


class TestDERRD(Conformance):
    method = "DERRD"


class TestPCKD(Conformance):
    method = "PCKD"


class TestNKD(Conformance):
    method = "NKD"


class TestCPD(Conformance):
    method = "CPD"


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
    from recbole_kd import method_names

    tested = {kind.method for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Conformance)}
    assert set(method_names()) <= tested
