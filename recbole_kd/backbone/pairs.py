"""Scores of chosen pairs, with a backward pass by sparse products instead of scattered rows."""

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
        shape [n, c], in float32 at least. The gradient is that of gathering and multiplying, without a row for each
        pair: with the incoming gradient as a sparse matrix of n x m, each side's is one product.
    """
    with torch.autocast(users.device.type, enabled=False):
        return _PairScores.apply(at_least_float32(users), at_least_float32(item_table), items)


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, users, item_table, items):
        ctx.save_for_backward(users, item_table, items)
        return torch.bmm(embedding(items, item_table), users.unsqueeze(-1)).squeeze(-1)

    @staticmethod
    def backward(ctx, grad):
        users, item_table, items = ctx.saved_tensors
        (n, c), m = items.shape, len(item_table)
        grad, flat = grad.to(users.dtype).reshape(-1), items.reshape(-1).long()
        by_user = torch.arange(0, n * c + 1, c, device=flat.device)
        sparse = torch.sparse_csr_tensor(by_user, flat, grad, (n, m), check_invariants=False)
        by_item, rows, turned = _turned(by_user, flat, grad, m)
        transposed = torch.sparse_csr_tensor(by_item, rows, turned, (m, n), check_invariants=False)
        with torch.autocast(users.device.type, enabled=False):
            return sparse @ item_table, transposed @ users, None


def _turned(starts, columns, values, m):
    """A CSR matrix of m columns as that of its transpose: (starts, columns, values), each row's entries in their old
    order: a product that adds in one order gives the same bits each time.
    """
    n = len(starts) - 1
    if values.device.type == "cpu":  # by counting, in a tenth of the time of sorting
        turned = csr_matrix((values.numpy(), columns.numpy(), starts.numpy()), (n, m)).tocsc()
        return tuple(map(torch.from_numpy, (turned.indptr, turned.indices, turned.data)))
    order = torch.argsort(columns, stable=True)
    rows = torch.arange(n, device=values.device).repeat_interleave(starts.diff())
    ends = torch.bincount(columns, minlength=m).cumsum(0)
    return torch.nn.functional.pad(ends, (1, 0)), rows[order], values[order]
