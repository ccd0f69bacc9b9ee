"""Scores of chosen pairs: on a CPU by sparse products, forwards and backwards, without a row gathered for each pair."""

import warnings

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
        shape [n, c], in float32 at least. The gradient is that of gathering and multiplying. On a CPU there is no row
        for each pair: with the incoming gradient as a sparse matrix of n x m, each side's is one product. On a GPU rows
        are gathered, once forwards and once backwards, and held for no longer.

    Raises:
        IndexError: an id that is not in the table, on a CPU; a GPU stops at it.
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
        grad, m = grad.to(users.dtype), len(item_table)
        with torch.autocast(users.device.type, enabled=False):
            if not _on_host(users):
                return *_dense_gradients(users, item_table, items, grad), None
            sparse = _matrix(items, grad.reshape(-1), m)
            return sparse @ item_table, _transposed(sparse) @ users, None


def _dense_gradients(users, item_table, items, grad):
    """The gradients of both sides. cuSPARSE would take less time and memory, but adds in no fixed order, and refuses
    lists longer than the table.
    """
    rows = grad.unsqueeze(2) * users.unsqueeze(1)
    theirs = torch.ops.aten.embedding_dense_backward(rows, items.long(), len(item_table), -1, False)
    return torch.bmm(grad.unsqueeze(1), embedding(items, item_table)).squeeze(1), theirs


def _transposed(matrix):
    """The transpose of a CSR matrix by counting, in a tenth of the time of sorting; each row's entries in their old
    order: a product that adds in one order gives the same bits each time.
    """
    parts = tuple(part.numpy() for part in (matrix.values(), matrix.col_indices(), matrix.crow_indices()))
    turned = csr_matrix(parts, matrix.shape).tocsc()
    starts, rows, values = map(torch.from_numpy, (turned.indptr, turned.indices, turned.data))
    return torch.sparse_csr_tensor(starts, rows, values, matrix.shape[::-1], check_invariants=False)
