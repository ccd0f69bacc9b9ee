"""A package of somebody else: a method, a model, and the backbone that reads it."""
