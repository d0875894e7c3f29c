from itertools import count
from typing import Any

from accounts.models import Membership, Role, User, Workspace

_numbers = count(1)


def make_user(password: str | None = None, **fields: Any) -> User:
    """A user; without a password none is hashed, which takes its time."""
    fields.setdefault("email", f"user{next(_numbers)}@example.com")
    return User.objects.create_user(fields.pop("email"), password, **fields)


def make_workspace(**fields: Any) -> Workspace:
    fields.setdefault("name", f"Workspace {next(_numbers)}")
    return Workspace.objects.create(**fields)


def make_member(
    role: str = Role.ADMIN, workspace: Workspace | None = None, password: str | None = None, **fields: Any
) -> Membership:
    """A member, of a workspace of their own unless one is given."""
    return Membership.objects.create(
        user=make_user(password, **fields), workspace=workspace or make_workspace(), role=role
    )
