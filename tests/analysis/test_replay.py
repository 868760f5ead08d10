"""Past windows before the judge: what Prometheus kept gives what the judge said when it happened."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from analysis.measure import Measurer
from analysis.monitor import Monitor
from analysis.providers.prometheus import PrometheusProvider
from analysis.replay import ReplayError, Window, replay
from analysis.spec import Arm, Comparison, Plan
from analysis.verdict import Judgement, Verdict
from seldon_rollouts.cli.app import program as commands

START = datetime(2026, 5, 4, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def comparison(started_at: datetime, stable: str = "iris-1", canary: str = "iris-2") -> Comparison:
    plan = Plan(warmup=timedelta(0))
    return Comparison(
        key=("ml", "iris"), stable=Arm("ml", stable), canary=Arm("ml", canary), plan=plan, started_at=started_at
    )


@pytest.fixture
async def past(exporter, prometheus, poll):
    """Half a minute of a canary that fails five times as often, and of a deployment with one bad pod."""
    exporter.pod("iris-1", "stable-a", requests=100, failed=1)
    exporter.pod("iris-1", "stable-b", requests=100, failed=1)
    exporter.pod("iris-2", "canary-a", requests=100, failed=5)
    exporter.pod("wine", "wine-a", requests=100, failed=1)
    exporter.pod("wine", "wine-b", requests=100, failed=20)
    prometheus.scrape("stable-a", "stable-b", "canary-a", "wine-a", "wine-b")
    await prometheus.start()
    started = datetime.now(UTC)
    live = Monitor(Measurer(PrometheusProvider(prometheus.url)), step=SECOND, settle=timedelta(milliseconds=500))
    watched = comparison(started)
    live.track(watched)

    async def decided() -> bool:
        await live.tick(datetime.now(UTC))
        return live.judgement(watched.key).verdict is Verdict.BAD and exporter.sources["wine-b"].scrapes > 20

    await poll(decided, seconds=60)
    return prometheus.url, started, datetime.now(UTC) - SECOND, live.judgement(watched.key)


@pytest.mark.slow
async def test_a_replay_says_what_was_said_live(past):
    url, started, until, live = past
    window = await replay(PrometheusProvider(url), comparison(started), until, step=SECOND)
    assert window.last.verdict is Verdict.BAD
    assert window.last.updated_at == window.first(Verdict.BAD) <= live.updated_at
    assert window.judgements[-2].verdict is not Verdict.BAD
    assert window.last.findings[0].canary == pytest.approx(live.findings[0].canary) == 0.05

    halves = await replay(PrometheusProvider(url), comparison(started, "wine", "wine"), until, step=SECOND)
    assert halves.last.verdict is Verdict.BAD
    assert halves.last.findings[0].canary == pytest.approx(0.2)
    equal = await replay(PrometheusProvider(url), comparison(started, "iris-1", "iris-1"), until, step=SECOND)
    assert equal.last.verdict in (Verdict.INCONCLUSIVE, Verdict.GOOD)
    assert equal.last.findings[0].canary_requests == equal.last.findings[0].stable_requests > 0

    with pytest.raises(ReplayError, match="iris-2 has one pod"):
        await replay(PrometheusProvider(url), comparison(started, "iris-2", "iris-2"), until, step=SECOND)
    nobody = await replay(PrometheusProvider(url), comparison(started, "iris-1", "nobody"), until, step=SECOND)
    assert nobody.last.verdict is Verdict.NO_DATA

    arguments = [
        "replay",
        "--prometheus-url",
        url,
        "-n",
        "ml",
        "--from",
        started.isoformat(),
        "--to",
        until.isoformat(),
    ]
    arguments += ["--step", "1s", "--warmup", "0s", "--stable", "iris-1", "--canary"]
    done = await asyncio.to_thread(CliRunner().invoke, commands(), [*arguments, "iris-2"])
    assert done.exit_code == 1, done.output
    assert "Bad: failed requests: 5.0 % against 1.0 % on stable" in done.output
    assert "rolled back" in done.output
    done = await asyncio.to_thread(CliRunner().invoke, commands(), [*arguments, "iris-2", "-o", "json"])
    written = json.loads(done.output)
    assert (written["verdict"], written["metrics"][0]["metric"]) == ("Bad", "errorRate")
    assert written["evidence"][-1]["metrics"][0]["evidence"] >= 100
    done = await asyncio.to_thread(CliRunner().invoke, commands(), [*arguments, "nobody"])
    assert done.exit_code == 4
    assert "NoData: no metrics of the canary" in done.output
    assert "looked for deployment_name iris-1 and nobody in namespace ml" in done.output


VERDICTS = st.sampled_from([Verdict.NO_DATA, Verdict.INCONCLUSIVE, Verdict.GOOD])


@given(said=st.lists(VERDICTS, min_size=1, max_size=300), rows=st.integers(1, 40))
def test_thinning_keeps_the_ends_and_each_change(said, rows):
    moments = [START + number * SECOND for number in range(len(said))]
    window = Window(
        tuple([Judgement(verdict=one, message="", updated_at=at) for one, at in zip(said, moments, strict=True)])
    )
    kept = window.thinned(rows)
    assert (kept[0], kept[-1]) == (window.judgements[0], window.last)
    times = [one.updated_at for one in kept]
    assert times == sorted(set(times))
    changes = sum(before != after for before, after in pairwise(said))
    assert len(kept) <= rows + changes + 2
    assert sum(a.verdict != b.verdict for a, b in pairwise(kept)) == changes
    for verdict in set(said):
        assert window.first(verdict) == moments[said.index(verdict)]


async def test_a_window_without_an_instant_is_refused():
    provider = PrometheusProvider("http://127.0.0.1:9", attempts=1)
    with pytest.raises(ReplayError, match="no instant to look at"):
        await replay(provider, comparison(START + SECOND), START + 5 * SECOND, step=10 * SECOND)


async def test_a_prometheus_that_does_not_answer_is_an_error_and_no_verdict():
    provider = PrometheusProvider("http://127.0.0.1:9", attempts=1)
    with pytest.raises(ReplayError, match=r"http://127\.0\.0\.1:9 did not answer"):
        await replay(provider, comparison(START), START + timedelta(minutes=5), step=10 * SECOND)
