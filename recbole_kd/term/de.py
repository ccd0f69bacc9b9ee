"""DE: distillation experts, at the intermediate layer."""

from recbole_kd.term.alignment import GatedAlignment


class DE(GatedAlignment):
    r"""Experts f make the teacher's vector out of the student's; gates that depend on the teacher's vector weigh them.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell), \quad
        \ell(x) = \tfrac{1}{d_T} \Big\| e^T_x - \sum_k q_{xk} f_k(e^S_x) \Big\|^2

    .. math:: q_x = \mathrm{softmax}\big((\log \mathrm{softmax}(W e^T_x + b) + g) / \tau\big), \quad
        g_k \sim \mathrm{Gumbel}(0, 1)

    The authors' sum has no 1/d_T, nor has ``kd_reduction: sum``. The temperature falls geometrically; early stopping
    does not wait for it, as in the authors' code.

    Source: Kang et al., DE-RRD, CIKM 2020 (arXiv 2012.04357), 3.1.

    Fidelity: very high, after the authors' code. They take the logarithm of the softmax plus 1e-10; here it is one
    stable function.
    """
