"""What can go wrong in the control plane, and whether to try again."""


class ControllerError(Exception):
    """Anything the control plane raises on purpose."""

    retry = True


class InvalidSpecError(ControllerError):
    """What a person wrote cannot be done; trying again will not help.

    Args:
        field: the path of the field, such as `spec.strategy.canary.steps[2].setWeight`.
        value: what was found there.
        expected: what would be right.
    """

    retry = False

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}: {value!r} is not valid; expected {expected}")


def plain(message: str) -> str:
    """Return a sentence without what pydantic puts before those of our own rules."""
    return message.removeprefix("Value error, ")
