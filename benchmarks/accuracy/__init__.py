"""Accuracy: students against their teachers, over several seeds."""
