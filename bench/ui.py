"""How long a person waits with 10,000 rollouts in the cluster: `list`, `get`, and the dashboard's first paint.

Our API server (or a real one, by KUBEBUILDER_ASSETS) as a process of its own; rollouts in 20 namespaces, in the one
that is looked at each with its SeldonDeployment; the command line as a person starts it; the dashboard as a process,
in headless Chromium. Prints a table and writes JSON; ends with 1 when a goal is missed.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import async_playwright

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.ports import free_ports
from localcluster.testserver import is_real, running_server

ROOT = Path(__file__).parents[1]
NAMESPACES, AT_ONCE, TIMES = 20, 16, 3
HOME, NAME = "ml-00", "model-00000"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PHASES = ("Healthy",) * 15 + ("Progressing", "Progressing", "Paused", "Degraded", "Promoting")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


@dataclass(frozen=True)
class Result:
    """One thing that was measured."""

    what: str
    median: float
    """Seconds."""
    worst: float
    cpu: float | None = None
    """Seconds of CPU of the command, the median."""
    goal: float | None = None
    """Seconds; the median is held to it."""


def told(result: Result) -> Result:
    """Say what was measured as soon as it is."""
    print(f"{result.what}: {result.median:.2f} s", file=sys.stderr, flush=True)
    return result


def status(number: int) -> dict[str, Any]:
    """Return a status as long as a real one."""
    phase = PHASES[number % len(PHASES)]
    moving = phase in ("Progressing", "Paused", "Promoting")
    metric = {
        "name": "errorRate",
        "verdict": "Inconclusive",
        "message": "failed requests: 0.3 % against 0.2 %; needs 812 more",
    }
    entry = {"at": "2026-05-04T10:00:00Z", "type": "StepCompleted", "message": "step 1 (setWeight) done", "revision": 1}
    stable = {"hash": f"s{number}", "number": 1, "name": f"model-{number:05}-s{number}", "role": "stable"}
    canary = {"hash": f"c{number}", "number": 2, "name": f"model-{number:05}-c{number}", "role": "canary"}
    return {
        "phase": phase,
        "observedGeneration": 1,
        "message": f"revision 2 is progressing: step 2 of 6; waits for a verdict on {number} requests",
        "stableRevision": stable | {"replicas": 2, "readyReplicas": 2, "weight": 95 if moving else 100},
        **({"canaryRevision": canary | {"replicas": 2, "readyReplicas": 2, "weight": 5}} if moving else {}),
        "currentStepIndex": 1,
        "stepCount": 6,
        "weights": {"stable": 95, "canary": 5} if moving else {"stable": 100},
        "analysis": {"verdict": "Inconclusive", "metrics": [metric, metric | {"name": "latency"}]} if moving else {},
        "history": [entry] * 10,
    }


async def fill(client: Client, rollouts: int) -> None:
    """Create the namespaces and the rollouts, and write their statuses as the controller would."""
    template = {"spec": {"predictors": [{"name": "default", "graph": {"name": "c", "modelUri": "gs://m/v1"}}]}}
    for number in range(NAMESPACES):
        meta = {"name": f"ml-{number:02}"}
        await client.create(
            resources.Resource("", "v1", "namespaces", "Namespace", namespaced=False),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": meta},
        )
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        name, namespace = f"model-{number:05}", f"ml-{number % NAMESPACES:02}"
        async with room:
            made = await client.create(
                resources.SELDON_ROLLOUT,
                {
                    "apiVersion": "rollouts.seldon.io/v1alpha1",
                    "kind": "SeldonRollout",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": {"template": template},
                },
            )
            await client.patch_status(
                resources.SELDON_ROLLOUT,
                namespace,
                name,
                status(number),
                resource_version=made["metadata"]["resourceVersion"],
            )
            if namespace == HOME:
                labels = {"rollouts.seldon.io/rollout": name, "rollouts.seldon.io/revision-hash": f"s{number}"}
                await client.create(
                    resources.SELDON_DEPLOYMENT,
                    {
                        "apiVersion": "machinelearning.seldon.io/v1",
                        "kind": "SeldonDeployment",
                        "metadata": {"name": f"{name}-s{number}", "namespace": namespace, "labels": labels},
                        **template,
                    },
                )

    await asyncio.gather(*(one(number) for number in range(rollouts)))


async def command(what: str, *words: str, goal: float | None = None) -> Result:
    """Run a command of ours some times."""
    took, cpu = [], []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(TIMES):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "seldon_rollouts", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        took.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return told(Result(what, sorted(took)[TIMES // 2], max(took), sorted(cpu)[TIMES // 2], goal))


async def repeated(what: str, act: Callable[[], Awaitable[float]], goal: float | None = None) -> Result:
    """Do something some times; it says how many seconds it took."""
    took = sorted([await act() for _ in range(TIMES)])
    return told(Result(what, took[TIMES // 2], took[-1], goal=goal))


@asynccontextmanager
async def dashboard(kubeconfig: str, rollouts: int) -> AsyncIterator[tuple[str, float]]:
    """Start a dashboard; give its address, and how long it took until it knew everything."""
    port = free_ports(("dashboard",))["dashboard"]
    words = ["-m", "seldon_rollouts", "dashboard", "--kubeconfig", kubeconfig, "--port", str(port)]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=60) as http, asyncio.timeout(120):
            while True:
                try:
                    if (await http.get("/api/v1/rollouts?limit=1")).json()["total"] >= rollouts:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        yield url, time.perf_counter() - began
    finally:
        process.terminate()
        await process.wait()


async def page(url: str, chromium: str) -> list[Result]:
    """Look at the dashboard as a browser does."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:

        async def asked(path: str) -> float:
            began = time.perf_counter()
            (await http.get(path)).raise_for_status()
            return time.perf_counter() - began

        found = [
            await repeated("API: first page of the list", lambda: asked("/api/v1/rollouts"), goal=0.5),
            await repeated("API: search among all", lambda: asked("/api/v1/rollouts?search=model-0999"), goal=0.5),
        ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)

        async def seen(path: str, selector: str) -> tuple[float, float]:
            context = await browser.new_context()
            shown = await context.new_page()
            began = time.perf_counter()
            await shown.goto(f"{url}/{path}")
            await shown.wait_for_selector(selector)
            took = time.perf_counter() - began
            painted = float(await shown.evaluate(PAINTED)) / 1000
            await context.close()
            return painted, took

        lists = [await seen("", "#rows tr") for _ in range(TIMES)]
        one = [await seen(f"#/{HOME}/{NAME}", "#one h1") for _ in range(TIMES)]
        await browser.close()
    for what, times, goal in (
        ("page: first paint", [painted for painted, _ in lists], 1.0),
        ("page: 100 rows of the list are there", [took for _, took in lists], 2.0),
        ("page: one rollout is there", [took for _, took in one], 2.0),
    ):
        found.append(told(Result(what, sorted(times)[TIMES // 2], max(times), goal=goal)))
    return found


async def measure(rollouts: int) -> list[Result]:
    """Fill a server and measure everything on it."""
    chromium = shutil.which("chromium")
    async with running_server(crds=[ROOT / "crds"]) as server:
        at = str(server.kubeconfig_path)
        began = time.perf_counter()
        async with Client(connector(at, None, now=clock.now)) as client:
            await fill(client, rollouts)
        print(f"{rollouts:,} rollouts made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        where = ("--kubeconfig", at)
        found = [
            await command("the program itself (--version)", "--version"),
            await command("list -n (a twentieth of them)", "list", "-n", HOME, *where, goal=1.0),
            await command("list -A (all)", "list", "-A", *where, goal=1.0),
            await command("list -A -o name", "list", "-A", "-o", "name", *where),
            await command("get NAME", "get", NAME, "-n", HOME, *where, goal=1.0),
        ]
        async with dashboard(at, rollouts) as (url, ready):
            found.append(told(Result("the dashboard knows all of them, from its start", ready, ready)))
            if chromium is None:
                print("no chromium on PATH: the page is not measured", file=sys.stderr)
            else:
                found += await page(url, chromium)
        return found


def main() -> int:
    """Measure, print a table, write JSON; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "ui.json")
    given = parser.parse_args()
    found = asyncio.run(measure(given.rollouts))
    print(
        f"{'with ' + format(given.rollouts, ',') + ' rollouts':<50} {'median':>8} {'worst':>8} {'CPU':>8} {'goal':>8}"
    )
    for each in found:
        cpu, goal = (f"{value:.2f} s" if value is not None else "" for value in (each.cpu, each.goal))
        print(f"{each.what:<50} {each.median:>6.2f} s {each.worst:>6.2f} s {cpu:>8} {goal:>8}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "rollouts": given.rollouts,
        "server": "kube-apiserver" if is_real() else "ours",
        "results": [asdict(each) for each in found],
    }
    given.out.write_text(json.dumps(told, indent=1) + "\n")
    return 1 if any(each.goal is not None and each.median > each.goal for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
