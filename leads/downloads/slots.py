"""How many downloads a workspace may have going: each holds a thread of the server for as long as its reader takes."""

from typing import Self

from django.db import connection

from zevix.errors import RateLimited

AT_ONCE = 2
_AGAIN_IN = 10  # seconds


class Slot:
    """One of a workspace's. It is a lock of the connection's, so it ends with it, whatever becomes of this process."""

    def __init__(self, name: str) -> None:
        self._name: str | None = name

    @classmethod
    def of(cls, workspace_id: int) -> Self:
        """Raises RateLimited where all are taken."""
        for number in range(AT_ONCE):
            name = f"leads.downloads:{workspace_id}:{number}"
            if _asked("pg_try_advisory_lock", name):
                return cls(name)
        raise RateLimited(seconds=_AGAIN_IN)

    def free(self) -> None:
        """Also a second time. A connection that broke has taken the lock with it."""
        name, self._name = self._name, None
        if name and connection.is_usable():
            _asked("pg_advisory_unlock", name)


def _asked(function: str, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [name])
        found: bool = cursor.fetchone()[0]
        return found
