"""Workloads: Deployments to ReplicaSets to Pods, and EndpointSlices from ready pods.

Plans (`deployments`, `replicasets`, `endpoints`) are pure functions over plain objects; `controller` obeys them.
It does the work of kube-controller-manager as a client of the API: against our embedded server or a real one.
"""
