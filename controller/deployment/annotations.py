"""The annotations that the operator knows: their values are checked, and one that nobody knows is warned of. Pure."""

import re
from collections.abc import Iterator, Mapping

from controller.api.names import COMPARE_ANNOTATIONS, NO_ENGINE_ANNOTATION, SVC_NAME_ANNOTATION
from controller.deployment.podshape import Found
from controller.deployment.render.authorizationpolicies import allowed
from controller.deployment.render.openings import ALLOW_ANNOTATION, MODES, MTLS_ANNOTATION
from controller.deployment.render.peerauthentications import mode
from controller.deployment.render.routes import GATEWAY_ANNOTATION, HOST_ANNOTATION, MESH
from controller.deployment.render.workloads import MAX_SURGE_ANNOTATION, MAX_UNAVAILABLE_ANNOTATION
from controller.deployment.subject import Subject

PREFIX = "seldon.io/"
INTEGERS = (
    "seldon.io/executor-logger-queue-size",
    "seldon.io/executor-logger-write-timeout-ms",
    "seldon.io/rest-timeout",
    "seldon.io/grpc-timeout",
    "seldon.io/grpc-max-message-size",
    "seldon.io/istio-retries",
    "seldon.io/istio-retries-timeout",
)
"""Annotations that hold a whole number."""
SWITCHES = (
    "seldon.io/engine-separate-pod",
    NO_ENGINE_ANNOTATION,
    "seldon.io/headless-svc",
    "seldon.io/no-storage-initializer",
    SVC_NAME_ANNOTATION,
    GATEWAY_ANNOTATION,
    HOST_ANNOTATION,
)
"""The other annotations of Seldon Core v1 that do something here."""
FOR_PODS = (
    "seldon.io/prediction-metrics",
    "seldon.io/prediction-metrics-sample",
    "seldon.io/prediction-metrics-bounds",
    *COMPARE_ANNOTATIONS,
)
"""What the orchestrator reads of its pod's annotations, beside those of Seldon Core's executor."""
AMBASSADOR = "seldon.io/ambassador-"
_OTHERS = ("seldon.io/engine-", AMBASSADOR)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PRINCIPAL = re.compile(r"[^\s/*]+/ns/[^\s/*]+/sa/[^\s/*]+")
_AMOUNT = re.compile(r"[0-9]+%?")


def faults(subject: Subject) -> Iterator[Found]:
    """Return what of the annotations' values cannot be used."""
    for key in INTEGERS:
        value = subject.annotation(key)
        if value and not re.fullmatch(r"[0-9]+", value):
            yield f"annotation {key}", value, "a whole number"
    for index, predictor in enumerate(subject.spec.predictors):
        notes = {**subject.spec.annotations, **predictor.annotations}
        yield from _rolling(notes, f"spec.predictors[{index}]")
    joined, hosts = (_listed(subject.annotation(key)) for key in (GATEWAY_ANNOTATION, HOST_ANNOTATION))
    if MESH in joined and (not hosts or "*" in hosts):
        expected = f"hosts by name in {HOST_ANNOTATION}: Istio takes no `*` at the gateway mesh"
        yield f"annotation {GATEWAY_ANNOTATION}", ",".join(joined), expected
    yield from _security(subject)


def _security(subject: Subject) -> Iterator[Found]:
    if mode(subject) and mode(subject) not in MODES:
        known = ", ".join(each.lower() for each in MODES)
        yield f"annotation {MTLS_ANNOTATION}", subject.annotation(MTLS_ANNOTATION), f"one of {known}"
    for each in allowed(subject):
        if not _NAMESPACE.fullmatch(each) and not _PRINCIPAL.fullmatch(each):
            expected = "namespaces, and principals such as cluster.local/ns/web/sa/shop, separated by commas"
            yield f"annotation {ALLOW_ANNOTATION}", each, expected


def _rolling(notes: Mapping[str, str], field: str) -> Iterator[Found]:
    given = {key: notes[key] for key in (MAX_SURGE_ANNOTATION, MAX_UNAVAILABLE_ANNOTATION) if key in notes}
    wrong = [key for key, value in given.items() if not _AMOUNT.fullmatch(value)]
    for key in wrong:
        yield f"{field}: annotation {key}", given[key], "a number of pods or a percentage, such as 1 or 25%"
    surge, missing = given.get(MAX_SURGE_ANNOTATION, "25%"), given.get(MAX_UNAVAILABLE_ANNOTATION, "0")
    if not wrong and not surge.strip("0%") and not missing.strip("0%"):
        yield f"{field}: annotation {MAX_SURGE_ANNOTATION}", surge, "more than 0, or more than 0 pods unavailable"


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def unknown(found: Mapping[str, str], where: str) -> Iterator[str]:
    """Say of each `seldon.io/` annotation what it is, if it does nothing here."""
    for key in sorted(found):
        if not key.startswith(PREFIX) or key in INTEGERS or key in SWITCHES:
            continue
        if key in FOR_PODS:
            if where.endswith("metadata.annotations"):
                yield f"{where}[{key}]: does nothing here; pods have spec.annotations and the predictors'"
        elif key.startswith(AMBASSADOR):
            yield f"{where}[{key}]: Ambassador is not supported; the annotation does nothing"
        elif not key.startswith(_OTHERS):
            yield f"{where}[{key}]: unknown annotation; it does nothing"
