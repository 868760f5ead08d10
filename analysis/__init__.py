"""The judge: is the canary good enough? Raw counters in, a verdict with its reason out.

A library of its own: it knows Prometheus and statistics, and nothing of Kubernetes. `session.py` and `judges/` are
pure; `providers/`, `measure.py` and `monitor.py` do the reading.
"""
