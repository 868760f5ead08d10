"""The control plane: makes the cluster match each SeldonDeployment and SeldonRollout.

Plan, then act: `deployment/` and `rollout/` decide in pure functions over frozen snapshots, and thin shells obey.
`kube/` is the only room that talks to the Kubernetes API; `api/` holds the kinds that we own or read.

Begin with `api/rollout.py`, `rollout/phases.py`, `rollout/observed.py`, `rollout/actions.py`, `rollout/decide.py`,
`rollout/reconciler.py`.
"""
