"""Spans of requests and of calls to nodes, exported over OTLP when that is configured.

Without it the client's own trace headers (W3C, B3) go on to the nodes as all headers do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from orchestrator.clients.context import Context
from orchestrator.clients.node import NodeCall
from orchestrator.errors import OrchestratorError, SettingsError
from orchestrator.graph.node import Node
from orchestrator.protocols.payload import Payload

log = logging.getLogger(__name__)
T = TypeVar("T")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_JAEGER = ("JAEGER_ENDPOINT", "JAEGER_AGENT_HOST")
_END_SECONDS = 2.0


class Tracing:
    """Makes spans, finds their parents in headers and writes them there.

    Args:
        provider: of OpenTelemetry's SDK; it is shut down with this.
        propagator: reads and writes the trace's headers.
    """

    def __init__(self, provider: Any, propagator: Any) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._provider = provider
        self._propagator = propagator
        self._tracer = provider.get_tracer("orchestrator")

    async def served(self, name: str, context: Context, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work of a request within a span, whose parent is in the client's headers."""
        above = self._propagator.extract({key: value for key, value in context.metadata if isinstance(value, str)})
        span = self._tracer.start_span(name, above, kind=self._trace.SpanKind.SERVER)
        context.span = span
        return await self._within(span, work)

    async def called(self, name: str, node: Node, call: NodeCall, payload: Payload | None, context: Context) -> Payload:
        """Call a node within a span below the request's; the node is told of it."""
        if context.span is None:
            return await call(payload, context)
        above = self._trace.set_span_in_context(context.span)
        about = {"seldon.node": node.name, "server.address": node.host}
        span = self._tracer.start_span(name, above, kind=self._trace.SpanKind.CLIENT, attributes=about)
        headers: dict[str, str] = {}
        self._propagator.inject(headers, self._trace.set_span_in_context(span))
        own = context.saying({key.lower(): value for key, value in headers.items()}, self._propagator.fields)
        return await self._within(span, lambda: call(payload, own))

    async def _within(self, span: Any, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except OrchestratorError as error:
            span.set_attribute("error.type", error.reason)
            span.set_attribute("http.response.status_code", error.status)
            span.set_status(self._trace.StatusCode.ERROR, str(error))
            raise
        except asyncio.CancelledError:
            span.set_status(self._trace.StatusCode.ERROR, "the client left")
            raise
        finally:
            span.end()

    async def flush(self) -> None:
        """Export what is there."""
        await asyncio.to_thread(self._provider.force_flush)

    async def close(self) -> None:
        """Export what is there, for a short time at most."""
        try:
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.to_thread(self._provider.shutdown)
        except TimeoutError:
            log.warning("spans that were not exported within %g s are lost", _END_SECONDS)


class Traced:
    """A call to a node within a span."""

    def __init__(self, call: NodeCall, node: Node, name: str, tracing: Tracing) -> None:
        self.form = call.form
        self._call = call
        self._node = node
        self._name = name
        self._tracing = tracing

    async def __call__(self, payload: Payload | None, context: Context) -> Payload:
        """As of the call."""
        return await self._tracing.called(self._name, self._node, self._call, payload, context)


def configured(environment: Mapping[str, str]) -> Tracing | None:
    """Tracing as the environment says, or None when nothing says where spans go.

    OpenTelemetry's own variables, and of Jaeger's: JAEGER_SERVICE_NAME, JAEGER_TRACE_PROPAGATION_TYPE, and
    JAEGER_SAMPLER_TYPE `const` or `probabilistic` with JAEGER_SAMPLER_PARAM.

    Raises:
        SettingsError: a value cannot be used, or the SDK is not installed.
    """
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    endpoint = next((name for name in _ENDPOINTS if environment.get(name)), "")
    if off or not endpoint:
        for name in _JAEGER:
            if environment.get(name) and not off:
                log.warning("%s has no effect: spans are exported over OTLP, to OTEL_EXPORTER_OTLP_ENDPOINT", name)
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{endpoint} is set, but OpenTelemetry's SDK is not installed ({error.name}): "
            "pip install 'seldon-rollouts[tracing]', or unset it"
        ) from None
    service = environment.get("OTEL_SERVICE_NAME") or environment.get("JAEGER_SERVICE_NAME") or "executor"
    whole = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    url = whole or environment["OTEL_EXPORTER_OTLP_ENDPOINT"].rstrip("/") + "/v1/traces"
    provider = TracerProvider(
        sampler=_sampler(environment), resource=Resource.create({"service.name": service}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return Tracing(provider, _propagator(environment))


def _sampler(environment: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

    kind, written = environment.get("JAEGER_SAMPLER_TYPE"), environment.get("JAEGER_SAMPLER_PARAM") or "1"
    if environment.get("OTEL_TRACES_SAMPLER") or not kind:
        return None  # the SDK reads its own variables
    try:
        share = float(written)
    except ValueError:
        share = -1.0
    if kind not in {"const", "probabilistic"}:
        raise SettingsError(f"JAEGER_SAMPLER_TYPE: {kind!r} is not valid; expected const or probabilistic")
    if not 0 <= share <= 1:
        raise SettingsError(f"JAEGER_SAMPLER_PARAM: {written!r} is not valid; expected a share, 0 to 1")
    if kind == "const":
        return ParentBased(ALWAYS_ON if share else ALWAYS_OFF)
    return ParentBased(TraceIdRatioBased(share))


def _propagator(environment: Mapping[str, str]) -> Any:
    """W3C's headers, and B3's where they are asked for."""
    from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    known: dict[str, Callable[[], Any]] = {
        "tracecontext": TraceContextTextMapPropagator, "b3": B3SingleFormat, "b3multi": B3MultiFormat,
    }  # fmt: skip
    jaeger = "tracecontext,b3multi" if environment.get("JAEGER_TRACE_PROPAGATION_TYPE") == "b3" else "tracecontext"
    written = environment.get("OTEL_PROPAGATORS") or jaeger
    names = [name.strip() for name in written.split(",") if name.strip() not in {"", "baggage"}]
    if not set(names) <= set(known):
        raise SettingsError(
            f"OTEL_PROPAGATORS: {written!r} is not valid; expected some of {', '.join(known)}, with commas between"
        )
    return CompositePropagator([known[name]() for name in names])
