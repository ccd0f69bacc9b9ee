"""The teachers of a run: found or trained, and checked against the run's split."""
