"""Front doors: talks of visitors and members with the AI."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any, cast

import structlog
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts.models import Membership
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from ai import openai_gateway
from ai.chat import callers, claims, sessions, turns, visitors
from ai.chat.callers import Caller
from ai.chat.claims import Message, Turn
from ai.chat.replies import Reply
from ai.models import ChatSession
from ai.openai_gateway import Delta
from ai.serializers.chat import (
    SESSION_ROW,
    AnswerSerializer,
    BegunSerializer,
    ChatRequest,
    ChatSettingsSerializer,
    SessionPage,
    SessionRequest,
    WholeSessionSerializer,
    as_answer,
    fingerprint,
    whole,
)
from zevix import event_streams
from zevix.api.errors import answer as refused
from zevix.api.errors import body, server_error
from zevix.api.idempotency import Idempotent, key_of
from zevix.api.json import JSONRenderer, dumps
from zevix.api.pages import page
from zevix.errors import Refusal, ValidationFailed
from zevix.later import answer_later

log = structlog.get_logger("ai")

_SILENCE = 10.0  # seconds, after which a reader is told that somebody is there


class _Open(APIView):
    """For members who are signed in, and for everybody else as visitors. A Bearer token that is none stays a 401."""

    permission_classes = [AllowAny]

    @property
    def member(self) -> Membership | None:
        return cast(SignedInRequest, self.request).membership if self.request.user.is_authenticated else None


class BeginSession(Idempotent, _Open):
    throttle_classes = [ScopedRateThrottle]

    @property
    def throttle_scope(self) -> str:
        return "chat_member" if self.member else "chat_session"

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        # answers are kept for a workspace's members; a chat that a visitor begins twice harms nobody
        if not request.META.get("HTTP_AUTHORIZATION"):
            request.META.pop("HTTP_IDEMPOTENCY_KEY", None)
        return super().dispatch(request, *args, **kwargs)

    @extend_schema(request=SessionRequest, responses={201: BegunSerializer})
    def post(self, request: Request) -> Response:
        """Begin a chat, as a member or as a visitor. A visitor's is reached by its id alone, so keep it to yourself."""
        wanted = SessionRequest.parse(request)
        caller = _caller(wanted, self.member)
        session = sessions.begin(caller, language=wanted.get("language", ""))
        if contact := wanted.get("contact"):
            sessions.take_contact(session, contact)
        return Response({"session_id": str(session.pk)}, status=status.HTTP_201_CREATED)


class EventStreamRenderer(JSONRenderer):
    """Lets the client ask for a stream; what is refused before one begins is JSON."""

    media_type = event_streams.MEDIA_TYPE
    format = "events"


class Chat(_Open):
    renderer_classes = [JSONRenderer, EventStreamRenderer]
    throttle_classes = [ScopedRateThrottle]

    @property
    def throttle_scope(self) -> str:
        return "chat_member" if self.member else "chat"

    @extend_schema(
        request=ChatRequest,
        responses={
            (200, "application/json"): AnswerSerializer,
            (200, event_streams.MEDIA_TYPE): OpenApiTypes.STR,
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Say something, and be answered; without `session_id` in a new chat. With `Accept: text/event-stream` the answer comes as
        it is written: events `delta` with `text`, `sources`, and last `done` with the whole answer, or `error`."""
        openai_gateway.require_configured()
        turn = _turn(request, self.member)
        # before it is answered: afterwards every turn has an answer
        replayed = {"Idempotent-Replayed": "true"} if turn.answered else {}
        answering = _as_stream if _wants_stream(request) else _as_a_whole
        return answer_later(partial(answering, turn, request._request, replayed), request._request)

    def handle_exception(self, error: Exception) -> Response:
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().handle_exception(error)


class Sessions(APIView):
    @extend_schema(
        parameters=[OpenApiParameter("visitors", OpenApiTypes.BOOL, description="the chats of the workspace's visitors")],
        responses=SessionPage,
    )  # fmt: skip
    def get(self, request: SignedInRequest) -> Response:
        """One's own chats, or with `visitors=true` those of the workspace's visitors, the latest first."""
        if request.query_params.get("visitors", "").lower() == "true":
            rows = sessions.visitors_of(request.workspace)
        else:
            rows = ChatSession.objects.for_workspace(request.workspace).filter(user=request.user)
        return Response(page(rows, request, row=SESSION_ROW, ordering=["-last_at", "-id"]))


class OneSession(_Open):
    @extend_schema(responses=WholeSessionSerializer)
    def get(self, request: Request, session_id: str) -> Response:
        """A chat with its messages: one's own; a visitor's by its id, or as a member of the workspace."""
        session = sessions.readable(session_id, self.member)
        return Response(whole(session, by_member=self.member is not None))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, session_id: str) -> Response:
        """Delete a chat with its messages: one's own; a visitor's by its id, or as a manager of the workspace."""
        sessions.delete(session_id, self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ChatSettings(APIView):
    permission_classes = [IsManager]

    @extend_schema(responses=ChatSettingsSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """What the workspace's website needs for its chat, and for telling who its visitors are; for managers."""
        return Response(
            {
                "public_key": request.workspace.public_key,
                "secret": visitors.secret_of(request.workspace),
                "algorithm": visitors.ALGORITHM,
                "longest_lifetime": round(visitors.LIFETIME.total_seconds()),
                "snippet": visitors.snippet(request.workspace),
            }
        )


# Who says what --------------------------------------------------------------------------------------------------------------


def _turn(request: Request, member: Membership | None) -> Turn:
    wanted = ChatRequest.parse(request)
    session = _session(wanted, member)
    caller = _caller(wanted, member, session)
    message = Message(
        text=wanted["message"],
        language=wanted.get("language", ""),
        lead_id=wanted.get("lead_id"),
        contact=wanted.get("contact", {}),
        key=_key(request, caller, session),
        fingerprint=fingerprint(wanted),
    )
    return claims.take(message, caller, session)


def _session(wanted: dict[str, Any], member: Membership | None) -> ChatSession | None:
    if "session_id" not in wanted:
        return None
    if member:
        return sessions.of_member(wanted["session_id"], member)
    return sessions.of_visitor(wanted["session_id"], public_key=wanted.get("workspace", ""))


def _caller(wanted: dict[str, Any], member: Membership | None, session: ChatSession | None = None) -> Caller:
    public_key = wanted.get("workspace", "")
    if member:
        return callers.of_member(member, public_key=public_key)
    workspace = session.workspace if session else callers.workspace_of(public_key)
    return callers.of_visitor(workspace, identity=wanted.get("identity", ""))


def _key(request: Request, caller: Caller, session: ChatSession | None) -> str:
    """The hash of who asks and their ``Idempotency-Key``; empty without one."""
    key = key_of(request)
    if key is None:
        return ""
    if caller.member is None and session is None:
        raise ValidationFailed(fields={"Idempotency-Key": [_("A visitor's key needs a `session_id`.")]})
    who = f"user {caller.member.user_id}" if caller.member else f"session {session and session.pk}"
    return hashlib.sha256(f"{who}: {key}".encode()).hexdigest()


# How it is answered ---------------------------------------------------------------------------------------------------------


def _wants_stream(request: Request) -> bool:
    return bool(request.accepted_renderer.media_type == event_streams.MEDIA_TYPE)


async def _as_a_whole(turn: Turn, request: HttpRequest, headers: dict[str, str]) -> HttpResponseBase:
    try:
        async with aclosing(turns.answer(turn)) as pieces:
            (reply,) = [piece async for piece in pieces if isinstance(piece, Reply)]
    except Refusal as refusal:
        return refused(refusal, request)
    return HttpResponse(dumps(as_answer(reply)), content_type=JSONRenderer.media_type, headers=headers)


async def _as_stream(turn: Turn, request: HttpRequest, headers: dict[str, str]) -> HttpResponseBase:
    """The events, or the refusal with its status where it comes before them."""
    pieces = event_streams.with_patience(turns.answer(turn), _SILENCE)
    try:
        first = await anext(pieces)
    except Refusal as refusal:
        return refused(refusal, request)
    return StreamingHttpResponse(
        _events(first, pieces, request),
        content_type=event_streams.MEDIA_TYPE,
        headers=event_streams.HEADERS | headers,
    )


async def _events(
    first: Delta | Reply | None, pieces: AsyncGenerator[Delta | Reply | None, None], request: HttpRequest
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(pieces):
            yield _event(first)
            async for piece in pieces:
                yield _event(piece)
    except Refusal as refusal:
        yield event_streams.event("error", body(refusal, request))
    except Exception:
        log.exception("chat_failed")
        yield event_streams.event("error", Fragment(server_error(request).content))


def _event(piece: Delta | Reply | None) -> bytes:
    if piece is None:
        return event_streams.KEPT_ALIVE
    if isinstance(piece, Delta):
        return event_streams.event("delta", {"text": piece.text})
    told = as_answer(piece)
    return event_streams.event("sources", {"sources": told["sources"]}) + event_streams.event("done", told)
