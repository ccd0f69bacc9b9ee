"""LightGCN's graph in a form that multiplies faster, forwards and backwards."""

import sys
import warnings
from typing import Any

import torch
from recbole.model.general_recommender import LightGCN


def use_row_product(model: Any) -> Any:
    """Replace a LightGCN's graph by a RowAdjacency; other models are returned unchanged.

    RecBole keeps the graph as pairs of indices. torch sorts them again at each product, and transposes them again at
    each gradient, which takes most of the time of a narrow model's step. A class derived from LightGCN may use the
    graph for other products, and keeps RecBole's.

    Args:
        model: a RecBole model.

    Returns:
        the same model.
    """
    if type(model) is LightGCN and _rows_are_faster(model.norm_adj_matrix.device.type):
        model.norm_adj_matrix = RowAdjacency(model.norm_adj_matrix)
    return model


class RowAdjacency:
    """A symmetric sparse matrix as the first argument of ``torch.sparse.mm``, stored by rows.

    By rows a product needs no sorting, and a symmetric matrix is its own transpose: D^-1/2 A D^-1/2 of LightGCN (He
    et al., SIGIR 2020, eq. 8), whose entries (u, i) and (i, u) are the same float.

    Args:
        matrix: float, sparse by pairs of indices, n x n, symmetric.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
            self.rows = matrix.coalesce().to_sparse_csr()

    def __deepcopy__(self, memo: dict[int, Any]) -> "RowAdjacency":
        return self  # it is never changed, and torch cannot copy a matrix by rows

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is not torch.sparse.mm or kwargs or not isinstance(args[0], cls):
            return NotImplemented  # torch raises the TypeError
        return _RowProduct.apply(args[0].rows, args[1])


class _RowProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        ctx.rows = rows
        return torch.sparse.mm(rows, table)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, _RowProduct.apply(ctx.rows, grad)


def _rows_are_faster(device: str) -> bool:
    """Whether this torch multiplies matrices by rows faster: by cuSPARSE, and by MKL as on Linux."""
    return device == "cuda" or (device == "cpu" and sys.platform == "linux" and torch.backends.mkl.is_available())
