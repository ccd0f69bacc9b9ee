"""Scale: cost on large synthetic data."""
