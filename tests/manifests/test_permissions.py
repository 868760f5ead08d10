"""The table of permissions is what the code calls: nothing is missing, and nothing is granted besides."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
import yaml

from controller.admission import store, trust
from controller.analysisruns.reconciler import AnalysisController
from controller.api.permissions import PERMISSIONS
from controller.deployment.configuration import CONFIG_MAP
from controller.deployment.reconciler import DeploymentController
from controller.kube.client import Client
from controller.kube.cluster import Cluster
from controller.kube.resources import ANALYSIS_RUN, EVENT, SELDON_DEPLOYMENT, SELDON_ROLLOUT, Resource
from controller.notifications.reconciler import CURSOR, Notifier
from controller.rollout.reconciler import RolloutController
from controller.startup import parse_settings

ROOT = Path(__file__).parents[2]
VERBS = {
    "get": ("get",),
    "fresh": ("get",),
    "list": ("list",),
    "create": ("create",),
    "replace": ("update",),
    "apply": ("create", "patch"),
    "merge_patch": ("patch",),
    "delete": ("delete",),
}
"""What a method of the client asks of the API server. `get` and `list` of a Cluster read its caches."""
BEYOND_CACHES = ("create", "apply", "merge_patch", "delete", "patch_status", "fresh")
"""What a Cluster asks the API server itself for."""

# Who calls from where; what the client's own room calls is done for whoever uses it.
PARTS = {
    "controller.deployment.catalogue": "own",
    "controller.deployment": "operator",
    "controller.rollout": "rollout",
    "controller.analysisruns": "analysis",
    "controller.notifications": "own",
    "controller.kube.election": "own",
    "controller.admission.store": "webhook-own",
    "controller.admission.trust": "webhook",
}
ENTRY_POINTS = (
    "controller.kube.client",
    "controller.kube.cluster",
    "controller.kube.requests",
    "controller.kube.recorder",
)


def _modules():
    for path in sorted((ROOT / "controller").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name not in ENTRY_POINTS and not name.startswith("controller.api"):
            yield importlib.import_module(name)


def _part(name):
    return next((part for prefix, part in PARTS.items() if name == prefix or name.startswith(f"{prefix}.")), None)


def _resources(module, function, node):
    """Return the kinds that an argument may stand for: a constant, a table of them, or a variable out of one."""
    if isinstance(node, ast.Subscript):
        return tuple(_value(module, node.value).values())
    value = _value(module, node)
    if isinstance(value, Resource):
        return (value,)
    if isinstance(node, ast.Name):
        for assigned in (each for each in ast.walk(function) if isinstance(each, ast.Assign)):
            for target, given in _pairs(assigned):
                if isinstance(target, ast.Name) and target.id == node.id:
                    return _resources(module, function, given)
    raise AssertionError(
        f"{module.__name__}:{node.lineno}: cannot tell which kind {ast.unparse(node)} is; name a constant"
    )


def _pairs(assigned):
    target, value = assigned.targets[0], assigned.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return zip(target.elts, value.elts, strict=True)
    return [(target, value)]


def _value(module, node):
    """Return what a dotted name stands for in a module, or None."""
    if isinstance(node, ast.Attribute):
        return getattr(_value(module, node.value), node.attr, None)
    return getattr(module, node.id, None) if isinstance(node, ast.Name) else None


def _calls(module):
    """Yield (method, owner's name, kinds) of each call on a cluster or a client."""
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
            if not isinstance(call.func, ast.Attribute):
                continue
            owner = ast.unparse(call.func.value).rsplit(".", 1)[-1].lstrip("_")
            method = call.func.attr
            reads = owner == "client" and method in VERBS
            if reads or (owner == "cluster" and method in BEYOND_CACHES):
                yield method, _resources(module, function, call.args[0])
            elif owner == "cluster" and method == "event":
                yield "event", (EVENT,)


def _called():
    """Return (part, group, resource, verb) of every call in the code."""
    found = set()
    for module in _modules():
        part = _part(module.__name__)
        for method, kinds in _calls(module):
            assert part, f"{module.__name__} calls the API for nobody: add it to PARTS"
            for kind in kinds:
                name = f"{kind.plural}/status" if method == "patch_status" else kind.plural
                verbs = {"patch_status": ("patch",), "event": ("create", "patch")}.get(method) or VERBS[method]
                found |= {(part, kind.group, name, verb) for verb in verbs}
    return found


def _watched():
    settings = parse_settings([], {})

    async def never():
        raise AssertionError("nothing is sent")

    controllers = (
        ("operator", DeploymentController),
        ("rollout", RolloutController),
        ("analysis", AnalysisController),
        ("rollout", Notifier),
    )
    return {
        (part, watch.resource.group, watch.resource.plural, verb)
        for part, made in controllers
        for watch in made(Cluster(Client(never)), settings).watches
        for verb in ("list", "watch")
    }


def _owning():
    """Owners that wait for what they own: who sets this needs to be allowed to update their finalizers."""
    owners = {
        "deployment": ("operator", SELDON_DEPLOYMENT),
        "rollout": ("rollout", SELDON_ROLLOUT),
        "analysisruns": ("analysis", ANALYSIS_RUN),
    }
    for room, (part, owner) in owners.items():
        files = (ROOT / "controller" / room).rglob("*.py")
        if any('"blockOwnerDeletion": True' in path.read_text() for path in files):
            yield part, owner.group, f"{owner.plural}/finalizers", "update"


def _granted():
    return {
        (each.part, each.group, resource, verb)
        for each in PERMISSIONS
        for resource in each.resources
        for verb in each.verbs
    }


def test_everything_that_the_code_calls_is_granted():
    assert (_called() | _watched() | set(_owning())) - _granted() == set()


def test_nothing_is_granted_that_the_code_does_not_call():
    assert _granted() - (_called() | _watched() | set(_owning())) == set()


def test_the_reading_of_the_code_finds_what_is_known_to_be_there():
    called = _called()
    assert ("rollout", "machinelearning.seldon.io", "seldondeployments", "delete") in called
    assert ("operator", "apps", "deployments", "patch") in called
    assert ("own", "coordination.k8s.io", "leases", "update") in called
    assert ("operator", "", "events", "create") in called
    assert ("rollout", "rollouts.seldon.io", "seldonrollouts", "get") in called


def test_no_verb_is_granted_twice_and_none_is_a_wildcard():
    flat = [
        (each.part, each.group, resource, verb, each.names)
        for each in PERMISSIONS
        for resource in each.resources
        for verb in each.verbs
    ]
    assert len(flat) == len(set(flat))
    assert not any("*" in item for row in flat for item in row[:4])


def test_the_names_that_are_granted_are_the_ones_in_use():
    settings = parse_settings([], {})
    names = {name for each in PERMISSIONS for name in each.names}
    assert names == {settings.lease_name, CONFIG_MAP, CURSOR, store.NAME, trust.NAME}


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_every_binding_joins_a_role_and_the_controllers_account(base, kind):
    account = next(each for each in base if each["kind"] == "ServiceAccount")["metadata"]
    pod = next(each for each in base if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    roles = {each["metadata"]["name"] for each in base if each["kind"] == kind}
    bindings = [each for each in base if each["kind"] == f"{kind}Binding"]
    assert bindings
    assert pod["serviceAccountName"] == account["name"]
    for binding in bindings:
        assert binding["roleRef"]["name"] in roles
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
        ]


def test_the_rendered_roles_grant_the_table_and_nothing_besides():
    files = ("base/rbac.yaml", "components/webhook/rbac.yaml")
    documents = [one for each in files for one in yaml.safe_load_all((ROOT / "manifests" / each).read_text())]
    parts = {
        "seldon-rollouts-operator": "operator",
        "seldon-rollouts-rollout": "rollout",
        "seldon-rollouts-analysis": "analysis",
        "seldon-rollouts-controller-own": "own",
        "seldon-rollouts-webhook": "webhook",
        "seldon-rollouts-controller-webhook": "webhook-own",
    }
    found = {
        (parts[each["metadata"]["name"]], group, resource, verb)
        for each in documents
        if each["kind"] in ("ClusterRole", "Role")
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert found == _granted()
