"""Serving: cost of ranking with a large and with a small model."""
