"""Reads what all comparisons need in a few grouped queries."""

from analysis.providers.prometheus import PrometheusProvider


class Measurer:
    """Turns what a provider answers into readings, for all comparisons at once."""

    def __init__(self, provider: PrometheusProvider) -> None:
        self._provider = provider
