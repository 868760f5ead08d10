"""A real API server in place of ours: etcd and kube-apiserver out of the folder that `KUBEBUILDER_ASSETS` names."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from localcluster.apiserver import certificates, kubeconfig
from localcluster.programs import MissingProgramError
from localcluster.supervise import Program

ASSETS = "KUBEBUILDER_ASSETS"
SERVICE_RANGE = "10.96.0.0/16"


def find(name: str) -> str:
    """The path of a program of the assets folder. Raises MissingProgramError."""
    folder = os.environ.get(ASSETS, "")
    path = Path(folder) / name
    if not folder or not os.access(path, os.X_OK):
        raise MissingProgramError(
            f"a real API server needs {ASSETS} to name a folder with etcd and kube-apiserver "
            f"(as `setup-envtest use -p path` prints it); there is no {path if folder else name} to run"
        )
    return str(path)


def programs(
    folder: Path, *, port: int, etcd_port: int, etcd_peer_port: int, tokens: Path | None = None
) -> list[Program]:
    """etcd and kube-apiserver, on loopback, in the order to start them; their data lies in `folder`.

    Authentication is by the token that `write_kubeconfig` writes, by those of service accounts, and by those of the
    file `tokens` (`token,user,uid,"group,group"`). Raises MissingProgramError.
    """
    server, etcd = find("kube-apiserver"), find("etcd")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = f"http://127.0.0.1:{etcd_port}"
    return [
        _etcd(etcd, folder / "etcd", store, f"http://127.0.0.1:{etcd_peer_port}"),
        _apiserver(server, folder, store, port=port, tokens=_tokens(folder, tokens)),
    ]


def _etcd(program: str, data: Path, url: str, peer_url: str) -> Program:
    return Program(
        name="etcd",
        argv=(
            program,
            f"--data-dir={data}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",
        ),
        ready_url=f"{url}/health",
    )


def _apiserver(program: str, folder: Path, store: str, *, port: int, tokens: Path) -> Program:
    own, key = _certificate(folder), _signing_key(folder / "service-accounts.key")
    return Program(
        name="apiserver",
        argv=(
            program,
            f"--etcd-servers={store}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={own.certificate}",
            f"--tls-private-key-file={own.key}",
            f"--token-auth-file={tokens}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",
        ),
        ready_url=f"https://127.0.0.1:{port}/readyz",
        ready_timeout=90.0,
    )


def write_kubeconfig(folder: Path, port: int, path: Path) -> None:
    """Write the kubeconfig of an administrator; readable by us alone. It trusts the certificate in `folder` alone."""
    authority = _certificate(folder).certificate
    kubeconfig.write(path, url=f"https://127.0.0.1:{port}", token=_admin_token(folder), authority=authority)


def _admin_token(folder: Path) -> str:
    return _tokens(folder, None).read_text("utf-8").split(",", 1)[0]


def _tokens(folder: Path, more: Path | None) -> Path:
    """The file of who is known: the administrator, and the users of another such file."""
    path = folder / "tokens.csv"
    if not path.exists():
        path.touch(mode=0o600)
        others = more.read_text("utf-8") if more is not None else ""
        path.write_text(f'{secrets.token_hex(24)},admin,admin,"system:masters"\n{others}', "utf-8")
    return path


def _certificate(folder: Path) -> certificates.Certificate:
    try:
        return certificates.ensure(folder / "certificates")
    except RuntimeError as error:
        raise MissingProgramError(f"a real API server needs a certificate: {error}") from error


def _signing_key(path: Path) -> Path:
    if path.exists():
        return path
    openssl = shutil.which("openssl")
    if not openssl:
        raise MissingProgramError(
            "a real API server needs `openssl` on PATH to make the key that signs service accounts"
        )
    subprocess.run([openssl, "genrsa", "-out", str(path), "2048"], check=True, capture_output=True)
    path.chmod(0o600)
    return path
