"""Seldon Core v1's contract as a check of objects, which shares no code with the operator.

Numbers in failures are those of the tables: names, Deployments, node containers, orchestrator, Services, scaling, mesh.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Objects = Mapping[tuple[str, str], Object]
BUILT_IN = ("SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER", "EPSILON_GREEDY", "THOMPSON_SAMPLING")
KINDS = {"MODEL": "model", "ROUTER": "router", "COMBINER": "combiner", "TRANSFORMER": "transformer",
         "OUTPUT_TRANSFORMER": "output-transformer"}  # fmt: skip
GRPC = ".*tensorflow.*|.*seldon.protos.*|.*inference.*"
ENGINE = "seldon-container-engine"


def short(name: str) -> str:
    """A name of more than 63 characters is its hash."""
    return name if len(name) <= 63 else "seldon-" + hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def breaches(raw: Object, objects: Objects, *, routed: bool = True) -> list[str]:
    """Return what of the objects of a SeldonDeployment is not as the contract says.

    Args:
        raw: the SeldonDeployment, with its namespace.
        objects: what was made of it, by kind and name; fields that a server added do no harm.
        routed: whether the mesh's objects are there already: not while a server cannot start.
    """
    ports = _Ports()
    predictors = [_Predictor(raw, spec, ports) for spec in raw["spec"]["predictors"]]
    found: list[str] = []
    for predictor in predictors:
        for check in (_deployments, _services, _scaling, *([_rule] if routed else [])):
            found += check(predictor, objects)
        if predictor.spec.get("explainer"):
            found += _explainer(predictor, objects, routed=routed)
    return found + (list(_route(raw, predictors, objects)) if routed else [])


def _lacking(wanted: Mapping[Any, Any], found: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: value for name, value in wanted.items() if found.get(name) != value}


class _Ports:
    """Numbers of one kind are given in order to container names, over all predictors."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def of(self, container: str) -> dict[str, int]:
        number = self._given.setdefault(container, len(self._given))
        return {"http": 9000 + number, "grpc": 9500 + number, "metrics": 6000 + number}


@dataclass
class _Node:
    unit: Object
    container: Object
    component: int
    ports: dict[str, int]

    @property
    def name(self) -> str:
        return str(self.unit["name"])


class _Predictor:
    """A predictor as the tables speak of it."""

    def __init__(self, raw: Object, spec: Object, ports: _Ports) -> None:
        self.raw, self.spec = raw, spec
        self.sdep, self.namespace, self.name = raw["metadata"]["name"], raw["metadata"]["namespace"], spec["name"]
        notes = spec.get("annotations") or {}
        self.service = notes.get("seldon.io/svc-name") or short(f"{self.sdep}-{self.name}")
        self.engine = notes.get("seldon.io/no-engine") != "true"
        self.protocol = {"": "seldon", "kfserving": "v2"}.get(
            raw["spec"].get("protocol", ""), raw["spec"].get("protocol")
        )
        units = list(_walk(spec["graph"]))
        served = [each for each in units if each.get("implementation", "UNKNOWN_IMPLEMENTATION") not in BUILT_IN]
        self.components = [dict(each) for each in spec.get("componentSpecs") or [{}]]
        self.containers = [list((each.get("spec") or {}).get("containers") or ()) for each in self.components]
        known = {each["name"] for group in self.containers for each in group}
        self.containers[0] += [{"name": each["name"]} for each in served if each["name"] not in known]
        by_name = {each["name"]: each for each in served}
        self.nodes: list[_Node] = []
        for index, group in enumerate(self.containers):
            for container in group:
                numbers = ports.of(container["name"])
                given = {each.get("name"): each["containerPort"] for each in container.get("ports") or ()}
                numbers = {kind: given.get(kind, number) for kind, number in numbers.items()}
                if container["name"] in by_name:
                    self.nodes.append(_Node(by_name[container["name"]], container, index, numbers))
        wanted = (raw["spec"].get("annotations") or {}).get("seldon.io/engine-separate-pod") == "true"
        self.apart = self.engine and (wanted or not any(self.containers))
        self.version = (spec.get("labels") or {}).get("version", self.name)

    def deployment(self, index: int) -> str:
        named = (self.components[index].get("metadata") or {}).get("name")
        tail = named or "-".join(each["name"] for each in self.containers[index])
        return short(f"{self.sdep}-{self.name}-{index}-{tail}")

    def node_service(self, node: _Node) -> str:
        return short(f"{self.sdep}-{self.name}-{node.name}")

    def host(self, service: str) -> str:
        return f"{service}.{self.namespace}.svc.cluster.local"

    @property
    def serving(self) -> tuple[int, int]:
        return (8000, 5001) if self.engine else (self.nodes[0].ports["http"], self.nodes[0].ports["grpc"])

    def replicas(self, own: int | None) -> int | None:
        numbers = (own, self.spec.get("replicas"), self.raw["spec"].get("replicas"))
        return next((each for each in numbers if each is not None), None)


def _walk(unit: Object) -> Iterator[Object]:
    yield unit
    for child in unit.get("children") or ():
        yield from _walk(child)


def _deployments(predictor: _Predictor, objects: Objects) -> Iterator[str]:
    for index, component in enumerate(predictor.components):
        if not predictor.containers[index]:
            continue
        name = predictor.deployment(index)
        live = objects.get(("Deployment", name))
        if live is None:
            yield f"2.1: no Deployment {name}"
            continue
        nodes = [each for each in predictor.nodes if each.component == index]
        with_engine = predictor.engine and not predictor.apart and index == 0
        yield from _labels(predictor, live, nodes, faces=with_engine or (not predictor.engine and bool(nodes)))
        yield from _pod(live)
        scaled = component.get("hpaSpec") or component.get("kedaSpec")
        wanted = predictor.replicas(component.get("replicas"))
        if wanted is not None and not scaled and live["spec"].get("replicas") != wanted:
            yield f"1.5: {name} has {live['spec'].get('replicas')} replicas, not {wanted}"
        for node in nodes:
            yield from _node(predictor, live, node)
        if with_engine:
            yield from _engine(predictor, live)
    if predictor.apart:
        name = short(f"{predictor.sdep}-{predictor.name}-svc-orch")
        live = objects.get(("Deployment", name))
        if live is None:
            yield f"2.1: no Deployment {name}"
            return
        own = (predictor.spec.get("svcOrchSpec") or {}).get("replicas")
        if predictor.replicas(own) not in (None, live["spec"].get("replicas")):
            yield f"1.2: {name} has {live['spec'].get('replicas')} replicas"
        yield from _labels(predictor, live, [], faces=True)
        yield from _engine(predictor, live)


def _labels(predictor: _Predictor, live: Object, nodes: list[_Node], *, faces: bool) -> Iterator[str]:
    name = live["metadata"]["name"]
    selector = {"seldon-deployment-id": predictor.sdep}
    selector |= {f"seldon-app-svc-{node.name}"[:63]: predictor.node_service(node) for node in nodes}
    selector |= {"seldon-app": predictor.service} if faces else {}
    kinds = {f"seldon.io/{KINDS[node.unit.get('type', 'MODEL')]}": "true" for node in nodes}
    more = {"app": name, "fluentd": "true", "version": predictor.version, "app.kubernetes.io/managed-by": "seldon-core"}
    shadow = {"seldon.io/shadow": "true"} if predictor.spec.get("shadow") else {}
    for where, labels in (("it", live["metadata"]["labels"]), ("pods", live["spec"]["template"]["metadata"]["labels"])):
        wanted = {**selector, **kinds, **more, **shadow, **(predictor.spec.get("labels") or {})}
        lacking = _lacking(wanted, labels)
        if lacking:
            yield f"2.2: {name}: {where} lacks labels {lacking}"
    if live["spec"]["selector"]["matchLabels"] != selector:
        yield f"2.2: {name} selects {live['spec']['selector']['matchLabels']}, not {selector}"


def _pod(live: Object) -> Iterator[str]:
    name, template = live["metadata"]["name"], live["spec"]["template"]
    pod, notes = template["spec"], template["metadata"]["annotations"]
    fixed = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    if _lacking(fixed, pod) or not pod.get("terminationGracePeriodSeconds"):
        yield f"2.2: {name}: restartPolicy, dnsPolicy or terminationGracePeriodSeconds"
    if (notes.get("prometheus.io/path"), notes.get("prometheus.io/scrape")) != ("/prometheus", "true"):
        yield f"2.2: {name}: annotations of Prometheus are {notes}"
    volumes = {each["name"]: each for each in pod["volumes"]}
    items = (volumes.get("seldon-podinfo") or {}).get("downwardAPI", {}).get("items") or [{}]
    if items[0].get("path") != "annotations":
        yield f"2.2: {name}: no volume seldon-podinfo with the file annotations"
    if live["spec"]["strategy"]["type"] != "RollingUpdate":
        yield f"2.2: {name}: strategy {live['spec']['strategy']}"


def _container(live: Object, name: str, kind: str = "containers") -> Object | None:
    return next((each for each in live["spec"]["template"]["spec"].get(kind) or () if each["name"] == name), None)


def _environment(container: Object) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env") or ()}


def _node(predictor: _Predictor, live: Object, node: _Node) -> Iterator[str]:
    at = f"{live['metadata']['name']}/{node.name}"
    container = _container(live, node.name)
    if container is None:
        yield f"2.3: no container {at}"
        return
    open_ports = {each.get("name"): each["containerPort"] for each in container["ports"]}
    if _lacking(node.ports, open_ports):
        yield f"1.8: {at}: ports {open_ports}, not {node.ports}"
    wanted = {
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(node.ports["http"]), "MLSERVER_HTTP_PORT": str(node.ports["http"]),
        "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(node.ports["grpc"]), "MLSERVER_GRPC_PORT": str(node.ports["grpc"]),
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(node.ports["metrics"]),
        "PREDICTIVE_UNIT_METRICS_ENDPOINT": "/prometheus",
        "MLSERVER_METRICS_PORT": str(node.ports["metrics"]), "MLSERVER_METRICS_ENDPOINT": "/prometheus",
        "PREDICTIVE_UNIT_ID": node.name, "MLSERVER_MODEL_NAME": node.name, "PREDICTIVE_UNIT_IMAGE": container["image"],
        "PREDICTOR_ID": predictor.name, "SELDON_DEPLOYMENT_ID": predictor.sdep, "SELDON_EXECUTOR_ENABLED": "true",
    }  # fmt: skip
    transport = predictor.raw["spec"].get("transport") or "rest"
    wanted["PREDICTIVE_UNIT_SERVICE_PORT"] = str(node.ports["grpc" if transport == "grpc" else "http"])
    variables = _environment(container)
    if _lacking(wanted, variables):
        yield f"2.3: {at}: environment lacks {_lacking(wanted, variables)}"
    if json.loads(variables.get("PREDICTOR_LABELS", "{}")).get("version") != predictor.version:
        yield f"2.3: {at}: PREDICTOR_LABELS"
    told = {each["name"] for each in json.loads(variables.get("PREDICTIVE_UNIT_PARAMETERS", "[]"))}
    if {each["name"] for each in node.unit.get("parameters") or ()} - told:
        yield f"2.3: {at}: PREDICTIVE_UNIT_PARAMETERS has {told}"
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    if mounts.get("seldon-podinfo") != "/etc/podinfo":
        yield f"1.8: {at}: no mount of seldon-podinfo"
    if "preStop" not in container["lifecycle"] or not {"livenessProbe", "readinessProbe"} <= container.keys():
        yield f"2.3: {at}: preStop or probes"
    yield from _model(live, node, variables)


def _model(live: Object, node: _Node, variables: Mapping[str, str]) -> Iterator[str]:
    uri, at = node.unit.get("modelUri"), f"{live['metadata']['name']}/{node.name}"
    if not uri:
        return
    holder = (
        "tfserving"
        if node.unit.get("implementation") == "TENSORFLOW_SERVER" and _container(live, "tfserving")
        else node.name
    )
    init = _container(live, f"{holder}-model-initializer"[:63], "initContainers")
    if init is None or init["args"] != [uri, "/mnt/models"]:
        yield f"2.10: {at}: the initializer is {init and init['args']}"
    if variables.get("MLSERVER_MODEL_URI") != "/mnt/models":
        yield f"2.3: {at}: MLSERVER_MODEL_URI"


def _engine(predictor: _Predictor, live: Object) -> Iterator[str]:
    at, container = live["metadata"]["name"], _container(live, ENGINE)
    if container is None:
        yield f"2.4: {at} has no orchestrator"
        return
    if live["metadata"]["labels"].get("seldon-deployment-contains-svcorch") != "true":
        yield f"2.2: {at}: label of the orchestrator"
    args = container["args"]
    flags = dict(zip(args[::2], args[1::2], strict=False))
    wanted = {
        "--sdep": predictor.sdep, "--namespace": predictor.namespace, "--predictor": predictor.name,
        "--http_port": "8000", "--grpc_port": "5001", "--prometheus_path": "/prometheus",
        "--server_type": predictor.raw["spec"].get("serverType") or "rpc",
        "--protocol": predictor.raw["spec"].get("protocol") or "seldon",
        "--transport": predictor.raw["spec"].get("transport") or "rest",
        "--log_work_buffer_size": "10000", "--log_write_timeout_ms": "2000",
    }  # fmt: skip
    if _lacking(wanted, flags) or not any(each.startswith("--full_health_checks=") for each in args):
        yield f"2.4: {at}: arguments {args}"
    numbers = {each["containerPort"]: each["name"] for each in container["ports"]}
    if numbers != {8000: "metrics", 5001: "grpc"}:
        yield f"2.4: {at}: ports {numbers}"
    if not {"ENGINE_PREDICTOR", "REQUEST_LOGGER_DEFAULT_ENDPOINT"} <= _environment(container).keys():
        yield f"2.4: {at}: environment"
    scheme = "HTTPS" if predictor.spec.get("ssl") else "HTTP"
    probes = {kind: container[kind]["httpGet"] for kind in ("readinessProbe", "livenessProbe")}
    seen = {kind: (each["path"], each["port"], each["scheme"]) for kind, each in probes.items()}
    if seen != {"readinessProbe": ("/ready", 8000, scheme), "livenessProbe": ("/live", 8000, scheme)}:
        yield f"2.4: {at}: probes {seen}"


def _services(predictor: _Predictor, objects: Objects) -> Iterator[str]:
    expected = {predictor.service: ({"seldon-app": predictor.service}, predictor.serving)}
    for node in predictor.nodes:
        name = predictor.node_service(node)
        expected[name] = ({f"seldon-app-svc-{node.name}"[:63]: name}, (node.ports["http"], node.ports["grpc"]))
    for name, (selector, (http, grpc)) in expected.items():
        live = objects.get(("Service", name))
        if live is None:
            yield f"2.5: no Service {name}"
            continue
        ports = {each["name"]: each["port"] for each in live["spec"]["ports"]}
        if (live["spec"]["selector"], ports) != (selector, {"http": http, "grpc": grpc}):
            yield f"2.5: Service {name}: {live['spec']['selector']} {ports}"
        wanted = {"seldon-deployment-id": predictor.sdep, "seldon-app": predictor.service, **selector}
        if _lacking(wanted, live["metadata"]["labels"]):
            yield f"2.5: Service {name}: labels {live['metadata']['labels']}"


def _scaling(predictor: _Predictor, objects: Objects) -> Iterator[str]:
    for index, component in enumerate(predictor.components):
        name = predictor.deployment(index)
        keda, hpa = component.get("kedaSpec"), component.get("hpaSpec")
        kind = "ScaledObject" if keda else "HorizontalPodAutoscaler" if hpa else ""
        live = objects.get((kind, name))
        if kind and live is None:
            yield f"2.6: no {kind} {name}"
        elif live is not None and live["spec"]["scaleTargetRef"].get("name") != name:
            yield f"2.6: {kind} {name} scales {live['spec']['scaleTargetRef']}"
        if component.get("pdbSpec") and ("PodDisruptionBudget", name) not in objects:
            yield f"2.6: no PodDisruptionBudget {name}"


def _explainer(predictor: _Predictor, objects: Objects, *, routed: bool) -> Iterator[str]:
    name = short(f"{predictor.sdep}-{predictor.name}-explainer")
    kinds = {("Deployment", name), ("Service", name)}
    kinds |= {("DestinationRule", name), ("VirtualService", f"{name}-http"[:63])} if routed else set()
    lacking = kinds - objects.keys()
    if lacking:
        yield f"2.1: no {sorted(lacking)}"
        return
    deployment, service = objects["Deployment", name], objects["Service", name]
    labels = {"seldon-deployment-id": predictor.sdep, "seldon-app": name, "seldon.io/explainer": "true"}
    if _lacking(labels, deployment["spec"]["template"]["metadata"]["labels"]):
        yield f"2.2: {name}: labels"
    if (service["spec"]["selector"], service["metadata"]["labels"]["seldon-app"]) != (
        {"seldon-app": name},
        predictor.service,
    ):
        yield f"2.5: Service {name}: {service['spec']['selector']}"
    if not routed:
        return
    (http,) = objects["VirtualService", f"{name}-http"[:63]]["spec"]["http"]
    prefix = f"/seldon/{predictor.namespace}/{predictor.sdep}-explainer/{predictor.name}/"
    if (http["match"], http["rewrite"]) != ([{"uri": {"prefix": prefix}}], {"uri": "/"}):
        yield f"2.7: {name}: {http['match']}"
    if http["route"][0]["destination"]["host"].split(".")[0] != name:
        yield f"2.7: {name}: {http['route']}"


def _rule(predictor: _Predictor, objects: Objects) -> Iterator[str]:
    live = objects.get(("DestinationRule", predictor.service))
    if live is None:
        yield f"2.7: no DestinationRule {predictor.service}"
        return
    spec = live["spec"]
    subsets = [{"name": predictor.name, "labels": {"version": predictor.version}}]
    if (spec["host"], spec["subsets"]) != (predictor.host(predictor.service), subsets):
        yield f"2.7: DestinationRule {predictor.service}: {spec}"
    if spec["trafficPolicy"]["connectionPool"]["http"]["idleTimeout"] != "60s":
        yield f"2.7: DestinationRule {predictor.service}: idleTimeout"


def _route(raw: Object, predictors: list[_Predictor], objects: Objects) -> Iterator[str]:
    sdep, namespace = raw["metadata"]["name"], raw["metadata"]["namespace"]
    live = objects.get(("VirtualService", sdep))
    if live is None:
        yield f"2.7: no VirtualService {sdep}"
        return
    rest, grpc = live["spec"]["http"]
    if rest["match"] != [{"uri": {"prefix": f"/seldon/{namespace}/{sdep}/"}}] or rest["rewrite"] != {"uri": "/"}:
        yield f"2.7: the REST route matches {rest['match']}"
    headers = {"seldon": {"exact": sdep}, "namespace": {"exact": namespace}}
    if grpc["match"] != [{"uri": {"regex": GRPC}, "headers": headers}] or "rewrite" in grpc:
        yield f"2.7: the gRPC route matches {grpc['match']}"
    shown = [each for each in predictors if not each.spec.get("shadow")]
    for kind, http in enumerate((rest, grpc)):
        wanted = [(_destination(each, kind), 100 if len(shown) == 1 else each.spec["traffic"]) for each in shown]
        if [(each["destination"], each.get("weight")) for each in http["route"]] != wanted:
            yield f"2.7: routes {http['route']}, not {wanted}"
        for each in predictors:
            copies = [http.get("mirror"), *(one["destination"] for one in http.get("mirrors") or ())]
            if each.spec.get("shadow") and _destination(each, kind) not in copies:
                yield f"2.7: no copies for {each.name}"


def _destination(predictor: _Predictor, kind: int) -> dict[str, Any]:
    host = predictor.host(predictor.service)
    return {"host": host, "subset": predictor.name, "port": {"number": predictor.serving[kind]}}
