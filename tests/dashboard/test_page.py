"""The page in a real browser: what it shows, that it follows, who may act, and that everybody can read it."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from controller.kube import resources
from controller.kube.client import Client
from controller.kube.connection import Secret
from localcluster.apiserver.process import running_api_server
from localcluster.ports import free_ports
from seldon_rollouts.dashboard.app import Options

from .conftest import CHROMIUM, EDITOR, QUIET, ROLLOUT, ROOT, STATUS, VIEWER, Server, serve

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "production.md"
LINKS = re.findall(r"https://rollouts\.example\.com([^\s\"]+)", GUIDE.read_text("utf-8"))
"""Of a rollout's page: in Argo CD's annotation, and in Backstage's list of links."""
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install Debian's package chromium"),
]


WORDS = """[...document.querySelectorAll("main svg text")].map((each) =>
    parseFloat(getComputedStyle(each).fontSize) * each.getScreenCTM().a)"""
"""How tall the words of the charts are, in pixels."""


class Watched:
    """A page, and what went wrong in it: errors in the console, and requests to other hosts."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.problems = page, list[str]()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda told: self.problems.append(told.text) if told.type == "error" else None)
        page.on(
            "request",
            lambda sent: None if sent.url.startswith((url, "data:")) else self.problems.append(f"asked {sent.url}"),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def watched(running: Any, browser: Browser) -> AsyncIterator[Watched]:
    context = await browser.new_context()
    made = Watched(await context.new_page(), running.url)
    await made.page.goto(f"{running.url}/")
    yield made
    await context.close()
    # Answers that the page itself handles are all that the console may tell.
    handled = ("401", "403", "404", "409", "504")
    assert [problem for problem in made.problems if not any(code in problem for code in handled)] == []


async def sign_in(page: Page, token: str, name: str) -> None:
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Token").fill(token)
    await page.get_by_label("Token").press("Enter")
    await expect(page.locator("#who")).to_have_text(name)


async def test_the_page_shows_a_rollout_and_follows_it_live(running: Any, watched: Watched) -> None:
    page = watched.page
    await page.get_by_role("link", name="default/iris").click()
    await expect(page.get_by_role("heading", name="default/iris")).to_contain_text("Progressing")
    await expect(page.locator("[aria-current=step]")).to_have_text("weight 5 %")
    judged = page.get_by_role("region", name="what is judged").get_by_role("row", name="errorRate")
    await expect(judged.get_by_role("cell")).to_contain_text(
        ["errorRate", "Inconclusive", "", "", "stable", "3:1", "1:1"]
    )
    rejected = {"hash": "bbb", "number": 2, "at": "2026-01-01T00:02:00Z", "by": "judge", "message": "5 % failed"}
    await running.say(phase="Degraded", message="rolled back", rejected=[rejected])
    await expect(page.get_by_role("heading", name="default/iris")).to_contain_text("Degraded")
    await expect(page.locator(".rollback")).to_contain_text("5 % failed")


async def test_a_weight_holds_until_the_next_one_and_so_its_line_has_steps(running: Any, watched: Watched) -> None:
    page = watched.page
    await page.goto(f"{running.url}/#/default/iris")
    for minute, weight in ((2, 5), (3, 25)):
        judged = {**STATUS["analysis"], "updatedAt": f"2026-01-01T00:0{minute}:00Z"}
        canary = {**STATUS["canaryRevision"], "weight": weight}
        await running.say(canaryRevision=canary, weights={"stable": 100 - weight, "canary": weight}, analysis=judged)
        await running.until(lambda shown, weight=weight: shown["row"]["canaryWeight"] == weight)
    line = page.get_by_role("img", name=re.compile("Canary weight: configured 25 %")).locator("path.canary")
    await expect(line).to_have_attribute("d", re.compile(r"^M[\d. ]+(H[\d.]+V[\d.]+)+$"))


LAST_ROW = """(count) => {
    const cards = document.createElement("div");
    cards.className = "cards";
    for (let each = 0; each < count; each++) cards.append(document.createElement("section"));
    document.querySelector("main").append(cards);
    const tops = [...cards.children].map((each) => each.offsetTop);
    const right = cards.lastElementChild.getBoundingClientRect().right;
    const room = cards.getBoundingClientRect().right - right;
    cards.remove();
    return [tops.filter((each) => each === tops[0]).length, tops.filter((each) => each === tops.at(-1)).length, room];
}"""
"""How many of some charts stand in the first row and in the last one, and the room that is left beside those."""


async def test_no_chart_stands_alone_in_its_row(running: Any, watched: Watched) -> None:
    await watched.page.set_viewport_size({"width": 1280, "height": 900})
    for count in range(2, 12):
        first, last, room = await watched.page.evaluate(LAST_ROW, count)
        assert (first, last > 1, room < 1) == (3 if count not in (2, 4) else 2, True, True), count


async def test_whether_it_can_be_judged_is_told_at_a_glance_and_its_figures_to_who_asks(
    running: Any, watched: Watched
) -> None:
    told = "240 requests a second; found within 1m at 5 %: failed requests from 3 % (0.1 % on stable)"
    ready = {"type": "AnalysisReady", "status": "True", "reason": "Measured", "message": told}
    await running.say(conditions=[ready])
    await watched.page.goto(f"{running.url}/#/default/iris")
    glance = watched.page.get_by_text("It can be judged: 240 requests a second", exact=True)
    figures = watched.page.get_by_text("found within 1m at 5 %: failed requests from 3 % (0.1 % on stable)")
    await expect(glance).to_be_visible()
    await expect(figures).to_be_hidden()
    await glance.click()
    await expect(figures).to_be_visible()


async def test_a_revision_shows_its_graph_and_its_difference(running: Any, watched: Watched) -> None:
    await watched.page.goto(f"{running.url}/#/default/iris")
    await watched.page.get_by_text("revision 2 canary").click()
    await expect(watched.page.get_by_role("img", name="graph: c SKLEARN_SERVER")).to_be_visible()
    await expect(watched.page.get_by_label("difference from stable")).to_contain_text("+      modelUri: gs://m/v2")


async def test_an_analysis_run_shows_its_phase_its_message_and_what_each_metric_measured(
    running: Any, watched: Watched
) -> None:
    await watched.page.goto(f"{running.url}/#/default/iris")
    run = watched.page.locator(".runs details")
    await expect(run.locator("summary")).to_contain_text("Failed revision 2, step 2 metric accuracy failed")
    await run.locator("summary").click()
    cells = run.get_by_role("row", name="accuracy").get_by_role("cell")
    told = ["accuracy", "Failed", "0.61", "1", "1", "0", "0", "result >= 0.9 is false"]
    await expect(cells).to_have_text(told)


async def test_a_past_rollout_is_shown_as_it_was(running: Any, watched: Watched) -> None:
    await watched.page.goto(f"{running.url}/#/default/iris")
    await watched.page.get_by_role("link", name="revision 1").click()
    await expect(watched.page.get_by_role("heading", level=1)).to_contain_text("revision 1 as it was")
    await expect(watched.page.get_by_text("Promoted: revision 1 serves")).to_be_visible()


@pytest.mark.parametrize("place", ["nothing", "iris/past/99"])
async def test_what_is_not_there_is_said(running: Any, watched: Watched, place: str) -> None:
    await watched.page.goto(f"{running.url}/#/default/{place}")
    await expect(watched.page.locator("#one")).to_contain_text("no")
    await expect(watched.page.locator("#one h1")).to_have_count(0)


async def test_who_may_look_is_offered_nothing_and_who_may_act_acts_with_a_reason(
    running: Any, watched: Watched
) -> None:
    page = watched.page
    await page.goto(f"{running.url}/#/default/iris")
    await expect(page.get_by_text("Sign in to act on this rollout.")).to_be_visible()
    await sign_in(page, VIEWER, "vic")
    await expect(page.get_by_text("vic may look at this rollout, not change it.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, EDITOR, "ada")
    await page.get_by_role("button", name="Abort").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("All traffic goes back to revision 1 in one write; revision 2 is rejected.")
    await dialog.get_by_label("Reason").fill("worse on Mondays")
    await dialog.get_by_role("button", name="Abort").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("no controller answered")
    live = await running.client.get(resources.SELDON_ROLLOUT, "default", "iris")
    assert "worse on Mondays" in live["metadata"]["annotations"]["rollouts.seldon.io/intent"]
    await running.client.merge_patch(resources.SELDON_ROLLOUT, "default", "iris", {"metadata": {"annotations": None}})


async def hindrances(page: Page) -> list[tuple[str, list[str]]]:
    """What axe finds that keeps somebody from using the page as it is now."""
    found = await Axe().run(page, context=None)
    serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 380])
async def test_everybody_can_read_it(running: Any, watched: Watched, scheme: Any, width: int) -> None:
    page = watched.page
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    for place, seen in (
        ("", "default/iris"),
        ("default/iris", "Rollouts so far"),
        ("default/iris/past/1", "as it was"),
    ):
        await page.goto(f"{running.url}/#/{place}")
        await expect(page.get_by_text(seen).first).to_be_visible()
        assert await hindrances(page) == []
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{place or 'the list'} is {wide} pixels too wide"
        assert min(await page.evaluate(WORDS), default=11) >= 9, "a chart's words are too small to be read"


async def test_a_narrow_list_shows_the_traffic_and_the_reason_without_scrolling(running: Any, watched: Watched) -> None:
    page = watched.page
    await page.set_viewport_size({"width": 390, "height": 900})
    await page.goto(f"{running.url}/")
    row = page.get_by_role("row", name="default/iris")
    await expect(row.get_by_role("cell")).to_have_count(7)
    for seen in (row.locator(".bar"), row.get_by_role("cell").last):
        box = await seen.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["x"] + box["width"] <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_its_dialogs_its_diffs_and_its_refusals(
    running: Any, watched: Watched, scheme: Any
) -> None:
    page = watched.page
    await page.emulate_media(color_scheme=scheme)
    await page.goto(f"{running.url}/#/default/nothing")
    await expect(page.get_by_text("There is no rollout default/nothing.")).to_be_visible()
    seen = await hindrances(page)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Token").fill("nobody's")
    await page.get_by_label("Token").press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).not_to_be_empty()
    seen += await hindrances(page)
    await page.keyboard.press("Escape")
    await sign_in(page, EDITOR, "ada")
    await page.goto(f"{running.url}/#/default/iris")
    await page.get_by_text("revision 2 canary").click()
    await expect(page.get_by_label("difference from stable")).to_be_visible()
    seen += await hindrances(page)
    await page.get_by_role("button", name="Roll back to a revision").click()
    seen += await hindrances(page)
    await page.keyboard.press("Escape")
    await page.goto(f"{running.url}/#/")
    await page.get_by_label("Search").fill("nobody")
    await expect(page.get_by_text("No rollout matches.")).to_be_visible()
    assert seen + await hindrances(page) == []


class Administrator(Server):
    """A server that takes everybody for its administrator."""

    def client(self, token: Secret | None = None) -> Client:
        return super().client()


async def test_while_the_api_server_is_away_the_page_says_so_and_then_goes_on(browser: Browser, tmp_path: Path) -> None:
    where = {"data_dir": tmp_path / "data", "crds": [ROOT / "crds"], "port": free_ports(("api",))["api"]}
    kubeconfig = tmp_path / "kubeconfig"
    async with AsyncExitStack() as stack:
        up = running_api_server(**where)
        server = await up.__aenter__()
        kubeconfig.write_bytes(server.kubeconfig_path.read_bytes())
        async with Administrator(str(kubeconfig)).client() as client:
            await client.create(resources.SELDON_ROLLOUT, ROLLOUT)
        shown = await stack.enter_async_context(
            asynccontextmanager(serve)(Administrator(str(kubeconfig)), Options(hosts=("127.0.0.1",)))
        )
        page = await browser.new_page()
        await page.goto(f"{shown.url}/#/")
        await expect(page.locator("#live")).to_have_text("live")
        await up.__aexit__(None, None, None)
        await expect(page.get_by_text("What is shown may be old")).to_contain_text("the API server does not answer")
        await expect(page.locator("#away-seen")).to_contain_text(re.compile(r"Last seen \d+s ago, at "))
        await expect(page.get_by_role("link", name="default/iris")).to_be_visible()
        seen = await hindrances(page)
        await stack.enter_async_context(running_api_server(**where))
        await expect(page.get_by_text("What is shown may be old")).to_be_hidden(timeout=60_000)
        await expect(page.locator("#live")).to_have_text("live")
        await page.close()
    assert seen == []


async def test_below_a_path_it_is_live_and_keeps_its_cookie_to_itself(below: Any, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    await page.goto(f"{below.url}/")
    await page.get_by_role("link", name="default/iris").click()
    await expect(page.locator("#live")).to_have_text("live")
    await sign_in(page, EDITOR, "ada")
    await below.say(phase="Paused", message="waits for a person")
    await expect(page.get_by_role("heading", name="default/iris")).to_contain_text("Paused")
    assert [each["path"] for each in await context.cookies()] == ["/team/rollouts"]
    assert [url for url in asked if not url.startswith((f"{below.url}/", "data:"))] == []
    await context.close()


async def test_the_links_that_the_guide_has_one_write_lead_to_the_rollout_below_a_path_too(
    below: Any, browser: Browser
) -> None:
    assert set(LINKS) == {"/#/ml/iris"}
    page = await browser.new_page()
    await page.goto(below.url + LINKS[0].replace("/ml/", "/default/"))
    await expect(page.get_by_role("heading", name="default/iris")).to_contain_text("Progressing")
    await page.close()


async def tab_to(page: Page, name: str, role: Any = "button") -> None:
    """Press Tab until something has the focus, as somebody without a mouse does."""
    wanted = page.get_by_role(role, name=name, exact=True)
    await expect(wanted).to_be_visible()
    for _ in range(60):
        if await wanted.evaluate("(each) => each === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab never leads to {name}")


async def test_all_is_done_by_keyboard(running: Any, watched: Watched) -> None:
    page = watched.page
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await tab_to(page, "Sign in")
    await page.keyboard.press("Enter")
    await page.keyboard.type(EDITOR)
    await page.keyboard.press("Enter")
    await expect(page.locator("#who")).to_have_text("ada")
    await tab_to(page, "default/iris", "link")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="default/iris")).to_be_visible()
    offered = await page.locator(".acts button").all_text_contents()
    assert len(offered) > 5
    for act in offered:
        await tab_to(page, act)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await expect(page.get_by_role("button", name=act, exact=True)).to_be_focused()
    await tab_to(page, "Pause")
    await page.keyboard.press("Enter")
    await page.keyboard.type("by hand")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("no controller answered")
    live = await running.client.get(resources.SELDON_ROLLOUT, "default", "iris")
    assert "by hand" in live["metadata"]["annotations"]["rollouts.seldon.io/intent"]
    await running.client.merge_patch(resources.SELDON_ROLLOUT, "default", "iris", {"metadata": {"annotations": None}})
