"""Pure functions on tensors: sampling, ranking, lists of the best, scores of chosen pairs."""
