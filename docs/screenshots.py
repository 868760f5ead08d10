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
RATE = 120
"""Requests a second: few, so that the judge takes long enough for its curves to be seen."""
CURVES = """() => {
    const heading = document.querySelector("#one h1");
    if (!heading.textContent.includes("Progressing")) throw new Error(`too late for a picture: ${heading.textContent}`);
    const lines = [...document.querySelectorAll("main svg path.canary")].map((line) => line.getAttribute("d"));
    return lines.length > 5 && lines.every((line) => line.match(/[MLH]/g).length >= 7);
}"""
"""Whether each chart's line of the canary has enough points while the rollout is still under way."""
BEGUN = """() => document.querySelector("#one h1")?.textContent.includes("Progressing")"""
MARGIN = 16
"""Pixels below what a picture ends with."""
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
            trained.rows, trained.labels, rate=RATE,
        )  # fmt: skip
        async with Client(connector(at.kubeconfig, None, now=clock.now)) as client, async_playwright() as playwright:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scenes.NAMESPACE}}
            await client.apply(resources.NAMESPACE, namespace)
            browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = await browser.new_page(viewport={"width": 1180, "height": 1400})
            faults = Faults(Path(at.data_dir))
            with Narrator(Console()) as narrator:
                story = Story(client, trained, users, narrator, lambda: faults.kill("controller"))
                await story.play(scenes.SCENES[0])
                asking = asyncio.create_task(users.run())
                await page.goto(f"{dashboard}#/{scenes.NAMESPACE}/{scenes.NAME}")
                await sign_in(page, cluster.tokens["editor"])
                await story.play(replace(scenes.SCENES[2], number=2))
                second = asyncio.create_task(
                    story.play(replace(scenes.SCENES[1], number=3, kill_controller_at_step=None))
                )
                await page.get_by_text("revision 3 is progressing").wait_for(timeout=60_000)
                await page.wait_for_function(BEGUN, timeout=60_000)
                await page.wait_for_function(CURVES, timeout=180_000)
                await shoot(page, "rollout.png", upto=".cards")
                await page.goto(dashboard)
                await shoot(page, "list.png", upto="#rows")
                await second
                users.stop()
                await asking
            await browser.close()


async def sign_in(page: Page, token: str) -> None:
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Token").press("Enter")


async def shoot(page: Page, name: str, upto: str) -> None:
    """Take a picture from the top of the page to the end of an element."""
    await page.locator(f"{upto} svg").first.wait_for()
    await page.evaluate("document.activeElement.blur()")
    box = await page.locator(upto).bounding_box()
    assert box is not None, f"{upto} is not on the page"
    clip = {"x": 0, "y": 0, "width": 1180, "height": box["y"] + box["height"] + MARGIN}
    await page.screenshot(path=IMAGES / name, clip=clip, full_page=True)


asyncio.run(main())
