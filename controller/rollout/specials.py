"""Specials: routes for requests by what they carry, before the routes that take all. The first that matches counts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from controller.api.names import prediction_prefix
from controller.api.percent import rest, rounded
from controller.api.routing import REVISION_HEADER, Sticky
from controller.api.strategy import PathMatch, RouteMatch, TextMatch
from controller.rollout.observed import Observed
from controller.rollout.split import Mirror, Split, Weighted, all_of, copied, taken, weighted

FEEDBACK_PATHS = {"v1": "/api/v1.0/feedback", "v0": "/api/v0.1/feedback"}
FEEDBACK_METHOD = "/seldon.protos.Seldon/SendFeedback"
MIRRORED = "mirror."
"""So begin the names of routes of requests that are copied where others are not; no header route has such a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    """Requests that are routed by what they carry."""

    name: str
    matches: tuple[RouteMatch, ...]
    """Any of these."""
    to: tuple[Weighted, ...]
    rest: bool = True
    grpc: bool = True
    grpc_method: str = ""
    """The one gRPC method; all when empty."""
    draws: bool = False
    """Its answers say with which revision the user stays."""
    copies: tuple[Mirror, ...] = ()
    """Who gets copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What answers tell a client to send back, so that it stays with its revision; nothing where nobody stays."""

    sticky: Sticky | None = None
    path: str = "/"
    texts: dict[str, str] = field(default_factory=dict)
    """By the hash of the revision."""

    def changes(self, digest: str, *, drawn: bool) -> dict[str, Any]:
        """Return the changes of the answer's headers for a revision."""
        told: dict[str, Any] = {"set": {REVISION_HEADER: digest}}
        if not drawn or self.sticky is None or digest not in self.texts:
            return told
        if self.sticky.header is not None:
            told["set"][self.sticky.header] = self.texts[digest]
        elif self.sticky.cookie is not None:
            cookie = self.sticky.cookie
            life = f"Max-Age={int(cookie.ttl.total_seconds())}; Path={cookie.path or self.path}; HttpOnly; SameSite=Lax"
            told["add"] = {"set-cookie": f"{cookie.name}={self.texts[digest]}; {life}"}
        return told


def specials(obs: Observed, split: Split, *, feedback: bool = True) -> list[Special]:
    """Return the special routes of a split, in order."""
    if split.canary is None:
        return []
    found = [
        Special(name=f"{route.name}-{index}", matches=(match,), to=all_of(obs, split.canary))
        for route in split.routes
        for index, match in enumerate(route.match)
    ]
    return [*found, *(_feedback(obs, split) if feedback else ()), *_staying(obs, split), *_mirrored(obs, split)]


def exposed(split: Split) -> bool:
    """Say whether the canary answers some users, and stable others."""
    return split.weight < 100 and bool(split.weight or split.routes)


def _mirrored(obs: Observed, split: Split) -> Iterable[Special]:
    """Requests that are copied where others are not: whoever answers them, as all others, by the weights."""
    if not split.mirror:
        return
    to, copies = tuple(taken(obs, split)), tuple(copied(obs, split, chosen=True))
    for index, match in enumerate(split.mirrored):
        yield Special(name=f"{MIRRORED}{index}", matches=(match,), to=to, copies=copies, draws=True)


def _feedback(obs: Observed, split: Split) -> Iterable[Special]:
    """Feedback goes to the revision that answered, as long as it is stable or the canary."""
    # A canary that has all requests gets all feedback: as stable's it would pass for requests that stable still has.
    if split.canary is None or split.stable is None or not exposed(split):
        return
    for role, digest in (("canary", split.canary), ("stable", split.stable)):
        if not _serves(obs, digest):
            continue
        to, headers = all_of(obs, digest), {REVISION_HEADER: TextMatch(exact=digest)}
        for version, path in FEEDBACK_PATHS.items():
            match = RouteMatch(headers=headers, path=PathMatch(prefix=path))
            yield Special(name=f"feedback-{version}-{role}", matches=(match,), to=to, grpc=False)
        match = RouteMatch(headers=headers)
        yield Special(name=f"feedback-{role}", matches=(match,), to=to, rest=False, grpc_method=FEEDBACK_METHOD)


def _serves(obs: Observed, digest: str) -> bool:
    """Say whether a revision has pods for what is sent to it alone; else its requests go the usual way."""
    child = obs.children.get(digest)
    return child is not None and child.serving


def _shared(obs: Observed, split: Split) -> Sticky | None:
    """Return how users stay, while there are two revisions to stay with."""
    both = split.stable is not None and split.canary is not None and 0 < split.weight < 100
    return obs.routing.sticky if both and split.sticky else None


def tokens(obs: Observed, split: Split) -> Tokens:
    """Return what clients are told to send back.

    The canary's is its hash: who has it stays for as long as the canary has any weight. Stable's names the weight at
    which it was drawn: it holds until the weight changes, else the canary would never get its share of users.
    """
    sticky = _shared(obs, split)
    if sticky is None or split.stable is None or split.canary is None:
        return Tokens()
    own = obs.routing.virtual_service is not None
    path = "/" if own else prediction_prefix(obs.namespace, obs.name)
    return Tokens(
        sticky=sticky, path=path, texts={split.canary: split.canary, split.stable: _drawn(split.canary, split.weight)}
    )


def _drawn(canary: str, weight: float) -> str:
    return f"{canary}-{weight:g}"


def _staying(obs: Observed, split: Split) -> Iterable[Special]:
    """Routes of users who were drawn before: at another weight, stable's are drawn again for what was added since."""
    sticky = _shared(obs, split)
    if sticky is None or split.stable is None or split.canary is None:
        return
    grpc = sticky.cookie is None
    if not (_serves(obs, split.canary) and _serves(obs, split.stable)):
        return
    known = (_matching(sticky, split.canary),)
    yield Special(name="stay-canary", matches=known, to=all_of(obs, split.canary), grpc=grpc, draws=True)
    before = sorted({weight for weight in split.earlier if 0 < weight < 100})
    still = [split.weight, *(weight for weight in before if weight > split.weight)]
    matches = tuple(_matching(sticky, _drawn(split.canary, weight)) for weight in still)
    yield Special(name="stay-stable", matches=matches, to=all_of(obs, split.stable), grpc=grpc, draws=True)
    for weight in before:
        if weight < split.weight:
            # Of those who were not drawn at the weight before, so many that together the canary has its weight.
            more = rounded(100 * (split.weight - weight) / (100 - weight))
            to = tuple(weighted(obs, [(split.stable, rest(more)), (split.canary, more)]))
            match = _matching(sticky, _drawn(split.canary, weight))
            yield Special(name=f"again-{weight:g}", matches=(match,), to=to, grpc=grpc, draws=True)


def _matching(sticky: Sticky, text: str) -> RouteMatch:
    exact = TextMatch(exact=text)
    if sticky.cookie is not None:
        return RouteMatch(cookies={sticky.cookie.name: exact})
    return RouteMatch(headers={sticky.header or "": exact})
