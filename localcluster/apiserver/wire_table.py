"""How the built-in kinds look in Kubernetes' protobuf: the number of each field, and what becomes of its zero value.

`wire.json` is rendered from the tags in the API's own Go types (Kubernetes 1.32):
`python -m localcluster.apiserver.wire_table <folder of k8s.io modules>`. For each message it has one line of fields,
`number name flags`, separated by `;`. Flags: `p` a pointer, slice or map, whose presence says something; `z` a field
that is written even when it is empty; neither: zero means absent. `number =Message` is a message whose fields are those
of the message around it.
"""

import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from localcluster.apiserver import definitions

FILE = Path(__file__).with_name("wire.json")
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(
    r"^\s+(?:\w+\s+)?(?P<type>[\w.*\[\]{} ]+?)\s+`json:\"(?P<json>[^\"]*)\"[^`]*?protobuf:\"\w+,(?P<number>\d+)",
    re.MULTILINE,
)
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"


@dataclass(frozen=True, slots=True)
class Field:
    """`inline` names the message whose fields stand here, "" for an ordinary field."""

    name: str
    pointer: bool = False
    zero: bool = False
    inline: str = ""


@cache
def load() -> dict[str, dict[int, Field]]:
    """Message name to its fields by number."""
    table: dict[str, str] = orjson.loads(FILE.read_bytes())
    return {message: dict(_parsed(part) for part in line.split(";")) for message, line in table.items()}


def _parsed(text: str) -> tuple[int, Field]:
    number, name, flags = [*text.split(" "), ""][:3]
    if name.startswith("="):
        return int(number), Field("", inline=name[1:])
    return int(number), Field(name, pointer="p" in flags, zero="z" in flags)


def render(modules: Path) -> str:
    """The table of every message that the built-in definitions reach."""
    wanted = set(definitions.load())
    found: dict[str, str] = {}
    for folder, package in _packages(modules):
        for file in sorted(folder.glob("*types*.go")) + sorted(folder.glob("*time*.go")):
            for name, body in _STRUCT.findall(file.read_text()):
                fields = _fields(body, package)
                if fields:
                    found[f"{package}.{name}"] = fields
    kept = {name: line for name, line in found.items() if name in wanted}
    while True:
        inlined = {ref for line in kept.values() for ref in re.findall(r"=(\S+?)(?:;|$)", line)}
        missing = {name: found[name] for name in inlined - kept.keys() if name in found}
        if not missing:
            break
        kept |= missing
    return (
        "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(line)}" for name, line in sorted(kept.items())) + "\n}\n"
    )


def _packages(modules: Path) -> list[tuple[Path, str]]:
    api = next(modules.glob("api@*"))
    machinery = next(modules.glob("apimachinery@*"))
    found = [
        (file.parent, "io.k8s.api." + ".".join(file.parent.relative_to(api).parts)) for file in api.glob("*/*/types.go")
    ]
    return [*sorted(found), (machinery / "pkg/apis/meta/v1", _META)]


def _fields(body: str, package: str) -> str:
    shown: list[str] = []
    for match in _FIELD.finditer(body):
        name, *options = match["json"].split(",")
        kind = match["type"].strip()
        if "inline" in options or not name:
            base = kind.lstrip("*")
            target = f"{_META}.{base.rpartition('.')[2]}" if base.startswith("metav1.") else f"{package}.{base}"
            shown.append(f"{match['number']} ={target}")
            continue
        pointer = kind.startswith(("*", "[", "map["))
        flags = ("p" if pointer else "") + ("" if "omitempty" in options else "z")
        shown.append(" ".join(filter(None, (match["number"], name, flags))))
    return ";".join(shown)


if __name__ == "__main__":
    FILE.write_text(render(Path(sys.argv[1])))
