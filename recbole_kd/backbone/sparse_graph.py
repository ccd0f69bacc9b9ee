"""LightGCN's graph in a form that multiplies faster, forwards and backwards."""

import sys
import warnings

import torch
from recbole.model.general_recommender import LightGCN


def use_row_product(model):
    """The model, whose graph multiplies as `Adjacency` does where it is a LightGCN.

    RecBole keeps the graph as pairs of indices. torch sorts them again at each product, and transposes them again at
    each gradient, which takes most of the time of a narrow one's step. A class of one's own that is derived from
    LightGCN may use the graph otherwise, and keeps it.
    """
    if type(model) is LightGCN and _rows_are_faster(model.norm_adj_matrix.device.type):
        model.norm_adj_matrix = RowAdjacency(model.norm_adj_matrix)
    return model


class RowAdjacency:
    """A symmetric sparse matrix that takes a matrix's place in ``torch.sparse.mm``.

    By rows a product needs no sorting, and a symmetric matrix is its own transpose: D^-1/2 A D^-1/2 of LightGCN (He
    et al., SIGIR 2020, eq. 8), whose entries (u, i) and (i, u) are the same float.

    Args:
        matrix: float, sparse by pairs of indices, n x n, symmetric.
    """

    def __init__(self, matrix):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
            self.rows = matrix.coalesce().to_sparse_csr()

    def __deepcopy__(self, memo):
        return self  # nothing changes it, and torch cannot copy a matrix by rows

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is not torch.sparse.mm or kwargs or not isinstance(args[0], cls):
            return NotImplemented  # torch raises the TypeError
        return _RowProduct.apply(args[0].rows, args[1])


class _RowProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows, table):
        ctx.rows = rows
        return torch.sparse.mm(rows, table)

    @staticmethod
    def backward(ctx, grad):
        return None, _RowProduct.apply(ctx.rows, grad)


def _rows_are_faster(device):
    """Whether this torch multiplies matrices by rows faster: by cuSPARSE, and by MKL as on Linux."""
    return device == "cuda" or (device == "cpu" and sys.platform == "linux" and torch.backends.mkl.is_available())
