"""Do what the guide's first pages say, on a local cluster, and compare what is printed.

python tests/guide [page ...]

Pages follow one another in one shell and one temporary folder, as for a reader. Whatever happens, the cluster and
everything else that the shell started is ended.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from blocks import Command, File, agrees, steps

ROOT = Path(__file__).parents[2]
PAGES = ("canary", "blue-green", "shadow", "analysis")
NEEDED = {
    "kubectl": "the guide applies its manifests with it; get it from https://kubernetes.io/docs/tasks/tools/",
    "curl": "the guide asks models with it; get it by apt-get install curl, or your system's way",
}
SECONDS = 240
"""For one command at most."""


class Shell:
    """One bash for all pages: what it exports and starts stays, as in a reader's terminal."""

    def __init__(self, folder: Path) -> None:
        self._mark = "--- done:"
        environment = {
            **{key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "PROMETHEUS_URL")},
            "HOME": str(folder),
            "COLUMNS": "200",
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, line: str) -> tuple[str, int]:
        """Run one command line and return what it printed and its exit code."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        background = line.rstrip().endswith("&")
        command = f"{line[: line.rindex('&')]}>background.log 2>&1 </dev/null &" if background else line
        self._bash.stdin.write(f"{command}\n__code=$?; printf '\\n{self._mark}%d\\n' $__code; (exit $__code)\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        signal.alarm(SECONDS)
        for text in self._bash.stdout:
            if text.startswith(self._mark):
                signal.alarm(0)
                if printed and printed[-1] == "\n":
                    printed.pop()
                return "".join(printed).removesuffix("\n") + "\n" if printed else "", int(text[len(self._mark) :])
            printed.append(text)
        raise EOFError(f"the shell ended: {''.join(printed)}")

    def end(self) -> None:
        """End the cluster, then what else was started in this shell."""
        signal.alarm(0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._bash.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait(5)


def follow(shell: Shell, folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Do what the pages say, to their end; yield what was not as they say."""
    began = time.monotonic()
    for name in names:
        for step in steps(ROOT / "docs" / "guide" / f"{name}.md"):
            if isinstance(step, File):
                (folder / step.name).write_text(step.text)
                continue
            print(f"{time.monotonic() - began:6.1f} s  {step.where}  $ {step.line[:100]}", flush=True)
            if problem := _checked(step, *shell.run(step.line)):
                yield problem


def _checked(step: Command, printed: str, code: int) -> str:
    expected = "".join(f"{line}\n" for line in step.expected)
    if not agrees(step.expected, printed):
        return f"{step.where}: $ {step.line}\nexpected:\n{expected}\nprinted:\n{printed}"
    if step.checked and code:
        return f"{step.where}: $ {step.line}\nended with {code}"
    return ""


def main() -> int:
    """Run; return 0 when all was as the pages say, 0 with a reason where a program is missing, else 1."""
    for program, why in NEEDED.items():
        if shutil.which(program) is None:
            print(f"skipped: there is no {program} on this machine; {why}")
            return 0

    def late(*_: object) -> None:
        raise TimeoutError(f"a command took more than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="guide-", ignore_cleanup_errors=True) as place:
        shell = Shell(Path(place))
        try:
            for problem in follow(shell, Path(place), sys.argv[1:] or PAGES):
                print(problem, flush=True)
                problems.append(problem)
        except (TimeoutError, EOFError) as error:
            print(error)
            problems.append(str(error))
        finally:
            shell.end()
            command = [str(ROOT / ".venv" / "bin" / "seldon-rollouts"), "local", "down"]
            subprocess.run(command, env={**os.environ, "HOME": place}, check=False, timeout=120, capture_output=True)
    print(f"{len(problems)} not as the pages say" if problems else "all as the pages say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
