"""The terminal, for what is drawn: tables, colours, live views. Loading it costs more than printing lines."""

from rich.console import Console

CONSOLE = Console()
