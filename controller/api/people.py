"""What people did to the running revision, as its status keeps it."""

from controller.api.meta import Instant, StatusModel


class Approved(StatusModel):
    """A gate that a person opened for the running revision."""

    name: str
    by: str = ""
    at: Instant | None = None


class Pinned(StatusModel):
    """The revision that a person went back to: in force in the place of the template, until that changes or a retry."""

    hash: str
    number: int = 0
    instead_of: str = ""
    """The hash of the template that it takes the place of."""
    by: str = ""
    reason: str = ""
    at: Instant | None = None


class Passed(StatusModel):
    """A person's word in the place of the judge's: the analysis that is waited for counts as good, once."""

    by: str = ""
    reason: str = ""
    at: Instant | None = None
