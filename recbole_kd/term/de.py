"""DE: distillation experts, at the intermediate layer."""

from recbole_kd.term.alignment import GatedAlignment


class DE(GatedAlignment):
    r"""Experts f make the teacher's vector out of the student's; the teacher's vector says which of them does.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell), \quad
        \ell(x) = \tfrac{1}{d_T} \Big\| e^T_x - \sum_k q_{xk} f_k(e^S_x) \Big\|^2

    .. math:: q_x = \mathrm{softmax}\big((\log \mathrm{softmax}(W e^T_x + b) + g) / \tau\big), \quad
        g_k \sim \mathrm{Gumbel}(0, 1)

    The authors' sum has no 1/d_T, nor has ``kd_reduction: sum``. The temperature falls geometrically. Early stopping
    does not wait until it has fallen, nor did the authors'.

    Source: Kang et al., DE-RRD, CIKM 2020 (arXiv 2012.04357), 3.1, after the authors' code; very sure. They take the
    logarithm of the softmax plus 1e-10; here it is one function, which needs no such guard.
    """
