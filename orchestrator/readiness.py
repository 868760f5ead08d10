"""Whether every node of the graph can be reached."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.clients.context import Context
from orchestrator.clients.hosts import Hosts
from orchestrator.clients.node import NodeCall
from orchestrator.errors import OrchestratorError
from orchestrator.graph.node import Node

_SECONDS = 2.0
_IN_THE_POD = "localhost"


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks all nodes at the same time.

    `status` makes the call of a node's health page. Without it a connection is enough, as upstream has it, once a
    node in another pod has answered to `greet`: until then a proxy of the mesh may be all that takes connections.
    `besides` says what else is missing, if anything.
    """

    nodes: tuple[Node, ...]
    hosts: Hosts
    status: Callable[[Node], NodeCall] | None
    greet: Callable[[Node], Awaitable[None]]
    besides: Callable[[], str] = lambda: ""
    _answered: set[str] = field(default_factory=set)

    async def failures(self) -> list[str]:
        """What is wrong; nothing when all is well."""
        return [*await self.nodes_that_fail(), *filter(None, (self.besides(),))]

    async def nodes_that_fail(self) -> list[str]:
        """What is wrong, node by node."""
        found = await asyncio.gather(*[self.failure(node) for node in self.nodes])
        return [failure for failure in found if failure]

    async def failure(self, node: Node) -> str:
        """What is wrong with one node; nothing when all is well."""
        where = f"node {node.name!r} at {node.host}:{node.port or node.grpc_port}"
        try:
            async with asyncio.timeout(_SECONDS):
                if self.status is None or not node.port:
                    await self._connect(node)
                else:
                    await self.status(node)(None, Context(b""))
                    self._answered.add(node.name)
            if node.host != _IN_THE_POD and node.name not in self._answered:
                await self.greet(node)
                self._answered.add(node.name)
        except TimeoutError:
            return f"{where}: no answer within {_SECONDS:g} s"
        except (OSError, OrchestratorError) as error:
            return f"{where}: {str(error).removeprefix(where).lstrip()}"
        return ""

    async def _connect(self, node: Node) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, self.hosts.address(node.host), node.port or node.grpc_port
        )
        transport.close()
