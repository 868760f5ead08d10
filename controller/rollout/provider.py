"""Provider: the Prometheus that the settings name, with what it asks for at the door."""

from analysis.providers.access import AccessError, access
from analysis.providers.prometheus import PrometheusProvider
from controller.settings import Settings, SettingsError


def provider(settings: Settings) -> PrometheusProvider:
    """Return the source of counters for the judge.

    Raises:
        SettingsError: a file of `prometheus_access` is missing or does not fit the others; the text names it.
    """
    try:
        door = access(settings.prometheus_access, settings.prometheus_token_file)
    except AccessError as error:
        raise SettingsError(str(error)) from None
    return PrometheusProvider.behind(settings.prometheus_url, door)
