"""A VirtualService of the person's own: what of it is ours, what stands against it, and what it becomes.

Ours are the destinations, weights and copies of the named routes as far as they are the rollout's revisions, and the
special routes in front of them, whose names begin with `<rollout>.seldon-rollouts/`. All else is given back as it came.
"""

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from controller.api.routing import REVISION_HEADER, OwnVirtualService
from controller.api.strategy import RouteMatch
from controller.rollout import matching
from controller.rollout.observed import Observed
from controller.rollout.specials import MIRRORED, Special, Tokens, specials, tokens
from controller.rollout.split import Split, copied, routed, taken
from controller.rollout.traffic import targets

Http = Mapping[str, Any]
_REPEATS = frozenset({"5xx", "gateway-error", "retriable-status-codes"})
"""Envoy's conditions by which a request that a model has answered is asked once more."""
_HASH = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{10}(-.*)?")


class CannotCombineError(ValueError):
    """A special route and a named one have conditions that no request could meet, or that one match cannot say."""


def problem(obs: Observed, own: OwnVirtualService, live: Mapping[str, Any] | None, split: Split | None) -> str:
    """Say what stands against writing into a person's VirtualService; empty when nothing does."""
    where = f"VirtualService {obs.namespace}/{own.name}"
    named = [*own.routes, *own.grpc_routes]
    if live is None:
        return f"{where} is not there: create it with the routes {', '.join(named)}"
    spec = live.get("spec") or {}
    routes = spec.get("http") or []
    if not routes and (spec.get("tls") or spec.get("tcp")):
        return f"{where} has only TLS or TCP routes; requests are split one by one, so name HTTP routes"
    known = Counter(http["name"] for http in routes if http.get("name"))
    for name in named:
        if known[name] != 1:
            found = "several HTTP routes" if known[name] else "no HTTP route"
            others = ", ".join(each for each in known if not each.startswith(_prefix(obs, ""))) or "none with a name"
            return f"{where} has {found} named {name}; it has {others}"
    for http in routes:
        if http.get("name") in named and (said := _against(obs, http, split, grpc=http["name"] in own.grpc_routes)):
            return f"{where}, route {http['name']}: {said}"
    return ""


def _against(obs: Observed, http: Http, split: Split | None, *, grpc: bool) -> str:
    if not http.get("route"):
        return "it has no destinations; a redirect, a direct response or a delegate cannot be split"
    foreign = sorted({_host(part) for part in http["route"] if not _ours(obs, _host(part))})
    if foreign:
        return f"{', '.join(foreign)} is no revision of this rollout; before the first it leads to the host {obs.name}"
    if split is None:
        return ""
    if copied(obs, split, chosen=True) and http.get("mirror"):
        return "it has a `mirror` of its own; write it as `mirrors`, beside which copies can stand"
    try:
        list(_combined(obs, http, split, grpc=grpc))
    except CannotCombineError as error:
        return str(error)
    return ""


def merged(obs: Observed, own: OwnVirtualService, live: Mapping[str, Any], split: Split) -> list[dict[str, Any]]:
    """Return the HTTP routes of a person's VirtualService with a split written into the named ones."""
    found: list[dict[str, Any]] = []
    for http in (live.get("spec") or {}).get("http") or []:
        name = http.get("name") or ""
        if any(name.startswith(_prefix(obs, base)) for base in (*own.routes, *own.grpc_routes)):
            continue
        if name in own.routes or name in own.grpc_routes:
            grpc = name in own.grpc_routes
            found += _combined(obs, http, split, grpc=grpc)
            found.append(_with(obs, http, split, grpc=grpc))
        else:
            found.append(copy.deepcopy(dict(http)))
    return found


def given_back(obs: Observed, own: OwnVirtualService, live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a person's HTTP routes with nothing of ours in them: the named ones lead to the rollout's name."""
    routes = (live.get("spec") or {}).get("http") or []
    ours = {id(http) for http in named(own, live)}
    theirs = (http for http in routes if not str(http.get("name") or "").startswith(_prefix(obs, "")))
    return [_bare(obs, http) if id(http) in ours else copy.deepcopy(dict(http)) for http in theirs]


def named(own: OwnVirtualService, live: Mapping[str, Any]) -> list[Http]:
    """Return the named routes of a live VirtualService."""
    wanted = (*own.routes, *own.grpc_routes)
    return [http for http in (live.get("spec") or {}).get("http") or [] if http.get("name") in wanted]


def copying(obs: Observed, own: OwnVirtualService, live: Mapping[str, Any]) -> list[Http]:
    """Return the routes of a live VirtualService that may copy requests to us: the named ones, and those of a match."""
    ours = tuple(_prefix(obs, base) + MIRRORED for base in (*own.routes, *own.grpc_routes))
    routes = (live.get("spec") or {}).get("http") or []
    return [*named(own, live), *(http for http in routes if str(http.get("name")).startswith(ours))]


def hides(obs: Observed) -> str:
    """Say what of a person's named routes hides a canary's faults from its users and so from the gateway's counts."""
    own = obs.routing.virtual_service
    if own is None or obs.route is None:
        return ""
    for http in named(own, obs.route.live):
        retries = http.get("retries") or {}
        asked = [each.strip() for each in str(retries.get("retryOn") or "").split(",")]
        again = [each for each in asked if each in _REPEATS or (each.isdigit() and each.startswith("5"))]
        if again and retries.get("attempts"):
            return (
                f"VirtualService {obs.namespace}/{own.name}, route {http['name']}, retries on {', '.join(again)}: a "
                "request that the canary fails is asked again of stable, so that errors count less at the gateway; "
                "retry on connect-failure,refused-stream alone"
            )
    return ""


def _prefix(obs: Observed, base: str) -> str:
    """The beginning of the names of the special routes in front of a named one; of all without a name."""
    return f"{obs.name}.seldon-rollouts/" + (f"{base}/" if base else "")


def _host(part: Mapping[str, Any]) -> str:
    return str((part.get("destination") or {}).get("host") or "")


def _ours(obs: Observed, host: str) -> bool:
    """Say whether a host is the rollout's name, which stands for whatever is stable, or of one of its revisions."""
    service, _, domain = host.partition(".")
    if domain not in ("", obs.namespace, f"{obs.namespace}.svc", f"{obs.namespace}.svc.cluster.local"):
        return False
    known = {part.service for revision in obs.revisions.values() for part in routed(obs, revision)}
    rest = service.removeprefix(f"{obs.name}-")
    return service == obs.name or service in known or (rest != service and _HASH.fullmatch(rest) is not None)


def _with(obs: Observed, http: Http, split: Split, *, grpc: bool) -> dict[str, Any]:
    """Return a named route with a split; what else stands at its destinations is kept, and given to new ones."""
    fresh = targets(taken(obs, split), copied(obs, split), tokens(obs, split), grpc=grpc)
    result = copy.deepcopy(dict(http))
    result["route"] = _dressed(obs, http, fresh["route"])
    foreign = [each for each in result.get("mirrors") or [] if not _ours(obs, _host(each))]
    mirrors = [*foreign, *fresh.get("mirrors", [])]
    if mirrors:
        result["mirrors"] = mirrors
    elif result.get("mirrors"):
        del result["mirrors"]
    return result


def _dressed(obs: Observed, http: Http, fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    before = {_host(part): part for part in http["route"]}
    dressed = []
    for part in fresh:
        worn = copy.deepcopy(dict(before.get(_host(part), http["route"][0])))
        headers = worn.get("headers") or {}
        response = headers.get("response") or {}
        ours = part["headers"]["response"]
        told = {**response, "set": {**_without_tokens(obs, response.get("set") or {}), **ours["set"]}}
        added = {**_without_cookie(obs, response.get("add") or {}), **ours.get("add", {})}
        told = {key: value for key, value in told.items() if key != "add"} | ({"add": added} if added else {})
        dressed.append({
            **worn,
            "destination": part["destination"],
            "weight": part["weight"],
            "headers": {**headers, "response": told},
        })  # fmt: skip
    return dressed


def _bare(obs: Observed, http: Http) -> dict[str, Any]:
    """Return a named route as it was before the first revision, with what else stands at its destinations."""
    worn = copy.deepcopy({key: value for key, value in http["route"][0].items() if key not in ("weight", "headers")})
    headers = copy.deepcopy(http["route"][0].get("headers") or {})
    response = headers.pop("response", None) or {}
    kept = {
        "set": _without_tokens(obs, response.get("set") or {}),
        "add": _without_cookie(obs, response.get("add") or {}),
    }
    told = {key: value for key, value in {**response, **kept}.items() if value}
    headers |= {"response": told} if told else {}
    result = copy.deepcopy(dict(http))
    result["route"] = [{**worn, "destination": {"host": obs.name}, **({"headers": headers} if headers else {})}]
    foreign = [each for each in result.pop("mirrors", None) or [] if not _ours(obs, _host(each))]
    return {**result, **({"mirrors": foreign} if foreign else {})}


def _without_tokens(obs: Observed, changes: Mapping[str, str]) -> dict[str, str]:
    """Leave out what we set before; a token of a revision that is over must not be told."""
    sticky = obs.routing.sticky
    gone = {REVISION_HEADER, sticky.header if sticky is not None else None}
    return {key: value for key, value in changes.items() if key not in gone and not _is_token(obs, value)}


def _without_cookie(obs: Observed, changes: Mapping[str, str]) -> dict[str, str]:
    sticky = obs.routing.sticky
    ours = sticky.cookie.name if sticky is not None and sticky.cookie is not None else None

    def added(key: str, value: object) -> bool:
        name, _, rest = str(value).partition("=")
        return key.lower() == "set-cookie" and (name == ours or _is_token(obs, rest.partition(";")[0]))

    return {key: value for key, value in changes.items() if not added(key, value)}


def _is_token(obs: Observed, text: object) -> bool:
    """Say whether users are told this to stay with a revision, by whichever rule of before."""
    return str(text).partition("-")[0] in obs.revisions


def _combined(obs: Observed, http: Http, split: Split, *, grpc: bool) -> Iterator[dict[str, Any]]:
    """Return the special routes in front of a named one: its matches and all it has, with one condition more."""
    told = tokens(obs, split)
    for special in specials(obs, split, feedback=False):
        if special.grpc if grpc else special.rest:
            yield from _one(obs, http, special, told, grpc=grpc)


def _one(obs: Observed, http: Http, special: Special, told: Tokens, *, grpc: bool) -> Iterator[dict[str, Any]]:
    asked = [match for match in special.matches if not grpc or (match.path is None and match.method is None)]
    pairs = [(base, match) for match in asked for base in http.get("match") or [{}]]
    if not pairs:
        return
    result = copy.deepcopy(dict(http))
    result["name"] = _prefix(obs, http["name"]) + special.name
    result["match"] = [_both(base, match) for base, match in pairs]
    path = special.matches[0].path
    if path is not None and "rewrite" in http:
        base = str(http["rewrite"].get("uri") or "/")
        result["rewrite"] = {**http["rewrite"], "uri": base.rstrip("/") + str(path.exact or path.prefix)}
    fresh = targets(special.to, special.copies, told, grpc=grpc, drawn=special.draws)
    result["route"] = _dressed(obs, http, fresh["route"])
    foreign = [each for each in result.pop("mirrors", None) or [] if not _ours(obs, _host(each))]
    mirrors = [*foreign, *fresh.get("mirrors", [])]
    yield {**result, **({"mirrors": mirrors} if mirrors else {})}


def _both(base: Mapping[str, Any], match: RouteMatch) -> dict[str, Any]:
    """Return the match that holds where both hold.

    Raises:
        CannotCombineError: Istio has no single match for it.
    """
    result = copy.deepcopy(dict(base))
    asked = matching.headers(match)
    held = {name.lower(): value for name, value in (base.get("headers") or {}).items()}
    clash = sorted(name for name in asked.keys() & held.keys() if asked[name] != held[name])
    if clash:
        raise CannotCombineError(f"it asks something else of the header {clash[0]} than the route that goes before it")
    if asked:
        result["headers"] = {**(base.get("headers") or {}), **asked}
    if match.method is not None:
        if base.get("method") not in (None, {"exact": match.method}):
            raise CannotCombineError("it asks for another method than the route that goes before it")
        result["method"] = {"exact": match.method}
    if match.path is not None:
        prefix = (base.get("uri") or {"prefix": "/"}).get("prefix")
        if prefix is None:
            raise CannotCombineError("a route by path goes before one that matches a prefix, and it matches otherwise")
        kind, text = ("exact", match.path.exact) if match.path.exact is not None else ("prefix", match.path.prefix)
        result["uri"] = {kind: prefix.rstrip("/") + str(text)}
    return result
