"""Pipedrive's front door."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.views import OpenView
from crm.pipedrive.events import inbox


class Webhook(OpenView):
    @extend_schema(exclude=True)  # for Pipedrive alone
    def post(self, request: Request, secret: str) -> Response:
        """Keep an event; a job works it off."""
        inbox.keep(secret, request.headers.get("Authorization", ""), request._request.body)
        return Response({"success": True})
