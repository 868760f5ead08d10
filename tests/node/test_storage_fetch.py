"""Models brought to a folder, from wherever they are."""

import functools
import http.server
import io
import os
import tarfile
import threading
import zipfile

import pytest

from orchestrator.node.storage import StorageError, fetch, main


@pytest.fixture
def source(tmp_path):
    """A folder with a model in it."""
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.joblib").write_bytes(b"model")
    (folder / "sub" / "metadata.yaml").write_bytes(b"meta")
    return folder


@pytest.fixture
def web(tmp_path):
    """A web server over `tmp_path/web`; gives its URL and the folder."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def archive(path, entries):
    """A tar or zip with these names and contents."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in entries:
                packed.writestr(name, data)
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as packed:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MODEL = {"model.joblib": b"model", "sub/metadata.yaml": b"meta"}


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_is_copied(source, tmp_path, form):
    fetch(form.format(source), tmp_path / "out", {})

    assert files(tmp_path / "out") == MODEL


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_buckets_are_found_below_the_root_that_stands_in_for_them(source, tmp_path, scheme):
    bucket = tmp_path / "root" / scheme / "models"
    bucket.mkdir(parents=True)
    source.rename(bucket / "iris")

    fetch(f"{scheme}://models/iris", tmp_path / "out", {"SELDON_STORAGE_ROOT": str(tmp_path / "root")})

    assert files(tmp_path / "out") == MODEL


def test_a_single_file_is_copied(source, tmp_path):
    fetch(str(source / "model.joblib"), tmp_path / "out", {})

    assert files(tmp_path / "out") == {"model.joblib": b"model"}


@pytest.mark.parametrize("name", ["m.tar", "m.tar.gz", "m.zip"])
def test_archives_from_the_web_are_unpacked(web, tmp_path, name):
    url, folder = web
    archive(folder / name, [("model.joblib", b"model"), ("sub/metadata.yaml", b"meta")])

    fetch(f"{url}/{name}?token=1", tmp_path / "out", {})

    assert files(tmp_path / "out") == MODEL


def test_a_plain_file_from_the_web_keeps_its_name(web, tmp_path):
    url, folder = web
    (folder / "model.joblib").write_bytes(b"model")

    fetch(f"{url}/model.joblib", tmp_path / "out", {})

    assert files(tmp_path / "out") == {"model.joblib": b"model"}


@pytest.mark.parametrize("name", ["evil.tar", "evil.tar.gz", "evil.zip"])
@pytest.mark.parametrize("inside", ["../evil", "a/../../evil"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, name, inside):
    archive(tmp_path / name, [(inside, b"x")])

    with pytest.raises(StorageError):
        fetch(str(tmp_path / name), tmp_path / "deep" / "out", {})

    assert not (tmp_path / "deep" / "evil").exists()
    assert not (tmp_path / "evil").exists()


def test_a_tar_with_a_link_out_of_its_folder_is_refused(tmp_path):
    with tarfile.open(tmp_path / "link.tar", "w") as packed:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(info)

    with pytest.raises(StorageError):
        fetch(str(tmp_path / "link.tar"), tmp_path / "out", {})


@pytest.mark.parametrize("name", ["bad.tar", "bad.zip"])
def test_a_broken_archive_is_said(tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive")

    with pytest.raises(StorageError, match="cannot be unpacked"):
        fetch(str(tmp_path / name), tmp_path / "out", {})


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("/nowhere/at/all", "no such file"),
        ("file://other.host/path", "names a host"),
        ("gs://bucket/../../etc", "leaves its bucket"),
        ("gs://bucket/missing", "no such file"),
        ("pvc://claim/path", "needs rclone"),
        ("http://127.0.0.1:1/model", "refused"),
    ],
)
def test_what_cannot_be_had_is_said(tmp_path, uri, words):
    environment = {"SELDON_STORAGE_ROOT": str(tmp_path / "root"), "PATH": ""}

    with pytest.raises(StorageError, match=r"(?i)" + words):
        fetch(uri, tmp_path / "out", environment)


def test_a_page_that_is_not_there_is_said_with_its_status(web, tmp_path):
    with pytest.raises(StorageError, match="404"):
        fetch(f"{web[0]}/nothing", tmp_path / "out", {})


def test_without_rclone_and_root_the_message_names_both(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(StorageError, match=r"(?s)rclone.*RCLONE_CONFIG_S3.*SELDON_STORAGE_ROOT"):
        fetch("s3://bucket/model", tmp_path / "out", {})


def test_rclone_is_used_when_it_is_there(tmp_path, monkeypatch):
    rclone = tmp_path / "bin" / "rclone"
    rclone.parent.mkdir()
    rclone.write_text(
        '#!/bin/sh\n[ "$3" = "s3:bucket/model" ] || { echo "what is $3" >&2; exit 3; }\necho model > "$4/m"\n'
    )
    rclone.chmod(0o755)
    monkeypatch.setenv("PATH", f"{rclone.parent}:{os.environ['PATH']}")

    fetch("s3://bucket/model", tmp_path / "out", dict(os.environ))

    assert files(tmp_path / "out") == {"m": b"model\n"}
    with pytest.raises(StorageError, match=r"failed \(3\): what is"):
        fetch("s3://bucket/other", tmp_path / "out", dict(os.environ))


def test_the_program_says_by_its_exit_status_whether_it_worked(source, tmp_path):
    assert main([str(source), str(tmp_path / "out")]) == 0
    assert main(["/nowhere", str(tmp_path / "out")]) == 1
    assert main([]) == 2
