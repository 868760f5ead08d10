"""Finished pods: the newest are kept to be read, the rest are removed."""

from __future__ import annotations

from collections.abc import Sequence

from localcluster.objects import Object
from localcluster.workloads.actions import Delete, Plan
from localcluster.workloads.pods import is_ending, is_finished

KEPT = 50


def plan(pods: Sequence[Object]) -> Plan:
    """Delete all but the newest finished pods of one namespace."""
    done = [pod for pod in pods if is_finished(pod) and not is_ending(pod)]
    done.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]))
    return Plan(tuple(Delete(group_version="v1", plural="pods", target=pod) for pod in done[:-KEPT]))
