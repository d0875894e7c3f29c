"""Front doors of the pages that embed Zevix: signing in with the quota at hand, and exporting.

They take an access token or, from an allowed page, the session cookie.
"""

from typing import Any

from django.contrib.auth import login, logout
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import tokens
from accounts.authentication import (
    AccessTokenAuthentication,
    SessionFromAllowedOrigin,
    authenticate_session,
    bearer,
    origin_allowed,
    subject_of_expired,
)
from accounts.errors import TokenExpired
from accounts.models import Membership
from accounts.requests import SignedInRequest
from accounts.serializers import DoneSerializer, LoginRequest, RefreshRequest
from accounts.sign_in import sign_in
from accounts.tokens import Tokens
from accounts.views import OpenView
from billing.converging import syncing
from leads import exports, quotas
from leads.serializers.leads import EmbedRefreshed, EmbedSignedIn, ExportBatchRequest, ExportLeadRequest, ExportReceipt
from zevix.api.idempotency import Idempotent
from zevix.errors import Unauthenticated

EMBED_AUTHENTICATION: Any = [AccessTokenAuthentication, SessionFromAllowedOrigin]


class Login(OpenView):
    @extend_schema(request=LoginRequest, responses=EmbedSignedIn)
    def post(self, request: Request) -> Response:
        """Sign in; the answer tells the plan and the month's quota. Sets a session cookie."""
        wanted = LoginRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        membership = sign_in(
            wanted.identifier,
            wanted.validated_data["password"],
            request=request._request,
            workspace_id=wanted.validated_data.get("workspace"),
        )
        issued = tokens.issue(membership)
        _begin_session(request, membership, issued)
        return Response(_signed_in(issued))


class RefreshToken(OpenView):
    @extend_schema(request=RefreshRequest, responses=EmbedRefreshed)
    def post(self, request: SignedInRequest) -> Response:
        """A fresh token, and the quota read anew, for a valid Bearer token, an expired one with a session, or a refresh token.

        ``stale`` is there, and true, where Stripe could not be asked: the plan is the last that is known.
        """
        refresh = RefreshRequest.parse(request).get("refresh_token")
        if refresh:
            return self._answer(tokens.rotate(refresh))
        membership = self._recognised(request)
        return self._answer(tokens.renew(membership, request.sign_in))

    def _answer(self, issued: Tokens) -> Response:
        is_stale = syncing.refresh_if_stale(issued.membership.workspace)
        return Response(_signed_in(issued) | ({"stale": True} if is_stale else {}))

    def _recognised(self, request: SignedInRequest) -> Membership:
        try:
            found = AccessTokenAuthentication().authenticate(request)
        except TokenExpired:
            found = authenticate_session(request) if origin_allowed(request) else None
            # somebody else's session is of no use: a page of A must not become one of B unawares
            if found is None or str(found[0].pk) != subject_of_expired(bearer(request) or ""):
                raise
        found = found or SessionFromAllowedOrigin().authenticate(request)
        if found is None:
            raise Unauthenticated
        return found[1]


class Logout(OpenView):
    @extend_schema(request=RefreshRequest, responses=DoneSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """End the session and the sign-in of the token. An expired token is no obstacle."""
        refresh = RefreshRequest.parse(request).get("refresh_token")
        if refresh:
            tokens.revoke(refresh)
        if bearer(request) is not None:
            self._end_sign_in_of_token(request)
        if origin_allowed(request) or bearer(request) is not None or refresh:
            self._end_session(request)
        elif authenticate_session(request):
            raise Unauthenticated  # the session cookie counts from an allowed page only
        return Response({"success": True})

    def _end_sign_in_of_token(self, request: SignedInRequest) -> None:
        try:
            AccessTokenAuthentication().authenticate(request)
        except Unauthenticated:
            return  # an old token opens nothing; its refresh token is in the body or ends with the session
        tokens.revoke_family(request.sign_in)

    def _end_session(self, request: SignedInRequest) -> None:
        if authenticate_session(request):
            tokens.revoke_family(request.sign_in)
        logout(request._request)


class ExportLead(Idempotent, APIView):
    authentication_classes = EMBED_AUTHENTICATION

    @extend_schema(request=ExportLeadRequest, responses=ExportReceipt)
    def post(self, request: SignedInRequest) -> Response:
        """Export one lead."""
        wanted = ExportLeadRequest.parse(request)["lead_id"]
        return _export(request, ExportBatchRequest().validate_lead_ids([wanted]))


class ExportLeadsBatch(Idempotent, APIView):
    authentication_classes = EMBED_AUTHENTICATION

    @extend_schema(request=ExportBatchRequest, responses=ExportReceipt)
    def post(self, request: SignedInRequest) -> Response:
        """Export leads under the month's quota. Each is charged once, for ever."""
        return _export(request, ExportBatchRequest.parse(request)["lead_ids"])


def _export(request: SignedInRequest, ids: list[str]) -> Response:
    receipt = exports.export(ids, by=request.user, workspace=request.workspace)
    return Response(
        {
            "success": True,
            **receipt.standing.figures(),
            "new_ids": receipt.new_ids,
            "duplicate_ids": receipt.duplicate_ids,
            "not_exported": receipt.not_exported,
            "unknown_ids": receipt.unknown_ids,
            "export_id": receipt.export_id,
            "message": exports.message(receipt),
        }
    )


def _signed_in(issued: Tokens) -> dict[str, Any]:
    standing = quotas.standing(issued.membership.workspace)
    return {
        "success": True,
        "token": issued.access,
        "refresh_token": issued.refresh,
        "email": issued.membership.user.email,
        "plan": standing.plan,
        **standing.figures(),
    }


def _begin_session(request: Request, membership: Membership, issued: Tokens) -> None:
    login(request._request, membership.user, backend="accounts.backends.EmailOrUsername")
    request._request.session["workspace"] = membership.workspace_id
    request._request.session["family"] = issued.family.hex
