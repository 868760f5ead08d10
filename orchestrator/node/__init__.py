"""Serves a Python class as a graph node, by the contract of the Seldon Core Python wrapper.

A class may import `SeldonResponse` and `NodeRuntimeError` from here.
"""

from orchestrator.node.errors import NodeRuntimeError
from orchestrator.node.payload import SeldonResponse

__all__ = ["NodeRuntimeError", "SeldonResponse"]
