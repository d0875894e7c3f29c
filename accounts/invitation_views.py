"""Front doors: inviting, and accepting, by the API and by the page that the mailed link leads to."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.generic import FormView
from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts import invitations, tokens
from accounts.errors import TokenInvalid
from accounts.forms import JoinForm, KnownPasswordForm
from accounts.models import Invitation, InvitationQuerySet
from accounts.permissions import IsAdmin
from accounts.requests import SignedInRequest
from accounts.serializers import SignedInSerializer, signed_in
from accounts.team_serializers import (
    INVITATION_ROW,
    AcceptRequest,
    InvitationPage,
    InvitationSerializer,
    InviteRequest,
    NewInvitationSerializer,
)
from accounts.team_views import PAGING
from accounts.views import OpenView
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound, Refusal


class _Mails(Idempotent, APIView):
    """Mails go to whatever address is named, so they are counted by who sends them."""

    permission_classes = [IsAdmin]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "invitation"

    def get_throttles(self) -> Any:
        return super().get_throttles() if self.request.method == "POST" else []


class Invitations(_Mails):
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """The token comes in at the very end, so that it is not in the answer kept for an ``Idempotency-Key``."""
        response = super().dispatch(request, *args, **kwargs)
        if response.status_code == status.HTTP_201_CREATED:
            response.data["token"] = invitations.token_of(Invitation.objects.get(pk=response.data["id"]))
        return response

    @extend_schema(parameters=PAGING, responses=InvitationPage)
    def get(self, request: SignedInRequest) -> Response:
        """The invitations that nobody has accepted or revoked, the newest in front; for admins."""
        found = Invitation.objects.for_workspace(request.workspace).open()
        return Response(page(found, request, row=INVITATION_ROW, ordering=["-id"]))

    @extend_schema(request=InviteRequest, responses={201: NewInvitationSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Invite an address, and mail it a link in the language of this request; for admins. Inviting it again ends the first link."""
        wanted = InviteRequest.parse(request)
        made = invitations.invite(
            wanted["email"], wanted["role"], by=request.user, workspace=request.workspace, language=_language()
        )
        shown = {"id": made.pk, "email": made.email, "role": made.role, "expires_at": made.expires_at}
        return Response(shown, status=status.HTTP_201_CREATED)


class OneInvitation(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, invitation_id: int) -> Response:
        """Revoke an invitation: its link is dead; for admins."""
        if not invitations.revoke(_named(request, invitation_id)):
            raise NotFound
        return Response(status=status.HTTP_204_NO_CONTENT)


class ResendInvitation(_Mails):
    @extend_schema(request=None, responses=InvitationSerializer)
    def post(self, request: SignedInRequest, invitation_id: int) -> Response:
        """Mail the same link again, valid for the whole time anew; for admins."""
        named = _named(request, invitation_id)
        if not invitations.resend(named, language=_language()):
            raise NotFound
        return Response(Fragment(named.values_list(INVITATION_ROW, flat=True).get()))


class AcceptInvitation(OpenView):
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "password_reset"

    @extend_schema(request=AcceptRequest, responses={201: SignedInSerializer})
    def post(self, request: Request) -> Response:
        """Join the workspace that a token opens. Who has an account with the address already gives its password, else chooses one."""
        member = invitations.accept(**AcceptRequest.parse(request), request=request._request)
        return Response(signed_in(tokens.issue(member)), status=status.HTTP_201_CREATED)


@method_decorator(never_cache, name="dispatch")
class JoinPage(FormView):
    """Where the mailed link leads."""

    template_name = "accounts/invitation.html"
    success_url = reverse_lazy("joined")
    invitation: Invitation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            self.invitation = invitations.find(kwargs["token"])
            return super().dispatch(request, *args, **kwargs)
        except TokenInvalid:  # from the start, or somebody was quicker
            return render(request, "accounts/invitation_gone.html", status=404)

    def get_form_class(self) -> type[JoinForm | KnownPasswordForm]:
        return KnownPasswordForm if invitations.has_account(self.invitation.email) else JoinForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, invitation=self.invitation)

    def form_valid(self, form: Any) -> Any:
        try:
            invitations.accept(self.kwargs["token"], request=self.request, **form.wanted)
        except TokenInvalid:
            raise
        except Refusal as refusal:
            form.show(refusal)
            return self.form_invalid(form)
        return super().form_valid(form)


def _named(request: SignedInRequest, invitation_id: int) -> InvitationQuerySet:
    found: InvitationQuerySet = Invitation.objects.for_workspace(request.workspace).filter(pk=invitation_id)
    return found


def _language() -> str:
    return get_language() or "en"
