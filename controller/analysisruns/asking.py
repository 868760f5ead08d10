"""Asking: one measurement of one metric. Every failure is a measurement with phase Error, without a secret in it."""

import base64
import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from analysis.providers.access import OPEN, Access
from analysis.providers.asked import promql, web
from analysis.providers.asked.answer import Answer, AskError, written
from analysis.providers.asked.http import Credentials, Http
from analysis.runs.arguments import Redactor
from analysis.runs.durations import duration
from analysis.runs.model import Measurement, Phase
from controller.analysisruns.plans import Prepared
from controller.api.metric import Authentication, Header, PrometheusMetric, WebMetric

log = logging.getLogger("seldon_rollouts.analysis")


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks Prometheus and web services.

    Args:
        http: the connections.
        now: the present instant.
        prometheus_url: where PromQL goes when a metric names no address; empty for nowhere.
        prometheus_door: what that address, and no other, asks for.
    """

    http: Http
    now: Callable[[], datetime]
    prometheus_url: str = ""
    prometheus_door: Access = OPEN

    async def measure(self, metric: Prepared, redact: Redactor) -> Measurement:
        """Measure once."""
        started = self.now()
        redact = redact.also(*_derived(metric))
        try:
            answer = await self._answer(metric)
            phase, message = metric.conditions.assess(answer.value)
            return Measurement(
                phase=Phase(phase),
                value=redact(written(answer.value)),
                message=redact(message)[:1000],
                started_at=started,
                finished_at=self.now(),
                metadata={key: redact(value) for key, value in answer.metadata.items()},
            )
        except AskError as error:
            return _failed(redact(str(error)), started, self.now())
        except Exception as error:  # noqa: BLE001 - said as an error of the metric, and logged without its secrets
            log.error("a measurement broke metric=%s %s", metric.plan.name, redact(traceback.format_exc()))
            return _failed(redact(f"{type(error).__name__}: {error}"), started, self.now())

    async def _answer(self, metric: Prepared) -> Answer:
        provider = metric.provider
        if provider.prometheus is not None:
            return await promql.ask(self.http, self._query(provider.prometheus), self.now())
        if provider.web is not None:
            return await web.ask(self.http, _service(provider.web))
        raise AskError("a job is run by the cluster, not asked")

    def _query(self, asked: PrometheusMetric) -> promql.Query:
        address = asked.address or self.prometheus_url
        if not address:
            raise AskError("no Prometheus: give prometheus.address, or the controller --prometheus-url")
        query = promql.Query(
            address=address,
            query=asked.query,
            timeout=float(asked.timeout or 30),
            headers=_headers(asked.headers),
            insecure=asked.insecure,
            door=OPEN if asked.address else self.prometheus_door,
            **_login(asked.authentication),
        )
        if asked.range_query is None:
            return query
        around = asked.range_query
        step = duration(around.step)
        return replace(query, range=promql.Range(start=around.start, end=around.end, step=step))


def _derived(metric: Prepared) -> tuple[str, ...]:
    """Return what a login is sent as: whoever reads it has the password."""
    asked = metric.provider.prometheus or metric.provider.web
    login = asked.authentication.basic_auth if asked is not None and asked.authentication is not None else None
    return () if login is None else (base64.b64encode(f"{login.username}:{login.password}".encode()).decode(),)


def _failed(message: str, started: datetime, now: datetime) -> Measurement:
    return Measurement(phase=Phase.ERROR, message=message[:1000], started_at=started, finished_at=now)


def _service(asked: WebMetric) -> web.Service:
    headers = _headers(asked.headers)
    content = asked.body.encode() if asked.body else None
    if asked.json_body is not None:
        content = json.dumps(asked.json_body).encode()
        headers.setdefault("Content-Type", "application/json")
    return web.Service(
        url=asked.url,
        method=asked.method,
        headers=headers,
        content=content,
        path=asked.json_path,
        timeout=float(asked.timeout_seconds or 0) or 10.0,
        insecure=asked.insecure,
        **_login(asked.authentication),
    )


def _headers(headers: tuple[Header, ...]) -> dict[str, str]:
    return {header.key: header.value for header in headers}


def _login(given: Authentication | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given is not None and given.basic_auth is not None:
        found["basic"] = given.basic_auth.username, given.basic_auth.password
    if given is not None and given.oauth2 is not None:
        oauth = given.oauth2
        found["oauth2"] = Credentials(
            token_url=oauth.token_url,
            client_id=oauth.client_id,
            client_secret=oauth.client_secret,
            scopes=oauth.scopes,
        )
    return found
