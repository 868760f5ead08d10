"""What `kubectl get` prints of the built-in kinds."""

from localcluster.apiserver.kinds import Column

BUILTIN_COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {}
