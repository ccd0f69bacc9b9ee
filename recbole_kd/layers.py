"""The trainable parts that lie between student and teacher; thrown away when the student ships."""

import torch
from torch import nn


class Projector(nn.Module):
    """The mean of M two-layer experts, from the student's width to the teacher's.

    M experts of hidden width h, averaged, are one network of hidden width M h: computed so, in two matrix products.

    Args:
        d_in: width of the student's vectors.
        d_out: width of the teacher's.
        hidden: hidden width h of one expert.
        experts: M.
        dropout: probability, before each linear layer, as the authors have it.
    """

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

    def forward(self, vectors, generator=None):
        """Project vectors, shape [n, d_in], to [n, d_out]. Dropout acts in training mode, drawn from ``generator``."""
        hidden = torch.relu(self.inner(self._drop(vectors, generator)))
        # the bias is a mean already: it is not divided again
        return self._drop(hidden, generator) @ self.outer.weight.T / self.experts + self.outer.bias

    def _drop(self, vectors, generator):
        if not self.training or self.dropout == 0.0:
            return vectors
        keep = 1.0 - self.dropout
        return vectors * torch.empty_like(vectors).bernoulli_(keep, generator=generator).div_(keep)
