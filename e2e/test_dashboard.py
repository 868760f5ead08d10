"""The dashboard on the live cluster, in a real browser: two people with different rights, a promotion, a rollback."""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from e2e.test_stories import phase, rollout, serve

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install Debian's package chromium"),
]
STEPS = [{"setWeight": 50}, {"pause": {}}, {"setWeight": 80}, {"pause": {}}]


@pytest.fixture
def page(world) -> Iterator[Page]:
    if not world.dashboard:
        pytest.skip("no dashboard was given with this cluster")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        made = browser.new_page()
        made.set_default_timeout(60_000)
        yield made
        browser.close()


def open_as(page: Page, world, kube, person: str) -> None:
    page.goto(f"{world.dashboard}#/{kube.namespace}/digits")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Token").fill(world.tokens[person])
    page.get_by_label("Token").press("Enter")
    expect(page.locator("#who")).to_have_text(person)


def act(page: Page, name: str, reason: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=name, exact=True).click()
    expect(dialog).to_be_hidden(timeout=30_000)


def shows(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text, timeout=60_000)


def test_each_act_is_done_by_who_may_and_told_with_its_reason(world, kube, crowd, trained, page) -> None:
    serve(kube, "digits", trained.uris[0])
    with crowd("digits", 60) as users:
        kube.write(rollout("digits", trained.uris[1], steps=STEPS))
        open_as(page, world, kube, "editor")
        shows(page, "Paused")
        act(page, "Promote", "looks good at a half")
        expect(page.locator("[aria-current=step]")).to_have_text(re.compile("weight 80|pause for a person"))
        kube.until("it waits again", lambda: kube.status("digits").get("currentStepIndex") == 3)
        shows(page, "Paused")
        act(page, "Resume", "go on")
        shows(page, "Progressing")
        act(page, "Pause", "hold it")
        shows(page, "Paused")
        act(page, "Abort", "not on a Friday")
        shows(page, "Degraded")
        expect(page.locator(".rollback")).to_contain_text("not on a Friday")
        act(page, "Retry", "it is Monday")
        shows(page, "Paused")
        act(page, "Skip step", "once more")
        act(page, "Promote in full", "enough seen")
        shows(page, "Healthy")
    assert users.failures == []
    told = kube.status("digits")["lastIntent"]
    assert (told["verb"], told["by"], told["reason"]) == ("promote-full", "editor", "enough seen")


def test_who_may_only_look_follows_a_rollback_live_and_over_a_restart(world, kube, crowd, trained, page) -> None:
    serve(kube, "digits", trained.uris[1])
    with crowd("digits", 240):
        open_as(page, world, kube, "viewer")
        shows(page, "Healthy")
        expect(page.get_by_text("viewer may look at this rollout, not change it.")).to_be_visible()
        world.faults.kill("dashboard")
        kube.write(rollout("digits", trained.uris[2]))
        shows(page, "Progressing")
        shows(page, "Degraded")
        expect(page.locator(".rollback")).to_contain_text("failed requests")
    assert phase(kube, "digits") == "Degraded"
    page.get_by_role("link", name="Seldon Rollouts").click()
    row = page.get_by_role("row").filter(has_text=f"{kube.namespace}/digits")
    expect(row).to_contain_text("Degraded")
