"""Scores of chosen pairs by sparse products: backward, and on a CPU forward too, instead of scattered and gathered
rows.
"""

import warnings

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch.nn.functional import embedding

from recbole_kd.losses import at_least_float32

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


def pair_scores(users, item_table, items):
    """Inner products of each user with a list of items.

    Args:
        users: user vectors, shape [n, d].
        item_table: all item vectors, shape [m + 1, d].
        items: ids, shape [n, c].

    Returns:
        shape [n, c], in float32 at least. The gradient is that of gathering and multiplying, without a row for each
        pair: with the incoming gradient as a sparse matrix of n x m, each side's is one product.

    Raises:
        IndexError: an id that is not in the table.
    """
    with torch.autocast(users.device.type, enabled=False):
        return _PairScores.apply(at_least_float32(users), at_least_float32(item_table), items)


def _on_host(values):
    """Whether the ways of a CPU are open, which read what stands in a tensor: on a GPU the host would wait for it."""
    return values.device.type == "cpu"


def _inner_products(users, item_table, items):
    (n, c), m = items.shape, len(item_table)
    if not _on_host(users) or not 0 < n * c <= n * m:  # torch's own bound
        return torch.bmm(embedding(items, item_table), users.unsqueeze(-1)).squeeze(-1)
    low, high = items.aminmax()  # torch does not look, and would read whatever stands there
    if low < 0 or high >= m:
        raise IndexError(f"the ids go from {low} to {high}, the table from 0 to {m - 1}")
    # read where they stand: a row copied for each pair takes three to seven times as long
    places = _matrix(items, users.new_zeros(n * c), m)
    return torch.sparse.sampled_addmm(places, users, item_table.T, beta=0.0).values().view(n, c)


def _matrix(items, values, m):
    """A CSR matrix of m columns: each row's values at its items, in their order, doubles apart."""
    n, c = items.shape
    starts = torch.arange(0, n * c + 1, c, device=items.device)
    return torch.sparse_csr_tensor(starts, items.reshape(-1).long(), values, (n, m), check_invariants=False)


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, users, item_table, items):
        ctx.save_for_backward(users, item_table, items)
        return _inner_products(users, item_table, items)

    @staticmethod
    def backward(ctx, grad):
        users, item_table, items = ctx.saved_tensors
        m = len(item_table)
        sparse = _matrix(items, grad.to(users.dtype).reshape(-1), m)
        starts, rows, turned = _turned(items.shape[1], sparse.col_indices(), sparse.values(), m)
        transposed = torch.sparse_csr_tensor(starts, rows, turned, (m, len(users)), check_invariants=False)
        with torch.autocast(users.device.type, enabled=False):
            return sparse @ item_table, transposed @ users, None


def _turned(c, columns, values, m):
    """A CSR matrix of m columns with c entries a row, as that of its transpose: (starts, rows, values), each row's
    entries in their old order: a product that adds in one order gives the same bits each time.
    """
    if _on_host(values):  # by counting, in a tenth of the time of sorting
        matrix = values.numpy(), columns.numpy(), np.arange(0, len(values) + 1, c)
        turned = csr_matrix(matrix, (len(values) // c, m)).tocsc()
        return tuple(map(torch.from_numpy, (turned.indptr, turned.indices, turned.data)))
    ascending, order = torch.sort(columns, stable=True)
    starts = torch.searchsorted(ascending, torch.arange(m + 1, device=columns.device))
    return starts, order // c, values[order]
