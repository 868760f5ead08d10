"""Native histograms: buckets that need no bounds, in the only form that Prometheus reads them in."""

import asyncio
import json
import math
import subprocess
import urllib.parse

import pytest
import yaml
from google.protobuf.internal.decoder import _DecodeVarint32
from hypothesis import given
from hypothesis import strategies as st

from localcluster.programs import MissingProgramError, find_prometheus
from orchestrator import protos
from orchestrator.errors import SettingsError
from orchestrator.settings import read
from orchestrator.telemetry.counting import Family, FineHistogram
from orchestrator.telemetry.delimited import CONTENT_TYPE, asked_for, messages, spans
from orchestrator.telemetry.families import Shown, added, single

MetricFamily = protos.message("io.prometheus.client.MetricFamily")
PROMETHEUS_ASKS = (  # as Prometheus 2.42 does with native histograms
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
seconds = st.floats(1e-6, 1000.0)


def families(body):
    """The messages in a delimited body, by their names."""
    found, at = {}, 0
    while at < len(body):
        size, at = _DecodeVarint32(body, at)
        one = MetricFamily.FromString(body[at : at + size])
        found[one.name] = one
        at += size
    return found


@given(seconds)
def test_a_bucket_holds_what_lies_between_its_bounds(value):
    histogram = FineHistogram((1.0,))

    histogram.observe(value)

    [(index, count)] = histogram.shown().fine.items()
    assert count == 1
    assert 2 ** ((index - 1) / 8) * (1 - 1e-12) <= value <= 2 ** (index / 8) * (1 + 1e-12)


def test_no_time_at_all_is_counted_apart():
    histogram = FineHistogram((1.0,))

    histogram.observe(0.0)

    shown = histogram.shown()
    assert (shown.fine, shown.nothing, shown.count) == ({}, 1, 1)


@given(st.dictionaries(st.integers(-90, 90), st.integers(1, 1000)))
def test_buckets_can_be_had_again_from_what_is_written(fine):
    runs, deltas = spans(fine)

    found, index, count, left = {}, 0, 0, iter(deltas)
    for offset, length in runs:
        index += offset
        for _ in range(length):
            count += next(left)
            found[index] = count
            index += 1
    assert found == fine
    assert next(left, None) is None
    assert all(offset > 0 for offset, _ in runs[1:])


@given(st.lists(st.lists(seconds | st.just(0.0), max_size=9), min_size=1, max_size=3))
def test_those_of_several_workers_are_added(several):
    def shown(values):
        family = Family("f", "t", (), (0.1, 1.0), fine=True)
        for value in values:
            family.child().observe(value)
        return list(family.shown())

    [one], [whole] = added(map(shown, several)), shown([value for values in several for value in values])

    both = [each.series.get((), None) for each in (one, whole)]
    if both[1] is not None:
        assert [(each.counts, each.fine, each.nothing) for each in both[:1]] == [
            (both[1].counts, both[1].fine, both[1].nothing)
        ]
        assert math.isclose(both[0].sum, both[1].sum)


def test_every_kind_of_metric_is_written():
    family = Family("h", "Text", ("code",), (0.5, 1.0), summary="s", fine=True)
    for value in (0.4, 0.4, 0.9, 3.0, 0.0):
        family.child("200").observe(value)
    shown = [
        *family.shown(),
        single("g", "A gauge", "gauge", 2.5),
        Shown("c_total", "A counter", "counter", {(("a", 'q"'),): 3.0}),
    ]

    found = families(messages(shown))

    histogram = found["h"].metric[0].histogram
    assert [(bucket.cumulative_count, bucket.upper_bound) for bucket in histogram.bucket] == [
        (3, 0.5), (4, 1.0), (5, math.inf)
    ]  # fmt: skip
    assert (histogram.sample_count, histogram.schema, histogram.zero_count) == (5, 3, 1)
    assert histogram.sample_sum == pytest.approx(4.7)
    assert [(span.offset, span.length) for span in histogram.positive_span] == [(-10, 1), (8, 1), (13, 1)]
    assert list(histogram.positive_delta) == [2, -1, 0]
    assert (found["s"].metric[0].summary.sample_count, found["s"].type) == (5, 2)
    assert found["g"].metric[0].gauge.value == 2.5
    assert (found["c_total"].metric[0].counter.value, found["c_total"].metric[0].label[0].value) == (3.0, 'q"')


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROMETHEUS_ASKS.encode(), True),
        (CONTENT_TYPE, True),
        (b"text/plain, application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text", False),
        (b"application/vnd.google.protobuf", False),
        (b"*/*", False),
        (b"", False),
    ],
)
def test_only_who_asks_for_it_gets_protobuf(accept, wanted):
    assert asked_for(accept) is wanted


@pytest.mark.parametrize(("flags", "kind"), [({}, b"text/plain"), ({"native_histograms": "true"}, b"application/vnd")])
async def test_they_are_off_unless_switched_on(orchestrate, flags, kind):
    running = await orchestrate({"name": "m", "implementation": "SIMPLE_MODEL"}, **flags)

    told = await running.wire.get("/metrics", Accept=PROMETHEUS_ASKS)
    plain = await running.wire.get("/metrics")

    assert told.headers["content-type"].encode().startswith(kind)
    assert plain.headers["content-type"].startswith("text/plain")


def test_a_switch_that_is_none_is_said():
    with pytest.raises(SettingsError, match="SELDON_NATIVE_HISTOGRAMS: 'maybe' is no boolean"):
        read(
            ["--sdep", "s", "--namespace", "n", "--predictor", "p"],
            {"ENGINE_PREDICTOR": "e30=", "SELDON_NATIVE_HISTOGRAMS": "maybe"},
        )


@pytest.fixture
def prometheus(tmp_path, free_ports):
    """Start a real Prometheus that takes native histograms from one target; gives its port."""
    try:
        binary = find_prometheus()
    except MissingProgramError as error:
        pytest.skip(str(error))
    started = []

    def start(target):
        [port] = free_ports(1)
        scrape = {"job_name": "o", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
        config = {"global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"}, "scrape_configs": [scrape]}
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        words = [
            binary,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--scrape.discovery-reload-interval=1s",
            "--enable-feature=native-histograms",
        ]
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


async def test_a_real_prometheus_takes_them(orchestrate, wire, prometheus, node, make_unit):
    async def slow(request):
        await asyncio.sleep(0.02)
        return Response(200, b"{}")

    from orchestrator.servers.message import Response

    running = await orchestrate(make_unit("m", (await node(slow)).port), native_histograms="true")
    for _ in range(5):
        await running.wire.predict({})
    judge = wire(prometheus(running.wire.port))
    name = 'seldon_api_executor_server_requests_seconds{service="predictions"}'

    async def value(query):
        async with asyncio.timeout(30):
            while True:
                try:
                    answer = await judge.get("/api/v1/query?query=" + urllib.parse.quote(query))
                    if found := json.loads(answer.body)["data"]["result"]:
                        return float(found[0]["value"][1])
                except (
                    OSError,
                    asyncio.IncompleteReadError,
                    KeyError,
                    ValueError,
                ):  # it says 503 in words while it starts
                    pass
                await asyncio.sleep(0.1)

    assert await value(f"histogram_count({name})") == 5
    assert 0.018 < await value(f"histogram_quantile(0.5, {name})") < 0.5
    assert await value('seldon_api_executor_server_requests_seconds_summary_count{service="predictions"}') == 5
    await judge.close()
