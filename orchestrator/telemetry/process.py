"""The process' own metrics, by the names that Prometheus clients use; read from /proc, empty elsewhere."""

import os
from collections.abc import Iterable
from pathlib import Path

from orchestrator.telemetry.families import Shown, single

_SELF = Path("/proc/self")


class ProcessMetrics:
    """CPU seconds, memory and open files of this process."""

    def shown(self) -> Iterable[Shown]:
        """The metrics as they stand."""
        try:
            # The name may hold spaces and brackets; the numbers start behind its last bracket.
            fields = (_SELF / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            boot = next(line for line in Path("/proc/stat").read_text(encoding="ascii").splitlines() if "btime" in line)
            files = len(list((_SELF / "fd").iterdir()))
        except (OSError, StopIteration):
            return
        ticks = os.sysconf("SC_CLK_TCK")
        page = os.sysconf("SC_PAGE_SIZE")
        values = (
            ("cpu_seconds_total", "counter", "CPU time, user and system", (int(fields[11]) + int(fields[12])) / ticks),
            ("start_time_seconds", "gauge", "Start, in Unix time", int(boot.split()[1]) + int(fields[19]) / ticks),
            ("virtual_memory_bytes", "gauge", "Virtual memory", int(fields[20])),
            ("resident_memory_bytes", "gauge", "Resident memory", int(fields[21]) * page),
            ("open_fds", "gauge", "Open file descriptors", files),
        )
        for name, kind, text, value in values:
            yield single(f"process_{name}", text, kind, value)
