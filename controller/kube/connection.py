"""Where the API server is and who we are: kubeconfig, in-cluster account, exec plugins, client certificates.

The reading is kubernetes_asyncio's; this module gives its result a shape, and decides when to read again.
"""

import hashlib
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from controller.errors import ControllerError

REREAD = timedelta(minutes=1)
"""How often credentials that live in a file are read again, since somebody rotates them."""
EXPIRY_MARGIN = timedelta(minutes=1)
"""How long before their end the credentials of an exec plugin are renewed."""

_BRACED = re.compile(r"\{.*\}", re.DOTALL)

Clock = Callable[[], datetime]


class CredentialsError(ControllerError):
    """The kubeconfig or the service account cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one API server.

    Args:
        url: the server's address, without a slash at its end.
        authorization: the header's value, a secret; kept out of `repr`.
        tls: how to check the server and to show ourselves; None for plain HTTP.
        server_name: the name that the certificate has to carry, when it is not the address's.
        proxy: an HTTP proxy on the way.
        material: a hash of address and certificates; when it stays the same, open connections may be kept.
        reread_at: when the credentials have to be read again; None when they stay until the server refuses them.
        namespace: the namespace of the kubeconfig's context, if it names one.
    """

    url: str
    authorization: "Secret"
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None
    material: str = ""
    reread_at: datetime | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows itself to nobody who prints it."""

    value: str | None

    def __repr__(self) -> str:
        return "Secret(***)" if self.value else "Secret(None)"


Connect = Callable[[], Awaitable[Connection]]


def connector(kubeconfig: str | None, context: str | None, *, now: Clock, bearer: Secret | None = None) -> Connect:
    """Return what reads the configuration, each time anew.

    Args:
        kubeconfig: a path; without one `KUBECONFIG`, then the service account of the pod, then `~/.kube/config`.
        context: the kubeconfig's context; its current one when absent.
        now: the clock.
        bearer: ask as the bearer of this token: nothing else of the configuration says who we are.
    """

    async def connect() -> Connection:
        paths = kubeconfig or os.environ.get("KUBECONFIG")
        if not paths and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return _in_cluster(now(), bearer)
        return await _from_kubeconfig(paths or str(Path.home() / ".kube" / "config"), context, now(), bearer)

    return connect


def fixed(url: str, token: str | None = None, *, tls: ssl.SSLContext | None = None) -> Connect:
    """Return a connection that is already known, such as a test's."""

    async def connect() -> Connection:
        return Connection(url=url.rstrip("/"), authorization=Secret(f"Bearer {token}" if token else None), tls=tls)

    return connect


def _in_cluster(now: datetime, bearer: Secret | None) -> Connection:
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]  # theirs
    except (ConfigException, OSError) as error:
        raise CredentialsError(f"service account of the pod: {error}") from error
    return _connection(configuration, bearer, reread_at=now + REREAD)


async def _from_kubeconfig(paths: str, context: str | None, now: datetime, bearer: Secret | None) -> Connection:
    if not _exists(paths):
        raise CredentialsError(f"kubeconfig: {paths!r} is not a file; expected a kubeconfig (--kubeconfig, KUBECONFIG)")
    configuration = Configuration()
    try:
        loader = await load_kube_config(paths, context, configuration, persist_config=False)
    except Exception as error:  # noqa: BLE001 - whatever is wrong (YAML, a missing key, a plugin), the file is to be named
        # The library's message may quote a user with token and all, and so may its traceback.
        raise CredentialsError(
            f"kubeconfig {paths!r}: {type(error).__name__}: {_BRACED.sub('{...}', str(error))}"
        ) from None
    current = (loader.current_context or {}).get("context") or {}
    expiry: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    reread_at: datetime | None = now + REREAD
    if "exec" in (loader._user or {}):  # noqa: SLF001 - nothing public tells whether a plugin was asked
        reread_at = max(expiry - EXPIRY_MARGIN, now + timedelta(seconds=5)) if expiry else None
    return _connection(configuration, bearer, reread_at=reread_at, namespace=current.get("namespace"))


def _exists(paths: str) -> bool:
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)


def _connection(
    configuration: Configuration,
    bearer: Secret | None,
    *,
    reread_at: datetime | None,
    namespace: str | None = None,
) -> Connection:
    url = str(configuration.host).rstrip("/")
    token = configuration.api_key.get("BearerToken")
    if bearer is not None:
        # A client certificate would say who we are before the token is looked at.
        token, configuration.cert_file, configuration.key_file = f"Bearer {bearer.value}", None, None
    return Connection(
        url=url,
        authorization=Secret(token.strip() if token else None),
        tls=_tls(configuration) if url.startswith("https:") else None,
        server_name=configuration.tls_server_name or None,
        proxy=configuration.proxy or None,
        material=_material(configuration),
        reread_at=reread_at,
        namespace=namespace,
    )


def _material(configuration: Configuration) -> str:
    digest = hashlib.sha256(
        repr((configuration.host, configuration.verify_ssl, configuration.tls_server_name)).encode()
    )
    for path in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        digest.update(Path(path).read_bytes() if path else b"-")
    return digest.hexdigest()


def _tls(configuration: Configuration) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except (OSError, ssl.SSLError) as error:
        raise CredentialsError(f"certificates: {error}") from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
