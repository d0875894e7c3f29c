"""Front doors: the members of a workspace, and the workspaces of a user."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import roles, tokens
from accounts.models import Membership
from accounts.permissions import is_admin
from accounts.requests import SignedInRequest
from accounts.serializers import SignedInSerializer, signed_in
from accounts.team_serializers import (
    MEMBER_ROW,
    WORKSPACE_ROW,
    MemberPage,
    MemberSerializer,
    PlacePage,
    RoleRequest,
)
from zevix.api.pages import page
from zevix.errors import Forbidden, NotFound

PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]


class Members(APIView):
    @extend_schema(parameters=PAGING, responses=MemberPage)
    def get(self, request: SignedInRequest) -> Response:
        """Who works in this workspace, those who joined first in front."""
        members = Membership.objects.for_workspace(request.workspace)
        return Response(page(members, request, row=MEMBER_ROW, ordering=["id"]))


class OneMember(APIView):
    @extend_schema(responses=MemberSerializer)
    def get(self, request: SignedInRequest, member_id: int) -> Response:
        """One of the workspace's members."""
        return Response(_shown(_member(request, member_id)))

    @extend_schema(request=RoleRequest, responses=MemberSerializer)
    def patch(self, request: SignedInRequest, member_id: int) -> Response:
        """Give a member another role; for admins. It holds from their next request on. The last admin stays one (409)."""
        member = _member(request, member_id)
        if not is_admin(request):
            raise Forbidden
        roles.change(member, RoleRequest.parse(request)["role"])
        return Response(_shown(member))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, member_id: int) -> Response:
        """Take a member out, for admins; or leave, for oneself. The last admin stays (409). Their leads have no owner then."""
        member = _member(request, member_id)
        if not is_admin(request) and member.pk != request.membership.pk:
            raise Forbidden
        roles.remove([member])
        return Response(status=status.HTTP_204_NO_CONTENT)


class Workspaces(APIView):
    @extend_schema(parameters=PAGING, responses=PlacePage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspaces that the caller belongs to, with their role in each."""
        places = Membership.objects.filter(user=request.user)
        return Response(page(places, request, row=WORKSPACE_ROW, ordering=["workspace"]))


class SwitchWorkspace(APIView):
    @extend_schema(request=None, responses=SignedInSerializer)
    def post(self, request: SignedInRequest, workspace_id: int) -> Response:
        """Tokens for another of the caller's workspaces, of the same sign-in: signing out ends both."""
        member = Membership.objects.of(user_id=request.user.pk, workspace_id=workspace_id)
        if member is None:
            raise NotFound
        return Response(signed_in(tokens.renew(member, request.sign_in)))


def _member(request: SignedInRequest, member_id: int) -> Membership:
    member: Membership | None = Membership.objects.for_workspace(request.workspace).filter(pk=member_id).first()
    if member is None:
        raise NotFound
    return member


def _shown(member: Membership) -> Fragment:
    row = Membership.objects.filter(pk=member.pk).values_list(MEMBER_ROW, flat=True).first()
    if row is None:  # gone at this very moment
        raise NotFound
    return Fragment(row)
