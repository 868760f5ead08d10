"""A mirror ends with what it was for, also where no weight changes with it."""


def test_an_aborted_canary_gets_no_more_copies_and_its_pods_go(world) -> None:
    world.steps = [{"setMirror": {"percentage": 100}}, {"pause": {}}, {"setWeight": 30}]
    world.serving().upgrade()
    world.run(10)
    assert world.route["spec"]["http"][0]["mirrors"]
    world.ask("abort")
    world.run(60)
    assert world.status.phase == "Degraded"
    assert not world.route["spec"]["http"][0].get("mirrors")
    assert sorted(world.children) == [world.hash_of("m/v1")]


def test_a_superseded_canary_gets_no_more_copies(world) -> None:
    world.steps = [{"setMirror": {"percentage": 100}}, {"pause": {}}]
    world.serving().upgrade()
    world.run(10)
    world.starts = False
    world.upgrade("m/v3").run(10)
    assert not world.route["spec"]["http"][0].get("mirrors")
