"""A world on simulated time: the real controllers and API store, and everything around them, from one seed."""
