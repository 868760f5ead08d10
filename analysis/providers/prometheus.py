"""Prometheus and what speaks its API (Thanos, VictoriaMetrics): queries at explicit instants, in a thread."""

from collections.abc import Mapping


class PrometheusProvider:
    """Reads series at one instant, or at evenly spaced instants, over the HTTP API at `url`."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        basic: tuple[str, str] | None = None,
        verify: bool | str = True,
        timeout: float = 10.0,
    ) -> None:
        self.url = url
