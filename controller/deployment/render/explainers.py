"""Explainers: what answers why a predictor said what it said, beside it and with a route of its own.

Reference, sections 1.4, 2.7 and 2.10. The v2 protocol gets MLServer with its alibi runtime, the others the alibi server
of Seldon Core v1.
"""

import json
from typing import Any

from controller.api.deployment import Explainer, PredictorSpec
from controller.api.names import MAX_NAME, prediction_prefix, service_host, shorten
from controller.deployment.configuration import Configuration
from controller.deployment.defaults import port_of
from controller.deployment.names import service_of
from controller.deployment.render import labels, probes
from controller.deployment.render.destinations import NETWORKING, rule
from controller.deployment.render.environment import variables, with_defaults
from controller.deployment.render.initializers import MODELS, add_model
from controller.deployment.render.routes import MESH, gateways, hosts
from controller.deployment.render.services import headless, serving_ports, with_ports
from controller.deployment.render.workloads import Parts, deployment, finished
from controller.deployment.subject import Subject, protocol_of

PORT = 9000
IDLE_TIMEOUT = "1s"
"""Below what the explainers' servers allow: gunicorn closes an idle connection after 2 seconds, uvicorn after 5."""
LINGER_SECONDS = 10
ALIBI_RUNTIME = "mlserver_alibi_explain.AlibiExplainRuntime"
ALIBI_TYPES = {
    "AnchorTabular": "anchor_tabular",
    "AnchorImages": "anchor_image",
    "AnchorText": "anchor_text",
    "Counterfactuals": "counterfactuals",
    "Contrastive": "contrastive",
    "KernelShap": "kernel_shap",
    "IntegratedGradients": "integrated_gradients",
    "ALE": "ALE",
    "TreeShap": "tree_shap",
}
"""What MLServer's runtime calls each type of explainer."""
_EXPLAINER = {"seldon.io/explainer": "true"}


def explainer_of(predictor: PredictorSpec) -> Explainer | None:
    """Return a predictor's explainer; one without a type is none."""
    return predictor.explainer if predictor.explainer and predictor.explainer.type else None


def explainer_name(sdep: str, predictor: str) -> str:
    """Return the name of an explainer's Deployment, Service and DestinationRule."""
    return shorten(f"{sdep}-{predictor}-explainer")


def container_name(subject: Subject, predictor: PredictorSpec, explainer: Explainer) -> str:
    """Return the name of an explainer's container, which is also its model's name in the v2 protocol."""
    return (explainer.container_spec or {}).get("name") or explainer_name(subject.name, predictor.name)


def explainer_port(explainer: Explainer) -> int:
    """Return the port: that of the container's port `http`, else that of the endpoint, else 9000."""
    given = explainer.endpoint.service_port if explainer.endpoint else 0
    return port_of(explainer.container_spec or {}, "http") or given or PORT


def render_explainer_deployment(
    subject: Subject, predictor: PredictorSpec, explainer: Explainer, configuration: Configuration
) -> dict[str, Any]:
    """Return the Deployment of an explainer."""
    name = explainer_name(subject.name, predictor.name)
    container = _container(subject, predictor, explainer, configuration)
    pod: dict[str, Any] = {"containers": [container]}
    if explainer.model_uri:
        pod = add_model(pod, container["name"], explainer, configuration)
    if explainer.service_account_name:
        pod["serviceAccountName"] = explainer.service_account_name
    parts = Parts(
        name=name,
        selector={labels.ID: subject.name, labels.APP: name},
        pod=finished(pod, configuration),
        kinds=_EXPLAINER,
        holds_engine=False,
        replicas=_replicas(subject, predictor, explainer),
    )
    return deployment(subject, predictor, parts)


def _replicas(subject: Subject, predictor: PredictorSpec, explainer: Explainer) -> int | None:
    """None while the predictor has none; else its own number."""
    asked = predictor.replicas if predictor.replicas is not None else subject.spec.replicas
    return 0 if asked == 0 else explainer.replicas


def _container(
    subject: Subject, predictor: PredictorSpec, explainer: Explainer, configuration: Configuration
) -> dict[str, Any]:
    """Return the container. What the user set wins."""
    port, v2 = explainer_port(explainer), protocol_of(subject.spec) == "v2"
    done: dict[str, Any] = {
        "image": configuration.explainer_image_v2 if v2 else configuration.explainer_image,
        "imagePullPolicy": "IfNotPresent",
        "lifecycle": probes.linger(LINGER_SECONDS),
        **(probes.served_probes("/v2/health/ready", "/v2/health/live", port) if v2 else probes.node_probes(port)),
        **{name: value for name, value in (explainer.container_spec or {}).items() if value},
        "name": container_name(subject, predictor, explainer),
    }
    if not port_of(done, "http"):
        done["ports"] = [
            *(done.get("ports") or ()),
            {"name": "http", "containerPort": port, "protocol": "TCP"},
        ]
    if v2:
        done["env"] = with_defaults(done.get("env") or (), _environment(subject, predictor, explainer, configuration))
    else:
        done.setdefault("args", _arguments(subject, predictor, explainer, configuration))
    return done


def _wants_grpc(subject: Subject, explainer: Explainer) -> bool:
    return subject.spec.transport == "grpc" or (explainer.endpoint is not None and explainer.endpoint.type == "GRPC")


def _predictor_host(subject: Subject, predictor: PredictorSpec, configuration: Configuration, *, grpc: bool) -> str:
    http_port, grpc_port = serving_ports(predictor, configuration)
    return f"{service_of(subject.name, predictor)}.{subject.namespace}:{grpc_port if grpc else http_port}"


def _arguments(
    subject: Subject, predictor: PredictorSpec, explainer: Explainer, configuration: Configuration
) -> list[str]:
    """The command line of the alibi server of Seldon Core v1; a remote file of the configuration is a local one."""
    grpc = _wants_grpc(subject, explainer)
    kind = explainer.type
    own = [
        f"--{key}={value.replace(explainer.model_uri, MODELS, 1) if explainer.model_uri else value}"
        for key, value in sorted(explainer.config.items())
    ]
    return [
        f"--model_name={predictor.graph.name}",
        f"--predictor_host={_predictor_host(subject, predictor, configuration, grpc=grpc)}",
        f"--protocol={protocol_of(subject.spec)}.{'grpc' if grpc else 'http'}",
        f"--http_port={explainer_port(explainer)}",
        *([f"--storage_uri={MODELS}"] if explainer.model_uri else []),
        kind,
        *(["--tf_data_type=float32"] if kind == "AnchorImages" and "tf_data_type" not in explainer.config else []),
        *own,
    ]


def _environment(
    subject: Subject, predictor: PredictorSpec, explainer: Explainer, configuration: Configuration
) -> list[dict[str, Any]]:
    """The settings of MLServer's alibi runtime."""
    scheme = "https" if predictor.ssl and predictor.ssl.cert_secret_name else "http"
    host = _predictor_host(subject, predictor, configuration, grpc=False)
    extra: dict[str, Any] = {
        "explainer_type": ALIBI_TYPES.get(explainer.type, explainer.type),
        "infer_uri": f"{scheme}://{host}/v2/models/{predictor.graph.name}/infer",
    }
    if explainer.init_parameters:
        extra["init_parameters"] = json.loads(explainer.init_parameters)
    values = {
        "MLSERVER_HTTP_PORT": str(explainer_port(explainer)),
        "MLSERVER_MODEL_IMPLEMENTATION": ALIBI_RUNTIME,
        "MLSERVER_MODEL_NAME": container_name(subject, predictor, explainer),
        "MLSERVER_MODEL_URI": MODELS,
        "MLSERVER_MODEL_EXTRA": json.dumps(extra, separators=(",", ":"), sort_keys=True),
    }
    return variables(values)


def render_explainer_service(subject: Subject, predictor: PredictorSpec, explainer: Explainer) -> dict[str, Any]:
    """Return the Service of an explainer; its label names the predictor that it explains."""
    name, port = explainer_name(subject.name, predictor.name), explainer_port(explainer)
    own = {labels.APP: service_of(subject.name, predictor), **_EXPLAINER}
    ports = [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}]
    return headless(subject, with_ports(subject, name, own, {labels.APP: name}, ports))


def render_explainer_destination(
    subject: Subject, predictor: PredictorSpec, configuration: Configuration
) -> dict[str, Any]:
    """Return the DestinationRule of an explainer."""
    name = explainer_name(subject.name, predictor.name)
    return rule(subject, predictor, name, configuration, idle_timeout=IDLE_TIMEOUT)


def render_explainer_route(
    subject: Subject, predictor: PredictorSpec, explainer: Explainer, configuration: Configuration
) -> dict[str, Any] | None:
    """Return the VirtualService of an explainer; None for the stable revision of a rollout, whose own route serves it.

    At the gateway `mesh` Istio takes a host from one VirtualService only: there the host is the explainer's Service.
    """
    if subject.routed_by_rollout:
        return None
    name = explainer_name(subject.name, predictor.name)
    host = service_host(name, subject.namespace)
    joined = gateways(subject, configuration)
    destination = {"host": host, "subset": predictor.name, "port": {"number": explainer_port(explainer)}}
    prefix = f"{prediction_prefix(subject.namespace, f'{subject.name}-explainer')}{predictor.name}/"
    return {
        "apiVersion": NETWORKING,
        "kind": "VirtualService",
        "metadata": labels.metadata(subject, f"{name}-http"[:MAX_NAME].rstrip("-"), {}),
        "spec": {
            "hosts": [host] if MESH in joined else hosts(subject),
            "gateways": joined,
            "http": [
                {
                    "match": [{"uri": {"prefix": prefix}}],
                    "rewrite": {"uri": "/"},
                    "route": [{"destination": destination, "weight": 100}],
                }
            ],
        },
    }
