"""Workspaces, members, invitations, users, sign-ins; the menu shows them in this order."""

# isort: off
from accounts.admin.members import MembershipAdmin, WorkspaceAdmin, administers, user_of
from accounts.admin.invitations import InvitationAdmin
from accounts.admin.users import UserAdmin
from accounts.admin.sign_ins import RefreshTokenAdmin

__all__ = [
    "InvitationAdmin",
    "MembershipAdmin",
    "RefreshTokenAdmin",
    "UserAdmin",
    "WorkspaceAdmin",
    "administers",
    "user_of",
]
