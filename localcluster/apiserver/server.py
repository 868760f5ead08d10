"""The server put together: store, journal, collector, watches, HTTP."""

import asyncio
import logging
import secrets
import ssl
import string
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localcluster.apiserver import auth, certificates, custom, kubeconfig
from localcluster.apiserver.application import Application
from localcluster.apiserver.connects import Connects
from localcluster.apiserver.gc import Collector
from localcluster.apiserver.history import Event, History
from localcluster.apiserver.http import Connections
from localcluster.apiserver.issuing import Issuing
from localcluster.apiserver.journal import Journal
from localcluster.apiserver.logs import Logs
from localcluster.apiserver.resources import Resources
from localcluster.apiserver.store import Store
from localcluster.apiserver.watch import Hub

_LOG = logging.getLogger(__name__)

_SUFFIX_LETTERS = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("aeiou013l")))
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`data_dir` None: nothing is kept. `port` 0: a free one. `tokens` are further users beside the administrator."""

    host: str = "127.0.0.1"
    port: int = 0
    data_dir: Path | None = None
    kubeconfig: Path | None = None
    log_dir: Path | None = None
    tokens: Path | None = None
    plain_http: bool = False


class Server:
    """One API server in this process. `start`, then `stop`."""

    def __init__(self, settings: Settings, certificate: certificates.Certificate | None, admin_token: str) -> None:
        self._settings = settings
        self._certificate = certificate
        self.admin_token = admin_token
        self._journal = None if settings.data_dir is None else Journal(settings.data_dir)
        self.store = Store(
            clock=_now, uids=_uid, suffixes=_suffix, history=self._journal.load() if self._journal else History()
        )
        self._hub = Hub(self.store.history)
        self._definitions = custom.Definitions(self.store.kinds, self._hub.end)
        for entry in self.store.history.entries(custom.COLLECTION).values():
            self._definitions.serve(entry.object)
        self.store.history.listeners.append(self._definitions.happened)
        self._collector = Collector(self.store)
        self.store.history.listeners.append(self._collect_soon)
        self._collecting = False
        self._connections: Connections | None = None
        self._server: asyncio.Server | None = None
        self.url = ""

    def _collect_soon(self, _: Event) -> None:
        if self._collector.busy and not self._collecting:
            self._collecting = True
            asyncio.get_running_loop().call_soon(self._collect)

    def _collect(self) -> None:
        self._collecting = False
        try:
            self._collector.run()
        except Exception:  # noqa: BLE001 - logged; the server goes on
            _LOG.exception("garbage collection failed")

    async def start(self) -> None:
        """Listens, and writes the kubeconfig when it can be used. Raises OSError when the port is taken."""
        settings = self._settings
        if self._journal is not None:
            self._journal.follow(self.store.history)
        self._make_namespaces()
        users = {self.admin_token: auth.admin()}
        if settings.tokens is not None:
            users |= auth.read_tokens(settings.tokens.read_text())
        loop = asyncio.get_running_loop()
        connections = Connections(lambda request: application(request))  # noqa: PLW0108 - it is made below
        self._server = await loop.create_server(
            connections.protocol, settings.host, settings.port, ssl=self._tls(), reuse_address=True
        )
        self._connections = connections
        host, port = self._server.sockets[0].getsockname()[:2]
        issued: dict[bytes, auth.Issued] = {}
        application = Application(
            Resources(self.store, self._hub),
            tokens=auth.Tokens(users, issued),
            rbac=auth.Rbac(self.store.history),
            connects=Connects(self.store, Logs(settings.log_dir), Issuing(self.store, issued)),
            address=f"{host}:{port}",
        )
        self.url = f"{'http' if settings.plain_http else 'https'}://{host}:{port}"
        authority = None if self._certificate is None else self._certificate.certificate
        if settings.kubeconfig is not None:
            kubeconfig.write(settings.kubeconfig, url=self.url, token=self.admin_token, authority=authority)

    def _tls(self) -> ssl.SSLContext | None:
        if self._certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate.certificate, self._certificate.key)
        return context

    def _make_namespaces(self) -> None:
        kind = self.store.kind("v1", "Namespace")
        for name in _NAMESPACES:
            if self.store.find(kind, "", name) is None:
                self.store.create(kind, {"metadata": {"name": name}})

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._connections is not None:
            self._connections.close()
        if self._journal is not None:
            self._journal.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _uid() -> str:
    return str(uuid.uuid4())


def _suffix() -> str:
    return "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))


def admin_token(data_dir: Path | None) -> str:
    """The administrator's token; with a data folder it stays the same over restarts."""
    if data_dir is None:
        return secrets.token_urlsafe(32)
    path = data_dir / "admin-token"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text().strip()
