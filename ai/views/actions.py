"""Front door: what the AI does when asked."""

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from ai import budget
from ai.actions import acting
from ai.serializers.actions import ActionRequest, ReplySerializer, as_reply
from zevix.api.idempotency import IdempotentAbroad


class Actions(IdempotentAbroad, APIView):
    at_work_for = budget.ALIVE_FOR  # tried again and again, an answer can take minutes; none is paid for twice

    @extend_schema(request=ActionRequest, responses=ReplySerializer)
    def post(self, request: SignedInRequest) -> Response:
        """Have the AI chat, write a message or a follow-up, analyze a lead or summarize. Nothing of it is saved, and it costs
        what `GET /api/v1/ai/usage` tells. What leads and messages say is data to it, never an instruction."""
        wanted = ActionRequest.parse(request)
        reply = acting.act(wanted["action"], wanted["data"], workspace=request.workspace, user=request.user)
        return Response(as_reply(reply))
