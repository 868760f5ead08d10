"""Serves a Python class as a graph node, by the contract of the Seldon Core Python wrapper."""
