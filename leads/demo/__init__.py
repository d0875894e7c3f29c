"""A workspace to look at on one's own machine: people of every role, a catalogue of real practices, and some leads at work."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, Role, User, Workspace
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource
from leads.models import Lead

_FILES = Path(__file__).parent
_PEOPLE = {"admin": Role.ADMIN, "manager": Role.MANAGER, "agent1": Role.AGENT, "agent2": Role.AGENT}


@transaction.atomic
def seed() -> bool:
    """Make the demo, unless there is any user already; returns whether it did."""
    if User.objects.exists():
        return False
    workspace = Workspace.objects.create(name="Demo")
    members = [_member(workspace, name, role) for name, role in _PEOPLE.items()]
    _import("catalogue.csv", Workspace.objects.catalogue())
    _import("leads.csv", workspace)
    _hand_out(workspace, [member.user for member in members if member.role == Role.AGENT])
    return True


def is_there() -> bool:
    return User.objects.filter(email="admin@example.com", username="admin").exists()


def _member(workspace: Workspace, name: str, role: Role) -> Membership:
    password = f"{name.rstrip('12')}123"
    user = User.objects.create_user(
        f"{name}@example.com",
        password,
        username=name,
        is_superuser=role is Role.ADMIN,
        is_beta_user=role is Role.ADMIN,
    )
    return Membership.objects.create(user=user, workspace=workspace, role=role)


def _import(name: str, workspace: Workspace) -> None:
    with (_FILES / name).open("rb") as file:
        importing.run(CsvSource(file), Options(), workspace=workspace, file_name=name)


def _hand_out(workspace: Workspace, agents: list[User]) -> None:
    """Every agent gets some of the leads; a third stays unassigned."""
    for number, lead in enumerate(Lead.objects.for_workspace(workspace).order_by("id")):
        changes: dict[str, Any] = {"last_contact": timezone.now() - timedelta(days=number)} if lead.last_contact else {}
        changes |= {"assigned_user": agents[number % 3]} if number % 3 < len(agents) else {}
        if changes:
            Lead.objects.filter(pk=lead.pk).update(**changes)
