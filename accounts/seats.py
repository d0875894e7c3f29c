"""How many members a workspace may have. Those who are in stay, whatever becomes of the plan; it is who comes in that is counted."""

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.errors import SeatLimitReached
from accounts.models import Invitation, Membership, Workspace


def lock(workspace: Workspace) -> None:
    """Keep everybody else from coming in until this transaction ends: two would else both find the last seat free."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)


def require_for_member(workspace: Workspace) -> None:
    """Raises SeatLimitReached where one member more would be too many. Call it after `lock`."""
    _require(workspace, invited=0)


def require_for_invitation(workspace: Workspace, email: str) -> None:
    """The same for one invitation more, beside those that are open; one for the same address is no further one."""
    others = Invitation.objects.for_workspace(workspace).acceptable().exclude(email=email)
    _require(workspace, invited=others.count())


def limit_of(workspace: Workspace) -> int | None:
    """The number of seats; None for as many as it likes."""
    limit: int | None = import_string(settings.SEAT_LIMIT)(workspace)
    return limit


def taken_in(workspace: Workspace) -> int:
    """How many members there are."""
    taken: int = Membership.objects.for_workspace(workspace).count()
    return taken


def _require(workspace: Workspace, *, invited: int) -> None:
    limit = limit_of(workspace)
    if limit is None:
        return
    members = taken_in(workspace)
    if members + invited >= limit:
        raise SeatLimitReached(limit=limit, members=members, invited=invited)
