"""The AuthorizationPolicy: who may ask a SeldonDeployment's pods, and what anybody may read of them."""

from collections.abc import Iterable, Iterator
from typing import Any

from controller.deployment.configuration import Configuration
from controller.deployment.render import labels
from controller.deployment.render.openings import ALLOW_ANNOTATION, SECURITY, STRICT, Object, openings
from controller.deployment.render.peerauthentications import mode
from controller.deployment.subject import Subject

_ANYONE_IN_THE_MESH = "*"
"""As a principal: whoever has a certificate of the mesh."""


def allowed(subject: Subject) -> list[str]:
    """Return who may ask, as namespaces and principals (those have a slash); nothing when nobody was named."""
    return [each.strip() for each in subject.annotation(ALLOW_ANNOTATION).split(",") if each.strip()]


def render_authorization_policy(
    subject: Subject, deployments: Iterable[Object], callers: Iterable[Object], configuration: Configuration
) -> dict[str, Any] | None:
    """Return the AuthorizationPolicy; None when neither callers are named nor mutual TLS is demanded.

    Args:
        subject: whose pods they are.
        deployments: all of its Deployments.
        callers: those of them whose pods ask others of its pods.
        configuration: names the ports with metrics.
    """
    names = allowed(subject)
    if not names and mode(subject) != STRICT:
        return None
    rules: list[dict[str, Any]] = [{"from": [{"source": each} for each in _sources(subject, names, callers)]}]
    operations = [
        {"operation": {"ports": [str(port)], "methods": ["GET"], "paths": list(paths)}}
        for port, paths in openings(deployments, configuration).items()
    ]
    if operations:
        rules.append({"to": operations})
    return {
        "apiVersion": SECURITY,
        "kind": "AuthorizationPolicy",
        "metadata": labels.metadata(subject, subject.name, {}),
        "spec": {
            "selector": {"matchLabels": {labels.ID: subject.name}},
            "action": "ALLOW",
            "rules": rules,
        },
    }


def _sources(subject: Subject, names: list[str], callers: Iterable[Object]) -> Iterator[dict[str, list[str]]]:
    if not names:
        yield {"principals": [_ANYONE_IN_THE_MESH]}
        return
    spaces = [each for each in names if "/" not in each]
    principals = [each for each in names if "/" in each]
    accounts = {each["spec"]["template"]["spec"].get("serviceAccountName") or "default" for each in callers}
    own = [f"cluster.local/ns/{subject.namespace}/sa/{account}" for account in sorted(accounts)]
    if spaces:
        yield {"namespaces": spaces}
    if principals or own:
        yield {"principals": [*principals, *(each for each in own if each not in principals)]}
