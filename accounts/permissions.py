"""Who may ask."""

from typing import Any, cast

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from accounts.models import Role
from accounts.requests import SignedInRequest


class IsAdmin(IsAuthenticated):
    """Admins of the workspace, by their membership as it is now; the role in the token is for clients to read."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and is_admin(cast(SignedInRequest, request))


class IsManager(IsAuthenticated):
    """Managers and admins of the workspace, by their membership as it is now."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and cast(SignedInRequest, request).membership.manages


def is_admin(request: SignedInRequest) -> bool:
    return request.membership.role == Role.ADMIN
