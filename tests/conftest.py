"""What holds for every test."""

import asyncio

# Otherwise pytest-asyncio asks for the current loop, Python 3.11 makes one for the asking, and nobody ever closes it: a
# ResourceWarning, which is an error here, in whatever test runs when it is collected.
asyncio.set_event_loop(None)
