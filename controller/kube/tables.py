"""A kind's printed table, as far as it is read: cells, names and namespaces.

Each row carries its object's metadata, of which managedFields is most. Decoding past that costs a twentieth of making
objects of it.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field
from msgspec.json import Decoder

Rows = list[dict[str, Any]]


class Names(Struct, frozen=True):
    """Whose row it is."""

    name: str
    namespace: str = ""


class Partial(Struct, frozen=True):
    """An object of which nothing but its metadata is shown."""

    metadata: Names


class Row(Struct, frozen=True):
    """One object's cells, in the order of the columns."""

    cells: list[Any]
    object: Partial


class Column(Struct, frozen=True):
    """A heading."""

    name: str


class More(Struct, frozen=True):
    """Where the next page begins; empty on the last."""

    token: str = field(name="continue", default="")


class Table(Struct, frozen=True):
    """One page of a table."""

    column_definitions: list[Column] = field(name="columnDefinitions", default_factory=list)
    rows: list[Row] = field(default_factory=list)
    metadata: More = field(default_factory=More)

    def named(self) -> Iterator[dict[str, Any]]:
        """Give each row's cells by their headings, with `metadata`: name and namespace."""
        headings = [column.name for column in self.column_definitions]
        for row in self.rows:
            names = row.object.metadata
            yield {
                **dict(zip(headings, row.cells, strict=True)),
                "metadata": {"name": names.name, "namespace": names.namespace},
            }


read = Decoder(Table).decode
