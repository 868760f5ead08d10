"""How often Python looks for garbage that holds itself together."""

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 100
"""Objects made and not yet dropped before the youngest are looked at, and of such looks how many before the older ones.

By itself Python looks after 700. A tick of the judge for 1,000 rollouts makes tens of thousands of small objects and
drops as many without one cycle, and caches keep what they hold for long: to look at all of them again and again was a
third of a tick's CPU. What is dropped in cycles meanwhile (a few of asyncio's and of tracebacks) is some megabytes.
"""


def collect_seldom() -> None:
    """Have this process look for cycles seldom; what is dropped without one is freed at once, as ever."""
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
