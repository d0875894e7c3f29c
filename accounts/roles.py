"""Who has which role in a workspace. One that has an admin keeps an admin."""

from collections.abc import Iterable

from django.db import transaction

from accounts import tokens
from accounts.errors import LastAdmin
from accounts.models import Membership, Role, User
from accounts.signals import member_left


@transaction.atomic
def change(member: Membership, role: str) -> None:
    """Give a member another role. Raises LastAdmin when nobody else administers the workspace."""
    if role != Role.ADMIN:
        _keep_an_admin([member])
    Membership.objects.filter(pk=member.pk).update(role=role)
    member.role = role


@transaction.atomic
def remove(members: Iterable[Membership]) -> None:
    """Take members out of their workspaces, and end their sign-ins there. Raises LastAdmin; then all stay."""
    leaving = list(members)
    _keep_an_admin(leaving)
    Membership.objects.filter(pk__in=[member.pk for member in leaving]).delete()
    tokens.forget(leaving)
    _tell_of(leaving)


@transaction.atomic
def delete_users(users: Iterable[User]) -> None:
    """Delete users with their memberships and sign-ins. Raises LastAdmin; then all stay."""
    ids = [user.pk for user in users]
    leaving = list(Membership.objects.filter(user__in=ids))
    _keep_an_admin(leaving)
    User.objects.filter(pk__in=ids).delete()
    _tell_of(leaving)


def is_last_admin(member: Membership) -> bool:
    """Whether the workspace would be left without an admin; for telling early, since only the acts above are sure of it."""
    others = Membership.objects.filter(workspace=member.workspace_id, role=Role.ADMIN, user__is_active=True)
    return member.role == Role.ADMIN and not others.exclude(pk=member.pk).exists()


def _tell_of(leaving: Iterable[Membership]) -> None:
    for member in leaving:
        member_left.send(sender=Membership, user_id=member.user_id, workspace_id=member.workspace_id)


def _keep_an_admin(leaving: Iterable[Membership]) -> None:
    """Lock the admins of the workspaces concerned, so that two of them can't leave at once, and see who stays.

    Somebody who may not sign in administers nothing.
    """
    members = {member.pk: member.workspace_id for member in leaving}
    admins = list(
        Membership.objects.filter(workspace__in=set(members.values()), role=Role.ADMIN)
        .select_related("user")
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    going = {admin.workspace_id for admin in admins if admin.pk in members}
    staying = {admin.workspace_id for admin in admins if admin.pk not in members and admin.user.is_active}
    if going - staying:
        raise LastAdmin
