"""Inspection: what happens inside a method or a teacher."""
