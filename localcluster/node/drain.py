"""A pod that goes leaves its Services first: no new request is on its way when its processes are told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from localcluster.objects import Key, Object

LONGEST, SETTLE = 2.0, 0.3
"""Seconds: to wait for the EndpointSlices at most, and for the mesh to follow them."""


class Drain:
    """Waits until no EndpointSlice calls a pod ready any more."""

    def __init__(self, slices: Mapping[Key, Object]) -> None:
        self._slices = slices

    async def wait(self, pod: Object) -> None:
        """Wait for one pod, at most `LONGEST` seconds; a pod that is in no Service does not wait at all."""
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        if not any(True for _ in self._entries(namespace, uid)):
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LONGEST
        while loop.time() < deadline and any(self._entries(namespace, uid)):  # noqa: ASYNC110 - a cache, not an event
            await asyncio.sleep(0.02)
        await asyncio.sleep(SETTLE)

    def _entries(self, namespace: str, uid: str) -> list[bool]:
        """For each endpoint of the pod, whether it is called ready."""
        return [
            bool(endpoint["conditions"].get("ready")) and not endpoint["conditions"].get("terminating")
            for (where, _), piece in self._slices.items()
            if where == namespace
            for endpoint in piece.get("endpoints") or ()
            if (endpoint.get("targetRef") or {}).get("uid") == uid
        ]
