"""Front doors: a workspace's connection with Pipedrive."""

from contextlib import suppress
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from crm.errors import NotConnected
from crm.pipedrive import accounts
from crm.serializers.connection import ConnectionRequest, ConnectionSerializer, as_connection


class ManagersConnect(IsManager):
    """Everybody reads."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return super(IsManager, self).has_permission(request, view)
        return super().has_permission(request, view)


class ConnectionView(APIView):
    permission_classes = [ManagersConnect]

    @extend_schema(responses=ConnectionSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """How the workspace is connected with Pipedrive, what is mapped, and what the account has. The token itself is never shown."""
        try:
            connection = accounts.looked_at(request.workspace)
        except NotConnected:
            connection = None
        return Response(as_connection(connection))

    @extend_schema(request=ConnectionRequest, responses=ConnectionSerializer)
    def put(self, request: SignedInRequest) -> Response:
        """Connect the workspace, or change how it is connected: what is not sent stays as it is. For managers.

        Pipelines, stages and fields go by their ids or names. Pipedrive is asked whether the token is good and all names are there; where
        it can't be reached (502) nothing is changed. `mapping` takes the place of the whole list; an empty one brings the defaults back.
        """
        connection = accounts.configure(request.workspace, ConnectionRequest.parse(request), by=request.user)
        return Response(as_connection(connection))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest) -> Response:
        """Disconnect: the token is forgotten, and our webhook deleted. Links are kept for the day that the same account is connected again.
        For managers."""
        with suppress(NotConnected):
            accounts.disconnect(request.workspace, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
