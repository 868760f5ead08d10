"""Leader election by a Lease: take it, renew it, stop in time, give it up at the end. `lease` decides; this obeys."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from controller import clock
from controller.kube import lease
from controller.kube.client import Client
from controller.kube.errors import ApiError, ConflictError, NotFoundError
from controller.kube.lease import Terms, View
from controller.kube.objects import Object
from controller.kube.resources import LEASE

log = logging.getLogger("seldon_rollouts.election")

RELEASE = timedelta(seconds=3)


class Election:
    """One candidate.

    Args:
        client: sends the requests.
        namespace: where the Lease lives.
        name: its name.
        identity: who we are; unique for each process.
        terms: how long the lease holds.
        now: the wall clock, for the Lease's own fields.
        steady: a clock that never goes back, in seconds.
        chance: draws a number in [0, 1), so that candidates do not come at once.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms = Terms(),  # noqa: B008 - frozen
        now: Callable[[], datetime] = clock.now,
        steady: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity
        self._client, self._namespace, self._name = client, namespace, name
        self._terms, self._now, self._steady, self._chance = terms, now, steady, chance
        self._view = View(None, steady())
        self._lease: Object | None = None
        self._until = float("-inf")
        self.looked = asyncio.Event()
        """Whether the lease has once been read, so that we know whether we lead or stand by."""

    def holds(self) -> bool:
        """Say whether we may work at this very moment."""
        return self._steady() < self._until

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease and work while we hold it, for ever.

        Returns when `work` returns by itself; the lease is given up then, and also when this is cancelled. When the
        lease is lost, `work` is cancelled and we stand by again.

        Raises:
            RuntimeError: `work` did not stop in time after the lease was lost.
            Exception: what `work` raised; the lease is given up then.
        """
        try:
            while True:
                await self._acquire()
                log.info("leading lease=%s/%s identity=%s", self._namespace, self._name, self.identity)
                if await self._lead(work):
                    return
                log.warning("no longer leading lease=%s/%s identity=%s", self._namespace, self._name, self.identity)
        finally:
            await self._release()

    async def _acquire(self) -> None:
        while not self.holds():
            wait = self._terms.retry.total_seconds()
            try:
                async with asyncio.timeout(self._terms.deadline.total_seconds()):
                    wait = await self._try()
            except ConflictError:
                log.debug("another was quicker lease=%s/%s", self._namespace, self._name)
            except (ApiError, TimeoutError) as error:
                log.warning("lease not read or taken lease=%s/%s error=%s", self._namespace, self._name, error)
            if not self.holds():
                await asyncio.sleep(wait * (1 + 0.2 * self._chance()))

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Work and renew; return True when the work is done, False when the lease was lost."""
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew(), name="lease")
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            self._until = float("-inf")
            return False
        finally:
            renewing.cancel()
            await self._stop(working)
            await asyncio.gather(renewing, return_exceptions=True)

    async def _stop(self, working: asyncio.Future[None]) -> None:
        if working.done():
            return
        working.cancel()
        grace = (self._terms.duration - self._terms.deadline) / 2
        done, _ = await asyncio.wait({working}, timeout=grace.total_seconds())
        if not done:
            raise RuntimeError(f"the work did not stop within {grace} after the lease was lost")

    async def _renew(self) -> None:
        """Renew until we no longer hold the lease; returns at the latest when its deadline passes."""
        while True:
            await asyncio.sleep(self._terms.retry.total_seconds())
            left = self._until - self._steady()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._try()
            except TimeoutError:
                return
            except ApiError as error:
                log.warning("lease not renewed lease=%s/%s error=%s", self._namespace, self._name, error)
            if self._view.record is not None and self._view.record.holder != self.identity:
                return

    async def _try(self) -> float:
        """Look at the lease and do what is to be done; return after how many seconds to look again."""
        await self._look()
        decision = lease.decide(self._view, me=self.identity, now=self._steady(), terms=self._terms)
        if isinstance(decision, lease.Wait):
            return decision.seconds
        wanted = lease.render(
            self._lease,
            namespace=self._namespace,
            name=self._name,
            me=self.identity,
            at=self._now(),
            terms=self._terms,
        )
        asked_at = self._steady()
        if isinstance(decision, lease.Create):
            answer = await self._client.create(LEASE, wanted)
        else:
            answer = await self._client.replace(LEASE, wanted)
        self._until = lease.holds_until(asked_at, self._terms)
        self._see(answer)
        return self._terms.retry.total_seconds()

    async def _look(self) -> None:
        try:
            self._see(await self._client.get(LEASE, self._namespace, self._name))
        except NotFoundError:
            self._see(None)

    def _see(self, found: Object | None) -> None:
        record = lease.parse(found, self._terms) if found is not None else None
        self._lease = found
        self._view = self._view.after(record, self._steady())
        self.looked.set()

    async def _release(self) -> None:
        """Give the lease up, so that another need not wait."""
        self._until = float("-inf")
        try:
            async with asyncio.timeout(RELEASE.total_seconds()):
                if await self._give_up():
                    log.info("lease released lease=%s/%s", self._namespace, self._name)
        except (ApiError, TimeoutError) as error:
            log.warning("lease not released lease=%s/%s error=%s", self._namespace, self._name, error)

    async def _give_up(self) -> bool:
        """Write a Lease without a holder; return False when it is not ours."""
        for _ in range(2):
            held = self._lease
            if held is None or lease.parse(held, self._terms).holder != self.identity:
                return False
            empty = lease.render(
                held, namespace=self._namespace, name=self._name, me="", at=self._now(), terms=self._terms
            )
            try:
                await self._client.replace(LEASE, empty)
            except ConflictError:
                await self._look()  # a renewal that was cut off came through after all
            else:
                return True
        return False
