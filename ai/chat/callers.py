"""Who talks, and in which workspace: a member who is signed in, or a visitor of some website."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import Membership, User, Workspace
from ai.chat import visitors
from ai.chat.visitors import Identity
from zevix.errors import NotConfigured, ValidationFailed


@dataclass(frozen=True)
class Caller:
    """``member`` is None for a visitor; ``identity`` is who a visitor is by their website's signature."""

    workspace: Workspace
    member: Membership | None = None
    identity: Identity | None = None

    @property
    def user(self) -> User | None:
        return self.member.user if self.member else None


def of_member(member: Membership, *, public_key: str = "") -> Caller:
    """A member, in the workspace that they are signed in to. Raises ValidationFailed where another one is named."""
    if public_key and public_key != member.workspace.public_key:
        raise _unknown_workspace()
    return Caller(member.workspace, member)


def of_visitor(workspace: Workspace, *, identity: str = "") -> Caller:
    """A visitor, with what their website has signed, if anything. Raises IdentityExpired, IdentityInvalid."""
    return Caller(workspace, identity=visitors.read(identity, workspace) if identity else None)


def workspace_of(public_key: str) -> Workspace:
    """The workspace with a public key; without one that of ``ZEVIX_DEFAULT_WORKSPACE``, else the oldest.

    Raises ValidationFailed for a key that is none, NotConfigured where the setting is none.
    """
    workspaces = Workspace.objects
    found: Workspace | None = (
        workspaces.tenants().filter(public_key=public_key).first() if public_key else workspaces.default()
    )
    if found is None and public_key:
        raise _unknown_workspace()
    if found is None:
        raise NotConfigured(setting="ZEVIX_DEFAULT_WORKSPACE")
    return found


def _unknown_workspace() -> ValidationFailed:
    return ValidationFailed(fields={"workspace": [_("There is no workspace with this public key.")]})
