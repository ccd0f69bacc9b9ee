"""What an export is to be, and what it has become."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recbole_kd.errors import KDError, did_you_mean
from recbole_kd.serving.checks import Agreement
from recbole_kd.serving.faiss_index import INDEXES
from recbole_kd.serving.output import is_installed, require_package
from recbole_kd.serving.precision import PRECISIONS
from recbole_kd.serving.quantisation import PrecisionRow
from recbole_kd.serving.recommendations import check_k

PACKAGES = {
    "bundle": (),
    "safetensors": (("safetensors", "safetensors"),),
    "onnx": (("onnx", "onnx"), ("onnxruntime", "onnxruntime")),
    "faiss": (("faiss", "faiss-cpu"),),
}
FORMATS = tuple(PACKAGES)


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        folder: where it is.
        format, precision: as they were chosen.
        size: bytes of all files but model.json and README.md.
        agreement: how the lists compare with the model's own.
        ndcg, ndcg_fp32: ndcg@10 on validation, at this precision and in fp32; None for fp32 and without vectors.
        recall: of a faiss index; else None.
        rows: bytes, milliseconds and ndcg@10 at fp32 and at this precision, or at all; empty without vectors.
    """

    folder: Path
    format: str
    precision: str
    size: int
    agreement: Agreement
    ndcg: float | None = None
    ndcg_fp32: float | None = None
    recall: float | None = None
    rows: tuple[PrecisionRow, ...] = ()


@dataclass(frozen=True)
class ExportOptions:
    """What an export is to be.

    Attributes:
        format: ``bundle``: vectors, tokens and seen items as npz and text, with a reader of numpy alone;
            ``safetensors``: the same with the arrays in one safetensors file; ``onnx``: a graph for onnxruntime;
            ``faiss``: a bundle with an index.
        precision: ``fp32``, ``fp16``, ``int8`` with a scale for each vector, or ``pq``, product quantisation.
        index: of faiss: ``flat``, exact, or ``hnsw``, approximate.
        k: length of the lists that are compared; of a traced ONNX graph also the number of items it gives.
        pq_bytes: of pq: the bytes of a vector, which divide its width; None: half of the width, all of an odd one.
        compare: measure all precisions that the installed packages allow, not only fp32 and the chosen one.
        metrics: what is known of the model's accuracy, for the model card.
        licence, data_licence: of the model and of its data, for the model card.

    Raises:
        KDError: an option out of range.
    """

    format: str = "bundle"
    precision: str = "fp32"
    index: str = "flat"
    k: int = 10
    pq_bytes: int | None = None
    compare: bool = False
    metrics: Mapping[str, float] | None = None
    licence: str | None = None
    data_licence: str | None = None

    def __post_init__(self) -> None:
        for name, values in (("format", FORMATS), ("precision", PRECISIONS), ("index", INDEXES)):
            value = str(getattr(self, name))
            if value not in values:
                hint = did_you_mean(value, values)
                raise KDError(f"{name}='{value}' is unknown: it takes one of {', '.join(values)}{hint}")
        check_k(self.k)
        if self.index != "flat" and self.format != "faiss":
            raise KDError(f"index={self.index} needs format=faiss, and not {self.format}")
        if self.index == "hnsw" and self.precision == "pq":
            raise KDError(
                "index=hnsw has no precision=pq: such an index of faiss ranks by distance, and not by inner product; "
                "int8 is the smallest, or leave index out"
            )
        if self.pq_bytes is not None:
            _check_pq_bytes(self.pq_bytes)
            if self.precision != "pq" and not self.compare:
                raise KDError(f"pq_bytes={self.pq_bytes} needs precision=pq, and not {self.precision}")

    def require_packages(self) -> None:
        """Refuse an export whose packages are not installed. Raises KDError, with the line for pip."""
        for package, install in PACKAGES[self.format]:
            require_package(package, f"format={self.format}", install)
        if self.precision == "pq":
            require_package("faiss", "precision=pq", "faiss-cpu")

    def compared_precisions(self) -> tuple[str, ...]:
        """The precisions that are measured, in the order of PRECISIONS."""
        if not self.compare:
            return tuple(dict.fromkeys(("fp32", self.precision)))
        with_pq = is_installed("faiss") and self.index != "hnsw"
        return tuple(name for name in PRECISIONS if name != "pq" or with_pq)


def _check_pq_bytes(pq_bytes: int) -> None:
    if isinstance(pq_bytes, bool) or not isinstance(pq_bytes, int) or pq_bytes < 1:
        raise KDError(f"pq_bytes={pq_bytes!r} is out of range: it takes an int in [1, inf)")
