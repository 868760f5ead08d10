"""What a person touches: the command line, the dashboard, the demo. The composition root of the project."""

__version__ = "0.1.0"
