"""The project's own tools, run from its root: ``python -m tools.docs``."""
