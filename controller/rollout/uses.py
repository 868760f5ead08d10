"""Uses: which rollouts look at which objects that are not theirs, so that a change of one wakes them and no others."""

from collections.abc import Iterable

from controller.queue import Key


class Uses:
    """An index by both ends. What is in no namespace has an empty one."""

    def __init__(self) -> None:
        self._used: dict[Key, frozenset[Key]] = {}
        self._users: dict[Key, set[Key]] = {}

    def note(self, user: Key, used: Iterable[Key] = ()) -> None:
        """Note what a rollout uses now."""
        now, before = frozenset(used), self._used.pop(user, frozenset())
        for each in before - now:
            self._users[each].discard(user)
            if not self._users[each]:
                del self._users[each]
        for each in now - before:
            self._users.setdefault(each, set()).add(user)
        if now:
            self._used[user] = now

    def users(self, used: Key) -> list[Key]:
        """Return the rollouts that use an object."""
        return sorted(self._users.get(used, ()))
