"""Front doors: registering, signing in and out, passwords."""

from typing import Any

from django.contrib.auth import views as auth_views
from django.urls import reverse_lazy
from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts import passwords, registration, tokens
from accounts.authentication import bearer
from accounts.forms import NewPasswordForm
from accounts.requests import SignedInRequest
from accounts.serializers import (
    ChangePasswordRequest,
    ConfirmResetRequest,
    DoneSerializer,
    LoginRequest,
    RefreshRequest,
    RegisterRequest,
    ResetRequest,
    SignedInSerializer,
    UserSerializer,
    as_user,
    signed_in,
)
from accounts.sign_in import sign_in
from zevix.errors import Unauthenticated


class OpenView(APIView):
    """For those who are not signed in; a stale token in the header does no harm here."""

    authentication_classes: Any = []
    permission_classes = [AllowAny]


class Register(OpenView):
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "register"

    @extend_schema(request=RegisterRequest, responses={201: SignedInSerializer})
    def post(self, request: Request) -> Response:
        """Create a user with a workspace of their own."""
        membership = registration.register(**RegisterRequest.parse(request))
        return Response(signed_in(tokens.issue(membership)), status=status.HTTP_201_CREATED)


class Login(OpenView):
    @extend_schema(request=LoginRequest, responses=SignedInSerializer)
    def post(self, request: Request) -> Response:
        """Sign in by e-mail address or username."""
        wanted = LoginRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        membership = sign_in(
            wanted.identifier,
            wanted.validated_data["password"],
            request=request._request,
            workspace_id=wanted.validated_data.get("workspace"),
        )
        return Response(signed_in(tokens.issue(membership)))


class Refresh(OpenView):
    @extend_schema(request=RefreshRequest, responses=SignedInSerializer)
    def post(self, request: Request) -> Response:
        """A new pair for a refresh token, in the body or as Bearer. Each works once; a second use ends the whole sign-in."""
        refresh = RefreshRequest.parse(request).get("refresh_token") or bearer(request)
        if not refresh:
            raise Unauthenticated
        return Response(signed_in(tokens.rotate(refresh)))


class Me(APIView):
    @extend_schema(responses=UserSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """The signed-in user, in the token's workspace."""
        return Response(as_user(request.membership))


class ChangePassword(APIView):
    @extend_schema(request=ChangePasswordRequest, responses=DoneSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """Change the password; every session and token of the user ends."""
        wanted = ChangePasswordRequest.parse(request)
        current, new = wanted["current_password"], wanted["new_password"]
        passwords.change(request.user, current, new, request=request._request)
        return Response({"success": True})


class Logout(APIView):
    @extend_schema(request=RefreshRequest, responses=DoneSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """End this sign-in: its refresh tokens are dead."""
        refresh = RefreshRequest.parse(request).get("refresh_token")
        tokens.revoke_family(request.sign_in)
        if refresh:
            tokens.revoke(refresh)
        return Response({"success": True})


class PasswordReset(OpenView):
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "password_reset"

    @extend_schema(request=ResetRequest, responses=DoneSerializer)
    def post(self, request: Request) -> Response:
        """Mail a link for a new password. The answer is the same whether or not the address is known."""
        passwords.request_reset(ResetRequest.parse(request)["email"], language=get_language() or "en")
        return Response({"success": True})


class ConfirmPasswordReset(OpenView):
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "password_reset"

    @extend_schema(request=ConfirmResetRequest, responses=DoneSerializer)
    def post(self, request: Request) -> Response:
        """Set a new password by a mailed token."""
        wanted = ConfirmResetRequest.parse(request)
        passwords.confirm_reset(wanted["token"], wanted["new_password"])
        return Response({"success": True})


class PasswordResetPage(auth_views.PasswordResetConfirmView):
    """Where the mailed link leads."""

    form_class = NewPasswordForm
    template_name = "accounts/new_password.html"
    success_url = reverse_lazy("password-reset-done")
