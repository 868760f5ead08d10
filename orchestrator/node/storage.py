"""Brings a model's files to a folder: `python -m orchestrator.node.storage <uri> <folder>`.

Known are plain paths, `file://`, `http(s)://` (archives are unpacked), and `gs://`, `s3://` and what else rclone knows.
`SELDON_STORAGE_ROOT=<folder>` stands in for buckets: `gs://bucket/path` is then `<folder>/gs/bucket/path`.
"""

import logging
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

log = logging.getLogger(__name__)

_BUCKETS = frozenset({"gs", "s3", "azure", "hdfs", "wasbs", "abfss"})
_TIMEOUT = 60.0
_LONGEST = 3600.0
_BLOCK = 1 << 20
_LARGEST = 64 << 30  # bytes that an archive may unpack to


class StorageError(Exception):
    """The files cannot be had; the message says why and what would help."""


def fetch(uri: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Bring what a URI names into a folder, which is made when it is not there.

    Raises:
        StorageError: it cannot be had.
    """
    parts = urlsplit(uri)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if parts.scheme in {"http", "https"}:
            _download(uri, folder)
        elif parts.scheme == "file":
            if parts.netloc not in {"", "localhost"}:
                raise StorageError(f"{uri!r} names a host; expected file:///absolute/path")
            _copy(Path(unquote(parts.path)), folder, uri)
        elif not parts.scheme:
            _copy(Path(uri), folder, uri)
        else:
            _bucket(uri, folder, environment)
    except OSError as error:
        raise StorageError(f"{uri!r}: {error}") from error


def _copy(source: Path, folder: Path, uri: str) -> None:
    if source.is_dir():
        shutil.copytree(source, folder, dirs_exist_ok=True)
    elif source.is_file():
        target = folder / source.name
        shutil.copyfile(source, target)
        unpack(target, folder)
    else:
        raise StorageError(f"{uri!r}: there is no such file or folder: {str(source)!r}")


def _download(uri: str, folder: Path) -> None:
    name = PurePosixPath(unquote(urlsplit(uri).path)).name or "model"
    target = folder / name
    request = urllib.request.Request(uri, headers={"User-Agent": "seldon-rollouts"})  # noqa: S310 — the scheme is checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, target.open("wb") as stream:  # noqa: S310
            shutil.copyfileobj(answer, stream, _BLOCK)
            length = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise StorageError(f"{uri!r}: the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise StorageError(f"{uri!r}: {error.reason}") from error
    if length is not None and target.stat().st_size != int(length):
        raise StorageError(f"{uri!r}: only {target.stat().st_size} of {length} bytes came")
    unpack(target, folder)


def _bucket(uri: str, folder: Path, environment: Mapping[str, str]) -> None:
    parts = urlsplit(uri)
    root = environment.get("SELDON_STORAGE_ROOT")
    if root and parts.scheme in _BUCKETS:
        inside = Path(root, parts.scheme, parts.netloc).resolve()
        source = Path(inside, unquote(parts.path).lstrip("/")).resolve()
        if not source.is_relative_to(inside):
            raise StorageError(f"{uri!r} leaves its bucket")
        _copy(source, folder, uri)
        return
    rclone = shutil.which("rclone")
    if rclone is None:
        raise StorageError(
            f"{uri!r}: {parts.scheme}:// needs rclone, configured by RCLONE_CONFIG_{parts.scheme.upper()}_* variables; "
            f"or set SELDON_STORAGE_ROOT to a folder with {parts.scheme}/{parts.netloc}/..."
        )
    known = {**environment, **remote(parts.scheme, environment)}
    command = [rclone, "copy", "-v", uri.replace("://", ":", 1), str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 — no shell; the URI is an argument
            command, check=False, capture_output=True, text=True, timeout=_LONGEST, env=known
        )
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"{uri!r}: rclone had not done after {_LONGEST:.0f} s") from error
    if done.returncode != 0:
        raise StorageError(f"{uri!r}: rclone failed ({done.returncode}): {done.stderr.strip()[-2000:]}")


def remote(scheme: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what tells rclone of a bucket's service, out of the variables of AWS and Google; its own win."""
    prefix = f"RCLONE_CONFIG_{scheme.upper()}_"
    if any(name.startswith(prefix) for name in environment):
        return {}
    if scheme == "s3":
        endpoint = environment.get("AWS_ENDPOINT_URL", "")
        done = {"TYPE": "s3", "PROVIDER": "Other" if endpoint else "AWS", "ENV_AUTH": "true"}
        done |= {"ENDPOINT": endpoint, "REGION": environment.get("AWS_REGION", "")}
    elif scheme == "gs":
        file = environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
        done = {"TYPE": "google cloud storage", "SERVICE_ACCOUNT_FILE": file, "ANONYMOUS": "" if file else "true"}
    else:
        return {}
    found = {f"{prefix}{name}": value for name, value in done.items() if value}
    return found | ({"RCLONE_NO_CHECK_CERTIFICATE": "true"} if environment.get("S3_VERIFY_SSL") == "0" else {})


def unpack(file: Path, folder: Path) -> None:
    """Unpack an archive into a folder and remove it; leave any other file as it is.

    Raises:
        StorageError: it is broken, too large, or would write outside of the folder.
    """
    name = file.name.lower()
    try:
        if name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
            with tarfile.open(file) as tar:
                _bounded(sum(member.size for member in tar), file)
                tar.extractall(folder, filter="data")
        elif name.endswith(".zip"):
            with zipfile.ZipFile(file) as archive:
                _bounded(sum(entry.file_size for entry in archive.infolist()), file)
                for entry in archive.infolist():
                    target = (folder / entry.filename).resolve()
                    if not target.is_relative_to(folder.resolve()):
                        raise StorageError(f"{file.name}: {entry.filename!r} leaves the folder")
                archive.extractall(folder)  # noqa: S202 — each name was checked
        else:
            return
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise StorageError(f"{file.name} cannot be unpacked: {error}") from error
    file.unlink()


def _bounded(size: int, file: Path) -> None:
    if size > _LARGEST:
        raise StorageError(f"{file.name} would unpack to {size} bytes; {_LARGEST} are allowed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch `<uri>` into `<folder>`. Returns the exit status."""
    import os

    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 2:
        log.error("usage: python -m orchestrator.node.storage <uri> <folder>")
        return 2
    try:
        fetch(given[0], Path(given[1]), os.environ)
    except StorageError as error:
        log.error("%s", error)
        return 1
    log.info("%s is in %s", given[0], given[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
