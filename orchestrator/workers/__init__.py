"""Several processes on the same ports, for more than one core, and the one that looks after them."""
