"""A rollout as a tree in the terminal: pure, over views. It loads little, so that `get` answers at once."""

from rich.text import Text
from rich.tree import Tree

from controller.api.rollout import RolloutStatus
from seldon_rollouts.phases import style
from seldon_rollouts.view.chances import chances
from seldon_rollouts.view.tree import Part

_GOOD = {True: "green", False: "red", None: ""}


def drawn(part: Part, status: RolloutStatus) -> Tree:
    """Return a rollout's tree, with what the judge says and what was rejected."""
    root = Tree(_line(part, style(part.state)))
    for revision in part.parts:
        _grow(root, revision)
    if status.canary_revision is not None and (status.analysis.metrics or chances(status)):
        judged = root.add(Text("judge"))
        if said := chances(status):
            judged.add(Text(said))
        for metric in status.analysis.metrics:
            judged.add(Text(f"{metric.name}: {metric.verdict}  {metric.message}"))
    if status.canary_revision is not None and status.analysis.runs:
        runs = root.add(Text("analysis runs"))
        for run in status.analysis.runs:
            runs.add(Text(f"{run.name}: {run.phase}  {run.message}"))
    for rejected in status.rejected:
        root.add(Text(f"rejected revision {rejected.number} ({rejected.hash}): {rejected.message}", style="red"))
    return root


def _grow(above: Tree, part: Part) -> None:
    branch = above.add(_line(part, _GOOD[part.good]))
    for each in part.parts:
        _grow(branch, each)


def _line(part: Part, colour: str) -> Text:
    said = Text(f"{part.kind} {part.name}  ")
    said.append(part.state, style=colour)
    return said.append(f"  {part.message}" if part.message else "")
