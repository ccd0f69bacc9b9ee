"""RecBole's models with factors through the conformance suite of models."""

from recbole_kd.testing import BackboneConformance


class TestBPR(BackboneConformance):
    model = "BPR"


class TestLightGCN(BackboneConformance):
    model = "LightGCN"


class TestNGCF(BackboneConformance):
    model = "NGCF"


class TestSimpleX(BackboneConformance):
    model = "SimpleX"


class TestDGCF(BackboneConformance):
    model = "DGCF"


class TestLINE(BackboneConformance):
    model = "LINE"


class TestSpectralCF(BackboneConformance):
    model = "SpectralCF"
