"""Ends the containers' sessions when the node is killed: a process of its own that waits for the node's pipe to close.

It reads lines: `+PID START` when a session's leader started, `-PID` when nothing is left of it.
"""

from __future__ import annotations

import signal
import sys
import time

from localcluster.node.session import member, members, same, send


def main() -> None:
    """Follow the node until it goes; then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    leaders: dict[int, int] = {}
    for line in sys.stdin:
        words = line.split()
        if line.startswith("+") and len(words) == 2:
            leaders[int(words[0][1:])] = int(words[1])
        elif line.startswith("-"):
            leaders.pop(int(words[0][1:]), None)
    end(leaders)


def end(leaders: dict[int, int], patience: float = 3.0) -> None:
    """SIGTERM to every session that is left, SIGKILL after `patience` seconds; `leaders` gives start times by pid.

    The kernel does not reuse a leader's pid while its session has members. So a pid that now belongs to a process with
    another start time means that the session was gone before: it is left alone.
    """
    ours = [pid for pid, started in leaders.items() if member(pid) is None or same(pid, started)]
    deadline = time.monotonic() + patience
    while targets := [one for pid in ours for one in members(pid)]:
        late = time.monotonic() > deadline
        send(targets, signal.SIGKILL if late else signal.SIGTERM)
        if time.monotonic() > deadline + 10:
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
