"""The methods made of several terms that share a part."""

from recbole_kd.method.distiller import Distiller


class MKD(Distiller):
    """NKD at the input, CPD at the projectors, SLD at the output: Zhu & Zhang, arXiv 2311.04549 v1.

    The parts are sure, how they are put together is a reconstruction: ``shared`` lets CPD regularise NKD's projectors
    on unmixed vectors, ``separate`` gives CPD its own, with an alignment loss.
    """

    @classmethod
    def build_terms(cls, kinds, config, knowledge, width):
        terms = super().build_terms(kinds, config, knowledge, width)
        if config["mkd_assembly"] == "shared":
            terms[1].share(terms[0])  # CPD, NKD's projectors
        return terms


class PCKD(Distiller):
    """DE, whose projectors CPD regularises: Zhu & Zhang, arXiv 2311.04549 v2 (TKDE 2025)."""

    @classmethod
    def build_terms(cls, kinds, config, knowledge, width):
        de, cpd = super().build_terms(kinds, config, knowledge, width)
        cpd.share(de)
        return [de, cpd]
