"""Cost: time, memory and device operations of training."""
