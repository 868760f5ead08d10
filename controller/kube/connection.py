"""Where the API server is and who we are: kubeconfig, in-cluster account, exec plugins, client certificates.

What asks somebody else who we are is read by kubernetes_asyncio, whose import is slow and therefore late; this module
gives the result a shape, and decides when to read again.
"""

import hashlib
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from controller.errors import ControllerError
from controller.kube import kubeconfig

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration

REREAD = timedelta(minutes=1)
"""How often credentials that live in a file are read again, since somebody rotates them."""
EXPIRY_MARGIN = timedelta(minutes=1)
"""How long before their end the credentials of an exec plugin are renewed."""

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""In a pod: the namespace that it lives in."""

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
        proxy: an HTTP proxy on the way: the kubeconfig's, else the one of `HTTPS_PROXY` and `NO_PROXY`.
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


def connector(path: str | None, context: str | None, *, now: Clock, bearer: Secret | None = None) -> Connect:
    """Return what reads the configuration, each time anew.

    Args:
        path: a kubeconfig's; without one `KUBECONFIG`, then the service account of the pod, then `~/.kube/config`.
        context: the kubeconfig's context; its current one when absent.
        now: the clock.
        bearer: ask as the bearer of this token: nothing else of the configuration says who we are.
    """

    async def connect() -> Connection:
        paths = _paths(path)
        return await _from_kubeconfig(paths, context, now(), bearer) if paths else _in_cluster(now(), bearer)

    return connect


def namespace_of(path: str | None, context: str | None) -> str:
    """Return the namespace that is meant when none is said: the context's, in a pod the pod's, or `default`.

    It is `default`, too, where the kubeconfig cannot be used: whoever asks the cluster then is told why.
    """
    paths = _paths(path)
    try:
        found = kubeconfig.chosen(paths, context).namespace if paths else OWN_NAMESPACE.read_text().strip()
    except (OSError, ValueError):
        return "default"
    return found or "default"


def contexts_of(path: str | None) -> list[str]:
    """Return the contexts that there are; none where the kubeconfig cannot be read."""
    try:
        return kubeconfig.contexts(_paths(path))
    except ValueError:
        return []


def _paths(path: str | None) -> str:
    """Return where the kubeconfig is; nothing where the pod's service account is meant."""
    paths = path or os.environ.get("KUBECONFIG")
    if not paths and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return ""
    return paths or str(Path.home() / ".kube" / "config")


def fixed(url: str, token: str | None = None, *, tls: ssl.SSLContext | None = None) -> Connect:
    """Return a connection that is already known, such as a test's."""

    async def connect() -> Connection:
        return Connection(url=url.rstrip("/"), authorization=Secret(f"Bearer {token}" if token else None), tls=tls)

    return connect


def _in_cluster(now: datetime, bearer: Secret | None) -> Connection:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import ConfigException, load_incluster_config

    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]  # theirs
    except (ConfigException, OSError) as error:
        raise CredentialsError(f"service account of the pod: {error}") from error
    return _connection(_plain(configuration), bearer, reread_at=now + REREAD)


async def _from_kubeconfig(paths: str, context: str | None, now: datetime, bearer: Secret | None) -> Connection:
    try:
        found = kubeconfig.chosen(paths, context)
        said = kubeconfig.plain(found)
    except (OSError, ValueError) as error:
        raise CredentialsError(f"kubeconfig: {error}") from None
    if said is None:
        return await _from_library(paths, found, now, bearer)
    return _connection(said, bearer, reread_at=now + REREAD, namespace=found.namespace)


async def _from_library(paths: str, found: kubeconfig.Chosen, now: datetime, bearer: Secret | None) -> Connection:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import load_kube_config

    configuration = Configuration()
    try:
        loader = await load_kube_config(paths, found.name, configuration, persist_config=False)
    except Exception as error:  # noqa: BLE001 - whatever is wrong (YAML, a missing key, a plugin), the file is to be named
        # The library's message may quote a user with token and all, and so may its traceback.
        said = f"kubeconfig {paths!r}: {type(error).__name__}: {_BRACED.sub('{...}', str(error))}"
        raise CredentialsError(f"{said}{_install_hint(found.user)}") from None
    expiry: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    reread_at: datetime | None = now + REREAD
    if "exec" in found.user:
        reread_at = max(expiry - EXPIRY_MARGIN, now + timedelta(seconds=5)) if expiry else None
    return _connection(_plain(configuration), bearer, reread_at=reread_at, namespace=found.namespace)


def _install_hint(user: kubeconfig.Entry) -> str:
    """Return what the kubeconfig says of how to get its plugin, as kubectl does when that fails."""
    asked = user.get("exec")
    hint = asked.get("installHint") if isinstance(asked, dict) else None
    return f"\n{str(hint).strip()}" if hint else ""


def _plain(configuration: "Configuration") -> kubeconfig.Plain:
    """Return what the library read."""
    paths = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    authority, certificate, key = (Path(path).read_bytes() if path else None for path in paths)
    token = configuration.api_key.get("BearerToken")
    return kubeconfig.Plain(
        server=str(configuration.host).rstrip("/"),
        authorization=token.strip() if token else None,
        authority=authority,
        certificate=certificate,
        key=key,
        verify=configuration.verify_ssl,
        server_name=configuration.tls_server_name or None,
        proxy=configuration.proxy or None,
    )


def _connection(
    said: kubeconfig.Plain, bearer: Secret | None, *, reread_at: datetime | None, namespace: str | None = None
) -> Connection:
    if bearer is not None:
        # A client certificate would say who we are before the token is looked at.
        said = replace(said, authorization=f"Bearer {bearer.value}", certificate=None, key=None)
    return Connection(
        url=said.server,
        authorization=Secret(said.authorization),
        tls=_tls(said) if said.server.startswith("https:") else None,
        server_name=said.server_name,
        proxy=said.proxy or _proxy_of_environment(said.server),
        material=_digest(said),
        reread_at=reread_at,
        namespace=namespace,
    )


def _proxy_of_environment(server: str) -> str | None:
    """Return the proxy that the environment names for a server, as for kubectl; read once, and not for each request."""
    parts = urlsplit(server)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _digest(said: kubeconfig.Plain) -> str:
    digest = hashlib.sha256(repr((said.server, said.verify, said.server_name)).encode())
    for part in (said.authority, said.certificate, said.key):
        digest.update(part or b"-")
    return digest.hexdigest()


def _tls(said: kubeconfig.Plain) -> ssl.SSLContext:
    try:
        with TemporaryDirectory(prefix="seldon-rollouts-") as folder:  # ssl reads certificates from files alone
            paths = {}
            for name in ("authority", "certificate", "key"):
                if (part := getattr(said, name)) is not None:
                    paths[name] = Path(folder) / name
                    paths[name].write_bytes(part)
            context = ssl.create_default_context(cafile=paths.get("authority"))
            if "certificate" in paths:
                context.load_cert_chain(paths["certificate"], keyfile=paths.get("key"))
    except (OSError, ssl.SSLError) as error:
        raise CredentialsError(f"certificates: {error}") from error
    if not said.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
