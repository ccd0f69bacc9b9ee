"""Robustness: runs that are killed and resumed."""
