"""The methods made of several terms that share a module."""

from recbole_kd.config.configurator import Config
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.method.distiller import Distiller, TermClasses
from recbole_kd.term.base import Term


class MKD(Distiller):
    """NKD at the input, CPD at the projectors, SLD at the output.

    Fidelity: the terms are the paper's, their assembly is a reconstruction. ``mkd_assembly: shared`` lets CPD
    regularise NKD's projectors on vectors that are not mixed; ``separate`` gives CPD projectors and an alignment loss
    besides.

    Source: Zhu & Zhang, arXiv 2311.04549 v1.
    """

    @classmethod
    def build_terms(
        cls, term_classes: TermClasses, config: Config, knowledge: BaseKnowledge, width: int | None
    ) -> list[Term]:
        nkd, cpd, *others = super().build_terms(term_classes, config, knowledge, width)
        if config["mkd_assembly"] == "shared":
            cpd.share(nkd)  # type: ignore[operator]  # CPD has this method
        return [nkd, cpd, *others]


class PCKD(Distiller):
    """DE, whose projectors CPD regularises.

    Source: Zhu & Zhang, arXiv 2311.04549 v2 (TKDE 2025).
    """

    @classmethod
    def build_terms(
        cls, term_classes: TermClasses, config: Config, knowledge: BaseKnowledge, width: int | None
    ) -> list[Term]:
        de, cpd = super().build_terms(term_classes, config, knowledge, width)
        cpd.share(de)  # type: ignore[operator]  # CPD has this method
        return [de, cpd]
