"""The Prometheus operator's kinds as our manifests meet them: the fields that we write, and what it demands of each.

Facts from its API reference (monitoring.coreos.com/v1); only what a scrape or a rule needs, so that a field which we
misspell is unknown and a value which it would refuse is refused.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WORDS: Schema = {"type": "array", "items": TEXT}
PAIRS: Schema = {"type": "object", "additionalProperties": TEXT}
UNITS = ("y", "w", "d", "h", "m", "s", "ms")
DURATION: Schema = {"type": "string", "pattern": "^(0|" + "".join(f"(([0-9]+){unit})?" for unit in UNITS) + ")$"}
ACTIONS = ("replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase")


def fields(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


REQUIREMENT = fields(("key", "operator"), key=TEXT, operator=TEXT, values=WORDS)
SELECTOR = fields(matchLabels=PAIRS, matchExpressions={"type": "array", "items": REQUIREMENT})
RELABELING = fields(
    sourceLabels=WORDS, separator=TEXT, targetLabel=TEXT, regex=TEXT, replacement=TEXT,
    modulus={"type": "integer", "format": "int64"}, action={"type": "string", "enum": list(ACTIONS)},
)  # fmt: skip
ENDPOINT = fields(
    port=TEXT, path=TEXT, scheme={"type": "string", "enum": ["http", "https"]}, interval=DURATION,
    scrapeTimeout=DURATION, honorLabels=FLAG, honorTimestamps=FLAG,
    relabelings={"type": "array", "items": RELABELING}, metricRelabelings={"type": "array", "items": RELABELING},
)  # fmt: skip
SCRAPED = {
    "selector": SELECTOR, "namespaceSelector": fields(any=FLAG, matchNames=WORDS), "jobLabel": TEXT,
    "podTargetLabels": WORDS,
}  # fmt: skip
RULE = fields(
    ("expr",), alert=TEXT, record=TEXT, labels=PAIRS, annotations=PAIRS,
    expr={"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    **{"for": DURATION, "keep_firing_for": {**DURATION, "minLength": 1}},
)  # fmt: skip
GROUP = fields(
    ("name",), name={"type": "string", "minLength": 1}, interval=DURATION, rules={"type": "array", "items": RULE}
)
GROUPS = {"type": "array", "items": GROUP, "x-kubernetes-list-map-keys": ["name"], "x-kubernetes-list-type": "map"}

SPECS: dict[str, Schema] = {
    "PodMonitor": fields(("selector",), podMetricsEndpoints={"type": "array", "items": ENDPOINT}, **SCRAPED),
    "ServiceMonitor": fields(
        ("selector", "endpoints"), endpoints={"type": "array", "items": ENDPOINT}, targetLabels=WORDS, **SCRAPED
    ),
    "PrometheusRule": fields(groups=GROUPS),
}


def definition(kind: str) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one of them."""
    plural = f"{kind.lower()}s"
    schema = fields(("spec",), apiVersion=TEXT, kind=TEXT, metadata={"type": "object"}, spec=SPECS[kind])
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
