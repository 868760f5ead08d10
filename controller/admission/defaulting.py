"""Defaulting: what the mutating webhook writes into a SeldonDeployment. Pure.

Only what stands at the top of a spec and never changes what is rendered. What belongs inside of lists (types, ports,
images) is filled in when it is rendered, and not written back: tools of GitOps compare lists whole, and images follow
the operator's configuration.
"""

from collections.abc import Mapping
from typing import Any

from controller.api.deployment import DEFAULTS
from controller.api.meta import ROLLOUT_LABEL

Operation = dict[str, Any]


def patch(raw: Mapping[str, Any]) -> list[Operation]:
    """Return the JSON patch (RFC 6902) that completes a SeldonDeployment; empty when there is nothing to fill in.

    A revision of a rollout stays as it is: its rollout wrote it, and its hash is that of what it says.
    """
    spec, labels = raw.get("spec"), (raw.get("metadata") or {}).get("labels") or {}
    if not isinstance(spec, Mapping) or ROLLOUT_LABEL in labels:
        return []
    return [
        {"op": "add", "path": f"/spec/{name}", "value": value} for name, value in DEFAULTS.items() if not spec.get(name)
    ]
