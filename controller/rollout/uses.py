"""Uses: which rollouts write into which VirtualService of a person's, so that its changes wake them."""

from controller.queue import Key


class Uses:
    """Each rollout uses one at most."""

    def __init__(self) -> None:
        self._used: dict[Key, Key] = {}
        self._users: dict[Key, set[Key]] = {}

    def note(self, user: Key, used: Key | None) -> None:
        """Note what a rollout uses now; None for nothing."""
        before = self._used.pop(user, None)
        if before is not None:
            self._users[before].discard(user)
            if not self._users[before]:
                del self._users[before]
        if used is not None:
            self._used[user] = used
            self._users.setdefault(used, set()).add(user)

    def users(self, used: Key) -> list[Key]:
        """Return the rollouts that use an object."""
        return sorted(self._users.get(used, ()))
