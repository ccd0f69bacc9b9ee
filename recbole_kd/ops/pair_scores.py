"""Scores of chosen pairs. On a CPU by sparse products, so that no row is copied for each pair."""

import warnings
from typing import Any

import torch
from scipy.sparse import csr_matrix
from torch.nn.functional import embedding

from recbole_kd.losses.numerics import at_least_float32

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


def pair_scores(users: torch.Tensor, item_table: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Inner products of each user with a list of items, differentiable in both.

    On a CPU both directions are products with a sparse matrix of n x m, whose entries are the scores or their
    gradients. On a GPU the items' rows are gathered, once forwards and once backwards, and not kept in between.

    Args:
        users: user vectors, shape [n, d].
        item_table: all item vectors, shape [m + 1, d].
        items: ids, shape [n, c].

    Returns:
        shape [n, c], in float32 at least.

    Raises:
        IndexError: an id that is not in the table, on a CPU; a GPU stops with an assertion.

    >>> table = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> pair_scores(torch.tensor([[1.0, 1.0], [0.0, 1.0]]), table, torch.tensor([[1, 2], [2, 2]]))
    tensor([[3., 7.],
            [4., 4.]])
    """
    with torch.autocast(users.device.type, enabled=False):
        return _PairScores.apply(at_least_float32(users), at_least_float32(item_table), items)


def _on_host(values: torch.Tensor) -> bool:
    """Whether a tensor is on a CPU, where its values can be read without waiting for a GPU."""
    return values.device.type == "cpu"


def _inner_products(users: torch.Tensor, item_table: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    (n, c), m = items.shape, len(item_table)
    if not _on_host(users) or not 0 < n * c <= n * m:  # torch's bound of a sparse matrix's entries
        return torch.bmm(embedding(items, item_table), users.unsqueeze(-1)).squeeze(-1)
    low, high = items.aminmax()  # torch does not check the ids, and would read memory outside the table
    if low < 0 or high >= m:
        raise IndexError(f"the ids go from {low} to {high}, the table from 0 to {m - 1}")
    # item vectors are read in place: a row copied for each pair takes three to seven times as long
    pattern = _sparse_matrix(items, users.new_zeros(n * c), m)
    return torch.sparse.sampled_addmm(pattern, users, item_table.T, beta=0.0).values().view(n, c)


def _sparse_matrix(items: torch.Tensor, values: torch.Tensor, m: int) -> torch.Tensor:
    """A CSR matrix of m columns with each row's values at its items, in their order; duplicates stay separate."""
    n, c = items.shape
    starts = torch.arange(0, n * c + 1, c, device=items.device)
    return torch.sparse_csr_tensor(starts, items.reshape(-1).long(), values, (n, m), check_invariants=False)


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, users: torch.Tensor, item_table: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(users, item_table, items)
        return _inner_products(users, item_table, items)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        users, item_table, items = ctx.saved_tensors
        grad, m = grad.to(users.dtype), len(item_table)
        with torch.autocast(users.device.type, enabled=False):
            if not _on_host(users):
                return *_dense_gradients(users, item_table, items, grad), None
            sparse = _sparse_matrix(items, grad.reshape(-1), m)
            return sparse @ item_table, _transpose(sparse) @ users, None


def _dense_gradients(
    users: torch.Tensor, item_table: torch.Tensor, items: torch.Tensor, grad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of both sides. cuSPARSE would take less time and memory, but adds in no fixed order, and refuses
    lists longer than the table.
    """
    rows = grad.unsqueeze(2) * users.unsqueeze(1)
    table_grad = torch.ops.aten.embedding_dense_backward(rows, items.long(), len(item_table), -1, False)
    return torch.bmm(grad.unsqueeze(1), embedding(items, item_table)).squeeze(1), table_grad


def _transpose(matrix: torch.Tensor) -> torch.Tensor:
    """The transpose of a CSR matrix by counting, in a tenth of the time of sorting.

    Each row keeps the order of its entries, so a product adds in one order and gives the same bits each time.
    """
    arrays = tuple(tensor.numpy() for tensor in (matrix.values(), matrix.col_indices(), matrix.crow_indices()))
    transposed = csr_matrix(arrays, matrix.shape).tocsc()
    starts, rows, values = map(torch.from_numpy, (transposed.indptr, transposed.indices, transposed.data))
    return torch.sparse_csr_tensor(starts, rows, values, matrix.shape[::-1], check_invariants=False)
