"""Sends requests to the API server."""


class Client:
    """Requests and answers."""
