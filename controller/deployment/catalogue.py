"""The operator's configuration: from the settings, and from the config map `seldon-config` if there is one."""

import logging
from datetime import datetime, timedelta

from controller.deployment.configuration import CONFIG_MAP, ConfigMapError, Configuration, with_config_map
from controller.deployment.images import OTHERS, SERVERS, with_images
from controller.kube.client import Client
from controller.kube.errors import ForbiddenError, NotFoundError
from controller.kube.resources import CONFIG_MAP as CONFIG_MAPS
from controller.settings import Settings

log = logging.getLogger("seldon_rollouts.deployment")

FRESH_FOR = timedelta(seconds=30)


class Catalogue:
    """Reads the config map now and then; one that cannot be read leaves what was known before."""

    def __init__(self, client: Client, settings: Settings, drain: timedelta) -> None:
        self._client = client
        self._namespace = settings.operator_namespace
        self._base = Configuration(
            orchestrator_image=settings.orchestrator_image,
            orchestrator_user=settings.executor_user,
            orchestrator_service_account=settings.orchestrator_service_account,
            full_health_checks=settings.full_health_checks,
            orchestrator_pull_policy=settings.executor_pull_policy,
            orchestrator_resources={
                "requests": {"cpu": settings.executor_cpu_request, "memory": settings.executor_memory_request},
                "limits": {"cpu": settings.executor_cpu_limit, "memory": settings.executor_memory_limit},
            },
            pod_user=settings.default_user,
            engine_http_port=settings.executor_http_port,
            engine_grpc_port=settings.executor_grpc_port,
            engine_metrics_port=settings.executor_metrics_port_name,
            node_metrics_port=settings.node_metrics_port_name,
            metrics_path=settings.metrics_path,
            first_http_port=settings.first_http_port,
            first_grpc_port=settings.first_grpc_port,
            initializer_env_secret=settings.initializer_env_secret,
            request_logger_endpoint=settings.request_logger_endpoint,
            request_logger_queue=settings.request_logger_queue_size,
            request_logger_timeout_ms=settings.request_logger_write_timeout_ms,
            istio=settings.istio,
            istio_gateway=settings.istio_gateway,
            istio_tls_mode=settings.istio_tls_mode,
            deployment_name_as_prefix=settings.deployment_name_as_prefix,
            drain=drain,
        )
        self._images = {name: str(getattr(settings, name)) for name in (*SERVERS, *OTHERS)}
        self._known = with_images(self._base, self._images)
        self._read_at: datetime | None = None

    async def configuration(self, now: datetime) -> Configuration:
        """Return the configuration, at most half a minute old."""
        if self._read_at is None or now - self._read_at >= FRESH_FOR:
            self._read_at = now
            await self._read()
        return self._known

    async def _read(self) -> None:
        try:
            data = (await self._client.get(CONFIG_MAPS, self._namespace, CONFIG_MAP)).get("data")
        except (NotFoundError, ForbiddenError):
            data = None
        try:
            self._known = with_images(with_config_map(self._base, data), self._images)
        except ConfigMapError as error:
            log.error("config map is not valid, kept what was known namespace=%s error=%s", self._namespace, error)
