"""What the controller was told at its start: flags over environment over defaults, as one frozen model."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Everything that a person may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    """The namespaces to watch; all of them when empty."""
    controllers: frozenset[str] = frozenset({"operator", "rollout"})
    prometheus_url: str = ""
    prometheus_token_file: str | None = None
    tick: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=10)
    """How often the judge looks."""
    listen: str = "127.0.0.1:8080"
    leader_elect: bool = False
    lease_namespace: str = "seldon-system"
    lease_name: str = "seldon-rollouts-controller"
    workers: Annotated[int, Field(ge=1, le=256)] = 8
    operator_namespace: str = "seldon-system"
    istio_gateway: str = "istio-system/seldon-gateway"
    orchestrator_image: str = "seldonio/rollouts-orchestrator:0.1.0"
    executor_user: int = 8888
    """User id of the orchestrator's container."""
    initializer_image: str = "seldonio/rollouts-storage-initializer:0.1.0"
    log_level: str = "info"
