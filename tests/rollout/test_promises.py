"""What `decide` promises, held over random histories: the world's assertions fail where a promise is broken."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.api.rollout import AnalysisStatus
from controller.rollout.phases import INTENTS

IMAGES = st.sampled_from(["m/v1", "m/v2", "m/v3"])
VERDICTS = st.sampled_from(["Good", "Bad", "Inconclusive", "Promising", "NoData", "Error"])
PREVIEW = {"previewReplicas": 1, "previewHeader": {}}
UNJUDGED = {"prePromotionAnalysis": {"skip": True}}
STRATEGIES = st.sampled_from(
    [
        None,
        {"shadow": {"duration": "20s"}},
        {"shadow": {"percentage": 50, "then": {"steps": [{"setWeight": 30}]}}},
        {"blueGreen": {}},
        {"blueGreen": {**PREVIEW, "autoPromotionEnabled": False, "postPromotionAnalysis": {}}},
        {"blueGreen": {**PREVIEW, **UNJUDGED, "autoPromotionSeconds": 10, "postPromotionAnalysis": {"percentage": 30}}},
    ]
)
RATE = {"metrics": [{"name": "rate", "interval": "30s", "count": 5, "provider": {"prometheus": {"query": "1"}}}]}
NAMED = {"templates": [{"templateName": "rate"}]}
BACKGROUNDS = st.sampled_from([{}, {"analysis": NAMED}])
ROUTE = {"name": "friends", "match": [{"headers": {"group": {"exact": "friends"}}}]}
EVENTS = st.one_of(
    st.tuples(st.just("strategy"), STRATEGIES),
    st.tuples(st.just("image"), IMAGES),
    st.tuples(st.just("verdict"), VERDICTS),
    st.tuples(st.just("ask"), st.sampled_from(sorted(INTENTS))),
    st.tuples(st.just("ready"), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    st.tuples(st.just("accepted"), st.sampled_from([True, None, False])),
    st.tuples(st.just("invalid"), st.booleans()),
    st.tuples(st.just("share"), st.sampled_from([None, 0.0, 0.9])),
    st.tuples(st.just("drift"), st.just(True)),
    st.tuples(st.just("crash"), st.integers(0, 4)),
    st.tuples(st.just("run"), st.sampled_from(["Running", "Successful", "Failed", "Error", "Inconclusive"])),
    st.tuples(st.just("templates"), st.sampled_from([{"rate": RATE}, {}])),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 40, 700])),
)
STEPS = st.lists(
    st.one_of(
        st.integers(0, 100).map(lambda w: {"setWeight": w}),
        st.sampled_from(
            [
                {"pause": {}},
                {"pause": {"duration": "10s"}},
                {"analysis": {}},
                {"analysis": NAMED},
                {"setMirror": {"percentage": 50}},
                {"setHeaderRoute": ROUTE},
                {"setHeaderRoute": {"name": "friends"}},
                {"setScale": {"replicas": 1}},
                {"setScale": {"matchWeight": True}},
                {"gate": {"approval": {"name": "security"}}},
                {"gate": {"windows": [{"start": "12:05", "end": "12:10"}]}},
                {"pause": {"maxDuration": "30s", "onTimeout": "promote"}},
                {"pause": {"maxDuration": "30s", "onTimeout": "abort"}},
            ]
        ),
    ),
    min_size=1,
    max_size=5,
)


def play(world, event) -> None:
    kind, value = event
    match kind:
        case "image":
            world.image, world.generation = value, world.generation + 1
        case "verdict":
            promising, verdict = value == "Promising", value if value != "Promising" else "Inconclusive"
            world.verdict = AnalysisStatus(verdict=verdict, promising=promising, message=f"the judge says {value}")
        case "ask":
            world.ask(value, revision=1 + len(world.stored) % 3 if value == "rollback" else None)
        case "ready":
            # Pods of every revision but one: a world without any is a world without requests.
            keeps, count = value
            for index, digest in enumerate(sorted(world.ready)):
                world.ready[digest] = count if index != keeps % len(world.ready) else max(world.ready[digest], 1)
        case "drift" if world.route is not None and world.route["spec"]["http"]:
            world.route["spec"]["http"].pop()
        case "crash":
            crash(world, after=value)
        case "run":
            run_is(world, value)
        case "wait":
            world.now += timedelta(seconds=value)
        case "accepted" | "share" | "strategy" | "templates":
            setattr(world, kind, value)
        case "invalid":
            world.invalid = "spec.x: no" if value else ""
        case _:
            pass


def run_is(world, phase: str) -> None:
    """Let every AnalysisRun that has not ended say this."""
    for run in world.runs.values():
        if run.get("status", {}).get("phase", "Pending") in ("Pending", "Running"):
            run["status"] = {"phase": phase, "message": "as it is"}


def crash(world, after: int) -> None:
    """Do only the first writes of a decision, and lose the rest."""
    for action in world.decide().actions[:after]:
        world._one(action)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, background=BACKGROUNDS, begun=st.booleans(), events=st.lists(EVENTS, max_size=25))
def test_whatever_happens_the_promises_hold(make_world, steps, background, begun, events) -> None:
    world = make_world(steps=steps, spec_extra=background, templates={"rate": RATE})
    if begun:
        world.serving().upgrade().run(3)
    for event in events:
        play(world, event)
        first, second = world.decide(), world.decide()
        assert first == second
        world.act(first)
        weights = world.status.weights
        assert weights.stable + weights.canary == 100
        assert world.status.message
        for told in (world.status.stable_revision, world.status.canary_revision, *world.status.retired_revisions):
            if told is not None:
                assert (told.weight, told.mirror) == (world.live_weight(told.hash), world.copies(told.hash))
        stable, canary = world.status.stable_revision, world.status.canary_revision
        if stable and canary and world.ready.get(stable.hash) and not world.ready.get(canary.hash):
            assert canary.hash not in str(world.route), "without ready pods it has neither weight nor routes nor copies"
        if world.status.phase in ("RollingBack", "Degraded", "Shadowed") and world.status.stable_revision:
            assert (weights.canary, weights.mirror, weights.control, world.status.header_routes) == (0, 0, 0, ())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weight=st.integers(1, 100),
    dynamic=st.booleans(),
    ready=st.lists(st.integers(0, 2), min_size=1, max_size=12),
    abort=st.booleans(),
)
def test_leaving_traffic_only_ever_goes_down(make_world, weight, dynamic, ready, abort) -> None:
    """Never up again when stable flaps, never onto a stable without ready pods, at least in proportion to its pods."""
    steps = [{"setWeight": weight}, {"pause": {}}]
    world = make_world(strategy={"canary": {"steps": steps, "dynamicStableScale": dynamic}}).serving().upgrade()
    world.run(20)
    stable, canary = world.hash_of("m/v1"), world.hash_of("m/v2")
    assert world.live_weight(canary) == weight
    world.starts = False
    live = weight
    for index, count in enumerate(ready):
        world.ready[stable] = count
        if index == 0 and abort:
            world.ask("abort")
        elif index == 0:
            world.upgrade("m/v1").step()
        else:
            world.step(1)
        now = world.live_weight(canary)
        assert now <= live
        assert now == live if not count else now <= max(100 * (2 - count) / 2, 0)
        live = now
    world.ready[stable] = 2
    world.step(1)
    assert world.live_weight(canary) == 0


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, background=BACKGROUNDS, events=st.lists(EVENTS, max_size=15))
def test_a_decision_whose_actions_took_effect_asks_for_nothing_more(make_world, steps, background, events) -> None:
    world = make_world(steps=steps, spec_extra=background, templates={"rate": RATE})
    for event in events:
        play(world, event)
    for _ in range(12):
        world.step()
    again = world.decide()
    assert again.actions == ()
    assert again.status == world.status


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, events=st.lists(EVENTS, max_size=15), verdict=st.sampled_from(["NoData", "Error", "Inconclusive"]))
def test_no_missing_evidence_ever_promotes(make_world, steps, events, verdict: str) -> None:
    world = make_world(steps=steps).serving()
    stable = world.status.stable_revision.hash
    for event in events:
        if event[0] in ("verdict", "ask"):
            continue
        play(world, event)
        world.verdict = AnalysisStatus(verdict=verdict, message="nothing to say")
        world.step()
    assert world.status.stable_revision.hash == stable


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=STEPS,
    events=st.lists(EVENTS, max_size=15),
    phase=st.sampled_from(["Pending", "Running", "Failed", "Error", "Inconclusive"]),
)
def test_no_run_that_is_not_successful_ever_promotes(make_world, steps, events, phase: str) -> None:
    world = make_world(steps=steps, spec_extra={"analysis": NAMED}, templates={"rate": RATE}).serving()
    stable = world.status.stable_revision.hash
    for event in events:
        if event[0] in ("verdict", "ask", "run"):
            continue
        play(world, event)
        run_is(world, phase)
        world.good().step()
    assert world.status.stable_revision.hash == stable


def test_a_run_is_stopped_before_the_next_of_its_role_is_made(make_world) -> None:
    steps = [{"analysis": {"templates": [{"templateName": "rate"}]}}]
    world = make_world(steps=steps, spec_extra={"analysis": NAMED}, templates={"rate": RATE}).serving()
    for image in ("m/v2", "m/v3"):
        play(world, ("image", image))
        run_is(world, "Running")
        world.good().step()
    (made,) = world.going()
    assert made["metadata"]["labels"]["rollouts.seldon.io/attempt"] == "3"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, events=st.lists(EVENTS, max_size=15))
def test_any_history_ends_at_rest_once_the_world_is_well(make_world, steps, events) -> None:
    world = make_world(steps=steps)
    for event in events:
        play(world, event)
    world.accepted, world.invalid, world.share, world.steps = True, "", None, [{"setWeight": 50}]
    world.ready = dict.fromkeys(world.ready, 2)
    world.good()
    for _ in range(80):
        if world.status.phase == "Paused":
            # Where the steps went before it had a request there is nothing to judge: a person decides.
            unseen = world.status.analysis.started_at is None
            at_end = world.status.current_step_index >= world.status.step_count
            world.ask("promote" if unseen and at_end else "resume")
        world.step(20)
    assert world.status.phase in ("Healthy", "Degraded", "Shadowed"), world.status.message
    assert len(world.children) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_requeue_is_set_when_time_alone_changes_the_answer(make_world, steps) -> None:
    world = make_world(steps=steps).serving().upgrade().good()
    for _ in range(200):
        decision = world.step()
        if decision.requeue_after is None:
            later = world.decide()
            world.now += timedelta(hours=2)
            assert world.decide().actions == later.actions
            break
        world.now += max(decision.requeue_after, timedelta(milliseconds=1))
