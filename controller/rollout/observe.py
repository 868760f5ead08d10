"""Observe: every read of a pass, in one place. The cluster's objects become Observed; nothing is decided here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controller.api.mesh import answer
from controller.api.meta import ADOPTED_ANNOTATION, INTENT_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL
from controller.api.rollout import AnalysisStatus, RolloutSpec
from controller.api.routing import OwnVirtualService
from controller.errors import InvalidSpecError
from controller.kube import resources
from controller.kube.cluster import Cluster
from controller.rollout import adoption, children, gather, intents, revisions, seen
from controller.rollout.observed import Adoptee, Child, Member, Observed, Peer, Route, RoutingDefaults, TrafficWindow
from controller.rollout.parsed import Readings
from controller.rollout.revisions import Revision


def observe(
    cluster: Cluster,
    rollout: dict[str, Any],
    *,
    analysis: AnalysisStatus | None,
    traffic: TrafficWindow | None,
    defaults: RoutingDefaults,
    readings: Readings,
) -> Observed:
    """Read from the caches everything that a decision about this rollout depends on."""
    meta = rollout["metadata"]
    namespace, name, uid = meta["namespace"], meta["name"], meta["uid"]
    status = readings.status(rollout)
    known = _known(cluster, rollout, readings)
    spec, defaults = known.spec, _defaults(rollout, defaults)
    last = status.routing.virtual_service if status.routing is not None else None
    own = spec.routing.virtual_service if spec is not None else last
    plain = _plain(cluster, rollout, spec) if known.adoptee is None else None
    obs = Observed(
        namespace=namespace,
        name=name,
        uid=uid,
        generation=meta.get("generation", 0),
        resource_version=meta["resourceVersion"],
        spec=spec,
        invalid=known.invalid,
        target=known.target,
        status=status,
        intent=intents.parse_intent((meta.get("annotations") or {}).get(INTENT_ANNOTATION)),
        revisions=known.revisions,
        stored=known.stored,
        children={each.hash: each for each in (children.child(cluster, obj) for obj in known.objects)},
        route=_route(cluster, namespace, name if own is None else own.name, uid),
        mesh=cluster.available(resources.VIRTUAL_SERVICE),
        analysis=analysis,
        traffic=traffic,
        defaults=defaults,
        adoptee=known.adoptee,
        plain=plain,
        peers=_peers(cluster, namespace, dependencies(rollout), readings),
        members=_members(cluster, namespace, name, group_labels(rollout), readings),
        finalizers=tuple(meta.get("finalizers") or ()),
        deleting=datetime.fromisoformat(meta["deletionTimestamp"]) if _leaving(rollout) else None,
        runs=gather.owned_runs(cluster, uid, readings.run),
        templates=gather.templates(cluster, namespace, spec, readings.template),
        live=rollout,
        left=tuple(_left(cluster, namespace, name, uid, now=own, before=last)),
    )
    usual = obs.route if own is None else None
    return obs if plain is not None else replace(obs, in_the_way=_in_the_way(cluster, obs, usual, adopts=known.adopts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A rollout's spec, and what is known of its revisions."""

    spec: RolloutSpec | None
    invalid: str
    target: Revision | None
    revisions: Mapping[str, Revision]
    stored: frozenset[str]
    objects: list[dict[str, Any]]
    """The SeldonDeployments of the revisions."""
    adoptee: Adoptee | None
    adopts: bool
    """Nothing is stable yet, and what is there may be taken over."""


def _known(cluster: Cluster, rollout: dict[str, Any], readings: Readings) -> _Known:
    """Read the revisions; while a SeldonDeployment is taken over, the template is what that says."""
    meta, asked = rollout["metadata"], rollout.get("spec") or {}
    namespace, name, uid = meta["namespace"], meta["name"], meta["uid"]
    spec, invalid = readings.spec(rollout)
    stored = _stored(cluster, uid)
    objects = [child for child in cluster.owned(resources.SELDON_DEPLOYMENT, uid) if not _leaving(child)]
    stable = readings.status(rollout).stable_revision
    begun = stable is not None or any(children.role(child) == "stable" for child in objects)
    adopts = asked.get("adopt") is True and not begun
    adoptee = _adoptee(cluster.get(resources.SELDON_DEPLOYMENT, namespace, name), uid, adopts=adopts)
    objects += _kept(cluster, namespace, name) if adopts else []
    found = {**_from_children(objects), **stored}
    template = asked.get("template") or {}
    if adoptee is not None and not begun and spec is not None:
        template = adoption.template(adoptee.live, like=template)
        spec, invalid = (None, problem) if (problem := _unfit(template)) else (spec, invalid)
    target = _target(template, found) if spec is not None else None
    return _Known(
        spec=spec,
        invalid=invalid,
        target=target,
        revisions=found if target is None else {**found, target.hash: target},
        stored=frozenset(stored),
        objects=objects,
        adoptee=adoptee,
        adopts=adopts,
    )


def _leaving(obj: dict[str, Any]) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _stored(cluster: Cluster, uid: str) -> dict[str, Revision]:
    found = {}
    for obj in cluster.owned(resources.CONTROLLER_REVISION, uid):
        digest = (obj["metadata"].get("labels") or {}).get(REVISION_LABEL)
        template = (obj.get("data") or {}).get("template")
        if digest and isinstance(template, dict):
            found[digest] = Revision(hash=digest, number=int(obj.get("revision", 0)), template=template)
    return found


def _from_children(objects: list[dict[str, Any]]) -> dict[str, Revision]:
    """What the children say of their revisions, for those whose ControllerRevision is missing."""
    found = {}
    for obj in objects:
        labels = obj["metadata"].get("labels") or {}
        if digest := labels.get(REVISION_LABEL):
            own = {key: value for key, value in labels.items() if not key.startswith("rollouts.seldon.io/")}
            template = {"metadata": {"labels": own} if own else {}, "spec": obj.get("spec") or {}}
            found[digest] = Revision(hash=digest, number=0, template=template)
    return found


def dependencies(rollout: dict[str, Any]) -> tuple[str, ...]:
    """Return the names in a rollout's dependsOn; none of what cannot be read."""
    found = (rollout.get("spec") or {}).get("dependsOn")
    entries = found if isinstance(found, list) else []
    return tuple(str(each["name"]) for each in entries if isinstance(each, dict) and each.get("name"))


def _peers(cluster: Cluster, namespace: str, wanted: tuple[str, ...], readings: Readings) -> dict[str, Peer]:
    """Follow dependsOn from rollout to rollout."""
    found: dict[str, Peer] = {}
    left = list(wanted)
    while left:
        name = left.pop()
        live = cluster.get(resources.SELDON_ROLLOUT, namespace, name) if name not in found else None
        if live is None:
            continue
        status, names_of_it = readings.status(live), dependencies(live)
        current = status.observed_generation == live["metadata"].get("generation", 0)
        found[name] = Peer(
            phase=status.phase,
            message=status.message,
            current=current,
            depends_on=names_of_it,
            pinned=status.pinned,
        )
        left += names_of_it
    return found


def group_labels(rollout: dict[str, Any]) -> dict[str, str] | None:
    """Return what a rollout's `group.selector` asks for; None of what has no group or cannot be read."""
    found = (rollout.get("spec") or {}).get("group")
    return seen.labels(found) if isinstance(found, dict) else None


def _members(
    cluster: Cluster, namespace: str, name: str, labels: dict[str, str] | None, readings: Readings
) -> dict[str, Member]:
    """Return the other rollouts of the group, but for those that leave."""
    found = cluster.selected(resources.SELDON_ROLLOUT, namespace, labels) if labels else ()
    others = (live for live in found if live["metadata"]["name"] != name and not _leaving(live))
    return {live["metadata"]["name"]: readings.member(live) for live in others}


def _adoptee(live: dict[str, Any] | None, uid: str, *, adopts: bool) -> Adoptee | None:
    """What is taken over: it may be, or it was begun with. One that comes back later is in the way."""
    if live is None or _leaving(live) or resources.owned_by(live) is not None:
        return None
    marked = (live["metadata"].get("annotations") or {}).get(ADOPTED_ANNOTATION) == uid
    return Adoptee(live=live, marked=marked) if marked or adopts else None


def _plain(cluster: Cluster, rollout: Mapping[str, Any], spec: RolloutSpec | None) -> Child | None:
    """What takes the rollout's place, once that is deleted to be left."""
    meta = rollout["metadata"]
    if "deletionTimestamp" not in meta or spec is None or spec.deletion_policy != "Leave":
        return None
    live = cluster.get(resources.SELDON_DEPLOYMENT, meta["namespace"], meta["name"])
    if live is None or _leaving(live) or resources.owned_by(live) is not None:
        return None
    return children.child(cluster, live)


def _kept(cluster: Cluster, namespace: str, name: str) -> list[dict[str, Any]]:
    """What a deleted rollout of this name left serving."""
    found = cluster.selected(resources.SELDON_DEPLOYMENT, namespace, {ROLLOUT_LABEL: name})
    return [each for each in found if resources.owned_by(each) is None and not _leaving(each)]


def _unfit(template: Mapping[str, Any]) -> str:
    """Say why a live SeldonDeployment cannot be a revision."""
    try:
        revisions.check_template(template)
    except InvalidSpecError as error:
        return f"the SeldonDeployment to be taken over cannot be a revision: {error}"
    return ""


def _defaults(rollout: dict[str, Any], defaults: RoutingDefaults) -> RoutingDefaults:
    """Where a SeldonDeployment with the template's annotations would be attached."""
    template = (rollout.get("spec") or {}).get("template")
    template = template if isinstance(template, dict) else {}
    places = [(template.get("metadata") or {}), (template.get("spec") or {})]
    found: dict[str, str] = {}
    for place in places:
        found |= (place.get("annotations") or {}) if isinstance(place, dict) else {}
    hosts, gateways = (_listed(found.get(f"seldon.io/istio-{kind}")) for kind in ("host", "gateway"))
    return replace(defaults, hosts=hosts or defaults.hosts, gateways=gateways or defaults.gateways)


def _listed(text: Any) -> tuple[str, ...]:
    return tuple(each.strip() for each in str(text or "").split(",") if each.strip())


def _target(template: Mapping[str, Any], known: Mapping[str, Revision]) -> Revision:
    digest = revisions.template_hash(template)
    if digest in known and known[digest].number:
        return Revision(hash=digest, number=known[digest].number, template=template)
    newest = max((revision.number for revision in known.values()), default=0)
    return Revision(hash=digest, number=newest + 1, template=template)


def _route(cluster: Cluster, namespace: str, name: str, uid: str) -> Route | None:
    obj = cluster.get(resources.VIRTUAL_SERVICE, namespace, name)
    if obj is None:
        return None
    said, ours = answer(obj), resources.owned_by(obj) == uid
    if said is None:
        return Route(live=obj, ours=ours, accepted=None)
    if not said.current:
        return Route(live=obj, ours=ours, accepted=False, message="waiting for the mesh to take the route")
    return Route(live=obj, ours=ours, accepted=said.taken, message=said.words)


def _left(
    cluster: Cluster,
    namespace: str,
    name: str,
    uid: str,
    *,
    now: OwnVirtualService | None,
    before: OwnVirtualService | None,
) -> Iterator[Route]:
    """The VirtualServices that were written before: the rollout's own, or routes of a person's."""
    if now is not None and now.name != name:
        usual = _route(cluster, namespace, name, uid)
        if usual is not None and usual.ours:
            yield usual
    if before is not None and before != now:
        left = _route(cluster, namespace, before.name, uid)
        if left is not None and not left.ours:
            yield left


def _in_the_way(cluster: Cluster, obs: Observed, route: Route | None, *, adopts: bool) -> str:
    """Say what stands under a name of ours and is not taken over, and how to go on."""
    live = cluster.get(resources.SELDON_DEPLOYMENT, obs.namespace, obs.name)
    about = f"SeldonDeployment {obs.namespace}/{obs.name}"
    if live is not None and obs.adoptee is None and resources.owned_by(live) != obs.uid and not _leaving(live):
        return (
            f"{about} is not this rollout's and is not taken over: delete it, or give the rollout another name; "
            "before a first revision serves, `adopt: true` in the spec takes it over"
        )
    if route is None or route.ours or _leaving(dict(route.live)):
        return ""
    owner = resources.owned_by(dict(route.live))
    of_adoptee = obs.adoptee is not None and owner == obs.adoptee.live["metadata"]["uid"]
    labels = route.live["metadata"].get("labels") or {}
    left = owner is None and labels.get(ROLLOUT_LABEL) == obs.name
    if not of_adoptee and not (adopts and left):
        return (
            f"VirtualService {obs.namespace}/{obs.name} is not this rollout's and is not taken over: "
            "delete it, or give the rollout another name"
        )
    routing = obs.spec.routing if obs.spec is not None else None
    hosts = (routing.hosts if routing else ()) or obs.defaults.hosts
    gateways = (routing.gateways if routing else ()) or obs.defaults.gateways
    return adoption.objection(route.live, hosts, gateways, about if of_adoptee else f"VirtualService {obs.name}")


def key_of_owned(obj: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rollout that an object of ours belongs to."""
    meta = obj["metadata"]
    name = (meta.get("labels") or {}).get(ROLLOUT_LABEL)
    return [(meta["namespace"], name)] if name else []
