"""A pod's log: the file `<log folder>/<namespace>/<pod>/<container>.log`, whole, its end, or as it grows.

A file's lines may begin with an RFC 3339 time stamp, which is shown only when `timestamps` asks for it.
"""

import asyncio
import re
from collections import deque
from pathlib import Path
from typing import Any

from localcluster.apiserver import errors
from localcluster.apiserver.http import Response, Sink, Stream

JsonObject = dict[str, Any]

_TRUE = ("1", "true", "True")
_POLL_SECONDS = 0.2
_CHUNK = 256 * 1024
_STAMP = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d) ")


class Logs:
    """`folder` None: this server has no logs."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def answer(self, pod: JsonObject, query: dict[str, str]) -> Response | Stream:
        """Raises ApiError 400 when it is not clear which container is meant."""
        container = _container(pod, query.get("container", ""))
        metadata = pod["metadata"]
        if self._folder is None:
            raise errors.bad_request("this server was started without a log folder (--log-dir)")
        previous = ".previous" if query.get("previous") in _TRUE else ""
        path = self._folder / metadata["namespace"] / metadata["name"] / f"{container}{previous}.log"
        shape = Shaping(query)
        if query.get("follow") in _TRUE:
            return Following(path, shape)
        if not path.exists():
            raise errors.bad_request(
                f'container "{container}" in pod "{metadata["name"]}" is waiting to start: ContainerCreating'
            )
        return Response(200, b"".join(shape.lines(path.read_bytes())), "text/plain")


class Shaping:
    """How the query wants lines: how many of the last, how many bytes, with time stamps or without."""

    def __init__(self, query: dict[str, str]) -> None:
        try:
            self._tail = int(query["tailLines"]) if "tailLines" in query else None
            self._most = int(query["limitBytes"]) if "limitBytes" in query else None
        except ValueError as error:
            raise errors.bad_request(f"tailLines and limitBytes must be whole numbers: {error}") from error
        self._stamps = query.get("timestamps") in _TRUE

    def lines(self, data: bytes) -> list[bytes]:
        """What was there already."""
        found = data.splitlines(keepends=True)
        if self._tail is not None:
            found = list(deque(found, maxlen=self._tail))
        shaped = self.more(b"".join(found))
        return [shaped[: self._most] if self._most is not None else shaped]

    def more(self, data: bytes) -> bytes:
        """What came later: whole lines."""
        if self._stamps:
            return data
        return b"".join(_STAMP.sub(b"", line) for line in data.splitlines(keepends=True))


def _container(pod: JsonObject, asked: str) -> str:
    spec = pod.get("spec") or {}
    names = [c["name"] for key in ("containers", "initContainers") for c in spec.get(key) or ()]
    name = pod["metadata"]["name"]
    if asked:
        if asked not in names:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    main = [c["name"] for c in spec.get("containers") or ()]
    if len(main) == 1:
        return str(main[0])
    chosen = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if chosen in main:
        return str(chosen)
    raise errors.bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]")


class Following:
    """Sends a file's lines as they are written, until the client goes or the file is taken away."""

    content_type = "text/plain"

    def __init__(self, path: Path, shape: Shaping) -> None:
        self._path = path
        self._shape = shape
        self._task: asyncio.Task[None] | None = None

    def start(self, sink: Sink) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(sink))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, sink: Sink) -> None:
        while not self._path.exists():  # noqa: ASYNC110 - files tell nobody that they came
            await asyncio.sleep(_POLL_SECONDS)
        with self._path.open("rb") as file:
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            sink.write(b"".join(self._shape.lines(whole)))
            rest = data[len(whole) :]
            while self._path.exists():
                more = file.read(_CHUNK)
                if not more:
                    await asyncio.sleep(_POLL_SECONDS)
                    continue
                rest += more
                whole, rest = rest[: rest.rfind(b"\n") + 1], rest[rest.rfind(b"\n") + 1 :]
                sink.write(self._shape.more(whole))
        sink.end()
