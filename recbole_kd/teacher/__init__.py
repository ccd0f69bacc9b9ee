"""Everything about the teacher: its checkpoint, whether it fits this run, its training, and what is read out of it."""
