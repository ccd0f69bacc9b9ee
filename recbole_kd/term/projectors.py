"""The trainable parts that lie between student and teacher; thrown away when the student ships."""

import math

import torch
from torch import nn


class _ExpertStack(nn.Module):
    """M two-layer experts of hidden width h side by side: one network of hidden width M h, in two matrix products."""

    def __init__(self, d_in, d_out, hidden, experts=1, dropout=0.0):
        super().__init__()
        self.experts = experts
        self.inner = nn.Linear(d_in, experts * hidden)
        self.outer = nn.Linear(experts * hidden, d_out)
        self.dropout = dropout
        with torch.no_grad():  # each expert starts as torch starts a Linear(hidden, d_out): its fan-in is hidden
            bound = hidden**-0.5
            self.outer.weight.uniform_(-bound, bound)
            self.outer.bias.uniform_(-bound, bound)

    def hidden(self, vectors, generator=None):
        """The hidden units of all experts: vectors [n, d_in], result [n, M h]."""
        return self._drop(torch.relu(self.inner(self._drop(vectors, generator))), generator)

    def _drop(self, vectors, generator):
        if not self.training or self.dropout == 0.0:
            return vectors
        keep = 1.0 - self.dropout
        return torch.where(bernoulli_mask(vectors.shape, keep, generator, vectors.device), vectors / keep, 0.0)


class Projector(_ExpertStack):
    """The mean of M two-layer experts, from the student's width to the teacher's.

    Args:
        d_in: width of the student's vectors.
        d_out: width of the teacher's.
        hidden: hidden width h of one expert.
        experts: M.
        dropout: probability, before each linear layer, as the authors have it.
    """

    def forward(self, vectors, generator=None):
        """Project vectors, shape [n, d_in], to [n, d_out]. Dropout acts in training mode, drawn from ``generator``."""
        # the bias is a mean already: it is not divided again
        return self.hidden(vectors, generator) @ self.outer.weight.T / self.experts + self.outer.bias


class Experts(_ExpertStack):
    """M two-layer experts, mixed for each entity by gates that its teacher's vector opens.

    Args:
        d_in: width of the student's vectors.
        d_out: width of the teacher's.
        hidden: hidden width h of one expert.
        experts: M; one alone has no gate.

    Source: DE-RRD (Kang et al. 2020, 3.1), after the authors' code.
    """

    def __init__(self, d_in, d_out, hidden, experts):
        super().__init__(d_in, d_out, hidden, experts)
        bound = hidden**-0.5
        self.outer.bias = nn.Parameter(torch.empty(experts, d_out).uniform_(-bound, bound))  # gated, so a row each
        if experts > 1:
            self.selector = nn.Linear(d_out, experts)

    def forward(self, vectors, target, tau, generator):
        """Project vectors, shape [n, d_in], to [n, d_out], through the ``gates`` of the other arguments."""
        gates = self.gates(target, tau, generator)
        # to gate an expert's hidden units is to gate what it says
        hidden = self.hidden(vectors).unflatten(1, (self.experts, -1)) * gates.unsqueeze(-1)
        return hidden.flatten(1) @ self.outer.weight.T + gates @ self.outer.bias

    def gates(self, target, tau, generator):
        """How much each expert says, in float32, shape [n, M]: Gumbel-softmax at a temperature of as little as 1e-10.

        Args:
            target: the teacher's vectors, shape [n, d_out].
            tau: temperature, > 0.
            generator: where the Gumbel noise comes from.
        """
        log_gates = self.log_gates(target)
        # 0 may be drawn, and its logarithm would be infinite
        noise = -torch.empty_like(log_gates).exponential_(generator=generator).clamp_(min=1e-38).log_()
        return torch.softmax((log_gates + noise) / tau, dim=1)

    def log_gates(self, target):
        """Log probabilities of the experts, before noise and temperature, shape [n, M]."""
        if self.experts == 1:
            return target.new_zeros(len(target), 1)
        with torch.autocast(target.device.type, enabled=False):
            return torch.log_softmax(self.selector(target), dim=1)


def bernoulli_mask(shape, p, generator, device):
    """True with probability p, to a 65,536th, each by itself: bool of that shape.

    Sixteen random bits are enough for one and take a quarter of the time of ``torch.Tensor.bernoulli_``.
    """
    n = math.prod(shape)
    words = torch.empty(-(-n // 4), dtype=torch.int64, device=device).random_(-(1 << 63), None, generator=generator)
    below = round(p * (1 << 16)) - (1 << 15)
    return (words.view(torch.int16).int()[:n] < below).view(shape)
