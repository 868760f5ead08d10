"""How far a topic is answered, while several of its messages are under way. Pure."""

from collections.abc import Collection, Mapping


class Part:
    """What was taken of one partition since it became ours."""

    __slots__ = ("committed", "following", "open")

    def __init__(self, offset: int) -> None:
        self.open: set[int] = set()
        self.following = self.committed = offset

    @property
    def answered(self) -> int:
        """The first offset that is not answered yet; all before it are."""
        return min(self.open, default=self.following)


class Progress:
    """Which messages are under way, and up to which all are answered.

    Of a partition that was given away and came back, what was taken before is forgotten: its late end says nothing.
    """

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}

    def taken(self, partition: int, offset: int) -> Part:
        """A message was taken. Its end is told by `ended` with what this gives."""
        part = self.parts.get(partition)
        if part is None:
            part = self.parts[partition] = Part(offset)
        part.open.add(offset)
        part.following = offset + 1
        return part

    def ended(self, part: Part, offset: int) -> None:
        """A message is answered."""
        part.open.discard(offset)

    def under_way(self, partitions: Collection[int]) -> bool:
        """Whether messages of these partitions are not answered."""
        return any(part.open for number, part in self.parts.items() if number in partitions)

    def to_commit(self) -> dict[int, int]:
        """The offset to go on from, of each partition where that is another one than what was committed."""
        return {number: part.answered for number, part in self.parts.items() if part.answered > part.committed}

    def committed(self, offsets: Mapping[int, int]) -> None:
        """These offsets are kept by the broker."""
        for number, offset in offsets.items():
            if number in self.parts:
                self.parts[number].committed = max(self.parts[number].committed, offset)

    def forget(self, partitions: Collection[int]) -> None:
        """These partitions are no longer ours."""
        for number in partitions:
            self.parts.pop(number, None)
