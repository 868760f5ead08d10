"""Provider: the Prometheus that the settings name."""

from pathlib import Path

from analysis.providers.prometheus import PrometheusProvider
from controller.settings import Settings


def provider(settings: Settings) -> PrometheusProvider:
    """Return the source of counters for the judge."""
    token = Path(settings.prometheus_token_file).read_text().strip() if settings.prometheus_token_file else None
    return PrometheusProvider(settings.prometheus_url, token=token)
