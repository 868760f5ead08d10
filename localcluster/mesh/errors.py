"""What can be wrong with an object that the mesh was asked to make true."""


class RouteError(ValueError):
    """A field of a routing object cannot be obeyed. The object's last accepted version stays in effect."""

    def __init__(self, at: str, problem: str) -> None:
        super().__init__(f"{at}: {problem}")
        self.at = at
        self.problem = problem
