"""Take the README's pictures: the demo's first three scenes on the local cluster, in headless Chromium.

Run by `make screenshots`, some two minutes; writes docs/images/rollout.png and docs/images/list.png. The failing model
comes second, so that the pictures show a rollback and a rollout under way; a scene's number is that of the revision
that it makes, so they are numbered anew.
"""

import asyncio
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Page, async_playwright
from rich.console import Console

from controller import clock
from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import connector
from localcluster.faults import Faults
from seldon_rollouts import local
from seldon_rollouts.demo import models, scenes
from seldon_rollouts.demo.narrate import Narrator
from seldon_rollouts.demo.story import Story
from seldon_rollouts.demo.traffic import Users

IMAGES = Path(__file__).parent / "images"
SEEN = """() => {
    const named = [...document.querySelectorAll("main td")].find((cell) => cell.textContent === "errorRate");
    return named && Number(named.closest("tr").cells[7].textContent.replaceAll(/\\D/g, "")) >= 400;
}"""
"""Enough canary requests were judged for its lines to be seen in the charts."""
HEIGHT = 1375
"""As far as the charts."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


async def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("no chromium on PATH; install Debian's package chromium")
    folder = Path(tempfile.mkdtemp(prefix="seldon-rollouts-screenshots-"))
    trained = models.train(folder / "models")
    async with local.cluster(folder / "cluster", with_dashboard=True) as cluster:
        at = cluster.addresses
        dashboard = local.dashboard_url(cluster)
        users = Users(
            f"{at.gateway_url}/seldon/{scenes.NAMESPACE}/{scenes.NAME}/api/v1.0/predictions",
            trained.rows, trained.labels, rate=240,
        )  # fmt: skip
        async with Client(connector(at.kubeconfig, None, now=clock.now)) as client, async_playwright() as playwright:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenes.NAMESPACE}}
            await client.apply(resources.NAMESPACE, namespace)
            browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = await browser.new_page(viewport={"width": 1180, "height": HEIGHT})
            faults = Faults(Path(at.data_dir))
            with Narrator(Console()) as narrator:
                story = Story(client, trained, users, narrator, lambda: faults.kill("controller"))
                await story.play(scenes.SCENES[0])
                asking = asyncio.create_task(users.run())
                await page.goto(f"{dashboard}#/{scenes.NAMESPACE}/{scenes.NAME}")
                await sign_in(page, cluster.tokens["editor"])
                await story.play(replace(scenes.SCENES[2], number=2))
                second = asyncio.create_task(story.play(replace(scenes.SCENES[1], number=3)))
                await page.get_by_text("revision 3 is progressing").wait_for(timeout=60_000)
                await page.locator("[aria-current=step]", has_text="judge").wait_for(timeout=60_000)
                await page.wait_for_function(SEEN, timeout=60_000)
                await shoot(page, "rollout.png")
                await page.goto(dashboard)
                await shoot(page, "list.png", height=340)
                await second
                users.stop()
                await asking
            await browser.close()


async def sign_in(page: Page, token: str) -> None:
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Token").press("Enter")


async def shoot(page: Page, name: str, height: int = HEIGHT) -> None:
    await page.set_viewport_size({"width": 1180, "height": height})
    await page.locator("svg").first.wait_for()
    await page.evaluate("document.activeElement.blur()")
    await page.screenshot(path=IMAGES / name)


asyncio.run(main())
