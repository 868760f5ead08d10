"""The options by which a command reaches Prometheus: the same for all that ask it, and the same as the controller's."""

from typing import Annotated

import typer

from analysis.providers.access import Access, AccessError, access
from analysis.providers.prometheus import PrometheusProvider

MISSING = "give --prometheus-url, or set PROMETHEUS_URL, such as http://127.0.0.1:9090"
PrometheusUrl = Annotated[str, typer.Option("--prometheus-url", envvar="PROMETHEUS_URL", help="Where metrics are.")]
PrometheusAccess = Annotated[
    str,
    typer.Option(
        "--prometheus-access",
        envvar="PROMETHEUS_ACCESS",
        help="A folder with what it asks for: token, or username and password; ca.crt; tls.crt and tls.key; headers.",
    ),
]
PrometheusToken = Annotated[
    str,
    typer.Option(
        "--prometheus-token-file", envvar="PROMETHEUS_TOKEN_FILE", help="A bearer token, read anew for each question."
    ),
]


def door(folder: str, token_file: str) -> Access:
    """Return what Prometheus asks for at its door.

    Raises:
        BadParameter: a file is missing, or does not fit the others.
    """
    try:
        return access(folder, token_file)
    except AccessError as error:
        raise typer.BadParameter(str(error)) from None


def provider_at(url: str, folder: str, token_file: str) -> PrometheusProvider:
    """Return the Prometheus that a person named.

    Raises:
        BadParameter: none was named, or it cannot be asked so.
    """
    if not url:
        raise typer.BadParameter(f"no Prometheus to ask: {MISSING}")
    try:
        return PrometheusProvider.behind(url, door(folder, token_file))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
