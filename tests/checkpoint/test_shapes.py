"""Sizes in a checkpoint that no file can hold: refused with a sentence, before memory is asked for."""

import numpy as np
import pytest
import scipy.sparse as sparse

from recbole_kd.checkpoint.reader import restore_arrays
from recbole_kd.checkpoint.rebuilders import Array, DType, Record, _shape
from recbole_kd.errors import KDError


def record(kind, **state):
    class Matrix(Record):
        pass

    Matrix.kind = f"scipy.sparse._{kind[:3]}.{kind}"
    matrix = Matrix()
    matrix.state = state
    return matrix


def array(values, dtype):
    found = Array()
    found.array = np.array(values, dtype)
    return found


@pytest.mark.parametrize("sizes", [(-1, 2), (2**70,), (2**63, 0), (True, 1), ("2",), [1.5], tuple(range(40)), 5])
def test_a_size_is_a_short_list_of_integers_that_a_file_can_have(sizes):
    with pytest.raises(KDError, match="one of its sizes"):
        _shape(sizes)


@pytest.mark.parametrize("shape", [(2**40, 3), (3, 2**40), (-1, 3), (2**70, 3), (3,), (3, 3, 3), ("3", 3), None, 5])
@pytest.mark.parametrize("kind", ["coo_matrix", "csr_matrix", "lil_matrix"])
def test_a_matrix_whose_shape_does_not_fit_what_it_holds_is_refused(kind, shape):
    parts = {"data": array([1.0], "f4"), "_shape": shape}
    if kind == "coo_matrix":
        parts |= {"row": array([0], "i4"), "col": array([0], "i4")}
    elif kind == "csr_matrix":
        parts |= {"indices": array([0], "i4"), "indptr": array([0, 1, 1, 1], "i4")}
    else:
        parts |= {"rows": array([0], "i4"), "dtype": DType("f4")}
    with pytest.raises(KDError, match="shape does not fit"):
        restore_arrays({"w": record(kind, **parts)})


def test_a_matrix_that_fits_is_restored():
    stored = sparse.random(30, 40, 0.1, "csr", random_state=0)
    parts = {name: array(getattr(stored, name), getattr(stored, name).dtype) for name in ("data", "indices", "indptr")}
    restored = restore_arrays({"w": record("csr_matrix", **parts, _shape=(30, 40))})["w"]
    assert (restored != stored).nnz == 0
