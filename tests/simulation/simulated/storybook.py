"""Stories as files: what once broke a promise is kept, and played again with every change."""

from pathlib import Path
from typing import Any

import yaml

from simulated.story import Happening, Story


def as_yaml(story: Story, *, promise: str) -> str:
    """Write a story down."""
    happenings = [[each.after, each.kind, *each.values] for each in story.happenings]
    head: dict[str, Any] = {
        "promise": promise,
        "seed": story.seed,
        "silent": story.silent,
        "rate": story.rate,
        "strategy": story.strategy,
        **({"early": True} if story.early else {}),
        **({"upstream": True} if story.upstream else {}),
        **({"routing": story.routing} if story.routing else {}),
        **({"adopts": True} if story.adopts else {}),
        **({"depends": True} if story.depends else {}),
        **({"also": list(story.also)} if story.also else {}),
        **({"policy": story.policy} if story.policy else {}),
    }
    lines = [yaml.safe_dump(head, sort_keys=False), "happenings:\n"]
    lines += [f"- {yaml.safe_dump(each, default_flow_style=True, width=1000).strip()}\n" for each in happenings]
    return "".join(lines)


def read(path: Path) -> Story:
    """Read a story."""
    raw = yaml.safe_load(path.read_text())
    happenings = tuple(Happening(after, kind, tuple(values)) for after, kind, *values in raw["happenings"])
    return Story(
        raw["seed"],
        happenings,
        silent=raw["silent"],
        rate=float(raw["rate"]),
        strategy=raw["strategy"],
        early=raw.get("early", False),
        upstream=raw.get("upstream", False),
        routing=raw.get("routing", ""),
        adopts=raw.get("adopts", False),
        depends=raw.get("depends", False),
        also=tuple(raw.get("also", ())),
        policy=raw.get("policy", ""),
    )
