"""The node's REST doors, by the paths of the Seldon Core Python wrapper."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qs

from orchestrator.errors import BadPayloadError
from orchestrator.node.errors import NodeRuntimeError, as_answer
from orchestrator.node.form import fields
from orchestrator.node.payload import encoded
from orchestrator.node.telemetry import ModelMetrics
from orchestrator.node.unit import Unit, reward
from orchestrator.protocols import jsontext, seldon
from orchestrator.protocols.payload import Payload
from orchestrator.servers.message import TEXT, Request, Response

log = logging.getLogger(__name__)

T = TypeVar("T")
Verb = Callable[[Any], Any]
Answer = Response | Coroutine[Any, Any, Response]

_BUSY = Response(503, seldon.failure(503, "too many requests wait for the model", "OVERLOADED"))
_BUSY.headers = b"Retry-After: 1\r\n"


class Service:
    """Answers requests: the model's methods in threads, at most `waiting` of them at a time or in line."""

    def __init__(self, unit: Unit, metrics: ModelMetrics, *, threads: int = 1, waiting: int = 1000) -> None:
        self._unit = unit
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._waiting = waiting
        self._at_work: set[Future[Any]] = set()
        # The model's own word on its health must not wait behind its predictions.
        self._health = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._verbs: Mapping[bytes, Verb] = _paths(
            {
                "/predict": unit.predict,
                "/transform-input": unit.transform_input,
                "/transform-output": unit.transform_output,
                "/route": unit.route,
                "/aggregate": unit.aggregate,
                "/send-feedback": self._fed_back,
                "/api/v1.0/predictions": unit.predict,
                "/api/v0.1/predictions": unit.predict,
                "/api/v1.0/feedback": self._fed_back,
                "/api/v0.1/feedback": self._fed_back,
            }
        )
        self._pages: Mapping[bytes, Callable[[], Any]] = _paths(
            {
                "/health/status": unit.health,
                "/api/v1.0/health/status": unit.health,
                "/metadata": unit.metadata,
                "/api/v1.0/metadata": unit.metadata,
            }
        )

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        path = request.path
        if path in {b"/health/ping", b"/live", b"/ready"}:
            return Response(200, b"pong", TEXT)
        verb = self._verbs.get(path)
        if verb is not None:
            return self._serve(verb, request)
        page = self._pages.get(path)
        if page is not None:
            return self._show(page)
        other = path.startswith((b"/v1/models/", b"/v2/models/"))
        why = "; this node speaks the seldon protocol" if other else ""
        told = f"no such path: {path.decode('latin-1')}{why}"
        return _answer(404, {"status": {"code": 404, "info": told, "status": 1}})

    def close(self) -> bool:
        """Take no more work, and say whether all methods have come back."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._health.shutdown(wait=False, cancel_futures=True)
        return not self._at_work

    async def _show(self, page: Callable[[], Any]) -> Response:
        return await asyncio.wrap_future(self._health.submit(_answered, page))

    async def _serve(self, verb: Verb, request: Request) -> Response:
        # A client that left does not end its method: only what has come back makes room.
        if len(self._at_work) >= self._waiting:
            return _BUSY
        return await self._submitted(lambda: _answered(lambda: verb(read(request))))

    async def submit(self, work: Callable[[], T]) -> T:
        """What some work of the model's gives, in its turn.

        Raises:
            NodeRuntimeError: too much work waits.
            Exception: whatever the work raised.
        """
        if len(self._at_work) >= self._waiting:
            raise NodeRuntimeError("too many requests wait for the model", 503, "OVERLOADED")
        return await self._submitted(work)

    async def _submitted(self, work: Callable[[], T]) -> T:
        future = self._threads.submit(work)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return await asyncio.wrap_future(future)

    def verb(self, name: str) -> Verb:
        """What is done for a verb: predict, transform-input, ..., or metadata, which asks for nothing."""
        if name == "metadata":
            return lambda _: self._unit.metadata()
        return self._verbs[f"/{name}".encode()]

    def _fed_back(self, body: Any) -> Any:
        reply = self._unit.send_feedback(body)
        self._metrics.reward(reward(body))
        return reply


def _paths(verbs: Mapping[str, Any]) -> dict[bytes, Any]:
    return {path.encode(): verb for path, verb in verbs.items()}


def _answered(work: Callable[[], Any]) -> Response:
    """The answer of a model's method, or of what it raised."""
    try:
        result = work()
        status = _status(result)
        body = encoded(result)
    except Exception as error:  # whatever a model raises is an answer
        status, answer = as_answer(error)
        if status >= 500:
            log.exception("the model failed")
        body = encoded(answer)
    return Response(status, body)


def _status(result: Any) -> int:
    """200, or what the model itself says in `status.code`."""
    status = result.get("status") if isinstance(result, Mapping) else None
    code = status.get("code") if isinstance(status, Mapping) else None
    return code if isinstance(code, int) and 200 <= code <= 599 else 200


def _answer(status: int, body: Any) -> Response:
    return Response(status, encoded(body))


def read(request: Request) -> Any:
    """The message in a request: a JSON body, a form, or `json=` in the query.

    Raises:
        NodeRuntimeError: there is none that can be read.
    """
    content_type = request.header(b"content-type").decode("latin-1")
    try:
        body = Payload(request.body, encoding=request.header(b"content-encoding")).plain()
        if content_type.startswith("multipart/form-data"):
            return fields(content_type, body)
        if not body or content_type.startswith("application/x-www-form-urlencoded"):
            query = parse_qs((body or request.query).decode("utf-8", errors="replace"))
            if "json" in query:
                return jsontext.read(query["json"][0].encode())
            if not body:
                raise NodeRuntimeError("the request has no body")
        return jsontext.read(body)
    except BadPayloadError as error:
        raise NodeRuntimeError(str(error)) from error
