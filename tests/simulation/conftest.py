"""Makes the simulation's parts importable, here and for the scenarios, and keeps its controllers quiet."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def begin() -> Iterator[Callable[..., Any]]:
    """Begins worlds in which a controller runs on simulated time; each ends with the test."""
    from simulated.story import Story  # found once the path is as above
    from simulated.world import World

    with ExitStack() as worlds:

        def begun(seed: int = 1, **story: Any) -> World:
            world = World(Story(seed, (), **story))
            worlds.enter_context(world.on_simulated_time())
            world.start_controller()
            return world

        yield begun
