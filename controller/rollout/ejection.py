"""Ejection: outlier detection in a DestinationRule takes failing pods out, so that a canary's faults count less. Pure.

Which rule is in effect for a host is Istio's choice (pilot/pkg/model/destination_rule.go and push_context.go there): of
the client's namespace, else of the host's own, else of the mesh's root, those for the most specific host. Rules of one
namespace for one host are merged, the oldest first: the traffic policy of the first that has one, a subset of the first
that has it. A subset's policy goes over the rule's, and one for the port over both.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controller.api.rollout import RolloutStatus
from controller.rollout.observed import Observed
from controller.rollout.revisions import Destination
from controller.rollout.split import routed

_DOMAIN = "svc.cluster.local"
Rule = Mapping[str, Any]
Found = tuple[Rule, str, Mapping[str, Any]]
"""A rule, the field in it, and the outlier detection that stands there."""


class Ejecting:
    """Knows by namespace which DestinationRules say anything of outlier detection: where none does, none is read."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def note(self, rule: Rule) -> bool:
        """Keep whether a rule does, as it is now; say whether it does, or did."""
        meta = rule["metadata"]
        names = self._names.setdefault(meta["namespace"], set())
        known = meta["name"] in names
        if detects(rule):
            names.add(meta["name"])
        else:
            names.discard(meta["name"])
        if not names:
            del self._names[meta["namespace"]]
        return known or meta["name"] in names

    def any(self, namespaces: Iterable[str]) -> bool:
        """Say whether there is one in any of these namespaces."""
        return any(namespace in self._names for namespace in namespaces)


def detects(rule: Rule) -> bool:
    """Say whether a rule has outlier detection anywhere."""
    spec = rule.get("spec") or {}
    policies = [spec.get("trafficPolicy"), *(each.get("trafficPolicy") for each in spec.get("subsets") or ())]
    return any("outlierDetection" in part for policy in policies if policy for part in _parts(policy))


def _parts(policy: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield policy
    yield from policy.get("portLevelSettings") or ()


def namespaces(obs: Observed) -> tuple[str, ...]:
    """Return where rules may stand that are in effect for the revisions' hosts."""
    return tuple(dict.fromkeys((*_clients(obs), obs.namespace, obs.defaults.root_namespace)))


def _clients(obs: Observed) -> tuple[str, ...]:
    """Return the namespaces of those who send requests: of the gateways, and for the mesh the rollout's own."""
    spec = (obs.route.live.get("spec") or {}) if obs.route is not None else {}
    found = (str(each).rpartition("/")[0] or obs.namespace for each in spec.get("gateways") or ["mesh"])
    return tuple(dict.fromkeys(found))


def hides(obs: Observed, status: RolloutStatus) -> str:
    """Say which DestinationRule hides the canary's faults; empty when none does."""
    canary = status.canary_revision
    revision = obs.revisions.get(canary.hash) if canary is not None else None
    if revision is None or not obs.rules:
        return ""
    for part in routed(obs, revision):
        for client in _clients(obs):
            rules = in_effect(obs.rules, part.host, obs.namespace, client, root=obs.defaults.root_namespace)
            found = detection(rules, part)
            if found is not None and (counted := _counted(found[2])):
                return _told(found, part, counted)
    return ""


def _told(found: Found, part: Destination, counted: str) -> str:
    rule, field, _ = found
    meta = rule["metadata"]
    return (
        f"DestinationRule {meta['namespace']}/{meta['name']}, {field}, takes pods of {part.host} out for {counted}: "
        "the canary's failing pods get fewer requests, so that its errors count less; leave it out for the hosts of "
        "revisions, or have it count failed connections alone (consecutive5xxErrors: 0, "
        "splitExternalLocalOriginErrors: true)"
    )


def _counted(detection: Mapping[str, Any]) -> str:
    """Return for which answers of a model a pod is taken out; empty where only failed connections count."""
    errors = detection.get("consecutive5xxErrors", detection.get("consecutiveErrors", 5))
    gateway = detection.get("consecutiveGatewayErrors", 0)
    return "answers with 5xx" if errors else "answers with 502, 503 or 504" if gateway else ""


def in_effect(rules: Iterable[Rule], host: str, own: str, client: str, *, root: str) -> tuple[Rule, ...]:
    """Return the rules that a client's proxy follows for a host, the oldest first.

    Args:
        rules: of the namespaces that may matter.
        host: the full name.
        own: the namespace of the host.
        client: the namespace of the proxy.
        root: Istio's root namespace, whose rules hold for the whole mesh.
    """
    known = list(rules)
    for namespace in dict.fromkeys((*((client,) if client != root else ()), own, root)):
        there = [each for each in known if each["metadata"]["namespace"] == namespace and _seen(each, client)]
        matching = [each for each in there if _matches(_host(each), host)]
        if matching:
            best = max((_host(each) for each in matching), key=lambda name: (not name.startswith("*"), len(name)))
            return tuple(sorted((each for each in matching if _host(each) == best), key=_age))
    return ()


def detection(rules: Iterable[Rule], part: Destination) -> Found | None:
    """Return the outlier detection that merged rules have for a destination, with the rule and the field."""
    found: Found | None = None
    for rule, at, policy in _layers(list(rules), part.subset):
        if policy.get("outlierDetection") is not None:
            found = (rule, f"{at}.outlierDetection", policy["outlierDetection"])
        for index, setting in enumerate(policy.get("portLevelSettings") or ()):
            if (setting.get("port") or {}).get("number") in (part.http_port, part.grpc_port):
                # What is said for a port stands alone: what is not said there is not taken from above.
                said = setting.get("outlierDetection")
                found = None if said is None else (rule, f"{at}.portLevelSettings[{index}].outlierDetection", said)
                break
    return found


def _layers(rules: list[Rule], subset: str) -> Iterator[tuple[Rule, str, Mapping[str, Any]]]:
    """Yield the policies for a subset, the weakest first, each with its rule and field."""
    for rule in rules:
        if policy := (rule.get("spec") or {}).get("trafficPolicy"):
            yield rule, "spec.trafficPolicy", policy
            break
    for rule in rules:
        for index, each in enumerate((rule.get("spec") or {}).get("subsets") or ()):
            if each.get("name") == subset:
                if policy := each.get("trafficPolicy"):
                    yield rule, f"spec.subsets[{index}].trafficPolicy", policy
                return


def _host(rule: Rule) -> str:
    """Return a rule's host in full: a name without a dot is of the rule's own namespace."""
    host = str((rule.get("spec") or {}).get("host") or "")
    return host if "." in host or host.startswith("*") else f"{host}.{rule['metadata']['namespace']}.{_DOMAIN}"


def _matches(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern


def _seen(rule: Rule, client: str) -> bool:
    """Say whether a rule is exported to a namespace."""
    exported = (rule.get("spec") or {}).get("exportTo") or ["*"]
    own = rule["metadata"]["namespace"]
    return any(each in ("*", client) or (each == "." and own == client) for each in exported)


def _age(rule: Rule) -> tuple[str, str]:
    return str(rule["metadata"].get("creationTimestamp") or ""), str(rule["metadata"]["name"])
