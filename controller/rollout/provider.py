"""Provider: the Prometheus that the settings name, with what it asks for at the door."""

from collections.abc import Callable
from pathlib import Path

from analysis.providers.prometheus import PrometheusProvider
from controller.settings import Settings, SettingsError


def provider(settings: Settings) -> PrometheusProvider:
    """Return the source of counters for the judge.

    Raises:
        SettingsError: a file of `prometheus_access` is missing or does not fit the others; the text names it.
    """
    return reached(settings.prometheus_url, settings.prometheus_access, settings.prometheus_token_file)


def reached(url: str, access: str | None = None, token_file: str | None = None) -> PrometheusProvider:
    """Return a Prometheus with what it asks for at the door.

    Args:
        url: where it is.
        access: the folder with token, or username and password; ca.crt; tls.crt and tls.key; headers.
        token_file: a file with a bearer token, read anew for each question.

    Raises:
        SettingsError: a file of the folder is missing or does not fit the others; the text names it.
        ValueError: the address is none.
    """
    folder = Path(access) if access else None
    if folder is None:
        return PrometheusProvider(url, token=_token(token_file))
    if not folder.is_dir():
        raise SettingsError(f"--prometheus-access {folder}: expected a folder, such as a mounted Secret")
    token = token_file or (folder / "token" if (folder / "token").is_file() else None)
    basic = _pair(folder, "username", "password")
    if token and basic:
        raise SettingsError(f"--prometheus-access {folder}: give a token, or username and password, not both")
    keys = _pair(folder, "tls.crt", "tls.key")
    authority = folder / "ca.crt"
    return PrometheusProvider(
        url,
        token=_token(token),
        basic=(basic[0].read_text().strip(), basic[1].read_text().strip()) if basic else None,
        verify=str(authority) if authority.is_file() else True,
        client_cert=(str(keys[0]), str(keys[1])) if keys else None,
        headers=_headers(folder / "headers"),
    )


def _token(path: str | Path | None) -> Callable[[], str] | None:
    """Return what reads the present token: those of service accounts change."""
    return (lambda: Path(path).read_text().strip()) if path else None


def _pair(folder: Path, first: str, second: str) -> tuple[Path, Path] | None:
    found = [(folder / name).is_file() for name in (first, second)]
    if any(found) and not all(found):
        missing = second if found[0] else first
        raise SettingsError(f"--prometheus-access {folder}: {first} and {second} belong together; {missing} is missing")
    return (folder / first, folder / second) if all(found) else None


def _headers(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text().splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise SettingsError(f"--prometheus-access {path}: expected lines such as `X-Scope-OrgID: ml`")
        if line.strip():
            found[name.strip()] = value.strip()
    return found
