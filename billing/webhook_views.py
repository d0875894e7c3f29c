"""Stripe's front door."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.views import OpenView
from billing import webhooks


class Webhook(OpenView):
    @extend_schema(exclude=True)  # for Stripe alone
    def post(self, request: Request) -> Response:
        """Keep an event; a job works it off. The very bytes are read, since the signature is over them."""
        webhooks.keep(request._request.body, request.headers.get("Stripe-Signature", ""))
        return Response({"success": True})
