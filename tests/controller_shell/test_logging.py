"""What the log tells, and what it does not."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest

from controller.__main__ import configure_logging

OTHERS = ("", "httpx", "httpcore", "urllib3")


@pytest.fixture
def kept() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in OTHERS}
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("level", ["info", "debug"])
def test_an_address_with_a_key_in_it_is_logged_by_nobody(
    served: Callable[..., AbstractContextManager[str]], capsys: pytest.CaptureFixture[str], level: str
) -> None:
    configure_logging(level)
    with served(lambda _asked: (200, "ok")) as url:
        httpx.get(f"{url}/hook?key=hush-hush")
    logging.getLogger("seldon_rollouts").info("said=yes")
    said = capsys.readouterr().err
    assert "said=yes" in said
    assert "hush" not in said
