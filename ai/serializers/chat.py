"""Talks as JSON."""

import hashlib
from typing import Any

import orjson
from django.utils.translation import gettext_lazy as _
from orjson import Fragment
from rest_framework import serializers

from accounts.serializers import TextField
from ai.actions.manners import LANGUAGES
from ai.chat.replies import Reply
from ai.models import ChatMessage, ChatSession
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

_LONGEST = 20_000  # characters of a message
_TITLE = "(SELECT left(m.text, 80) FROM ai_chatmessage AS m WHERE m.session_id = ai_chatsession.id AND m.seq = 1)"

_OF_VISITORS = ("language", "created_at", "last_at")
VISITORS_SESSION_ROW = json_row(ChatSession, _OF_VISITORS, {"session_id": "id"})
SESSION_ROW = json_row(
    ChatSession,
    ("language", "lead_id", "visitor_id", "visitor", "created_at", "last_at"),
    {"session_id": "id", "message_count": "last_seq"},
    {"title": f"coalesce({_TITLE}, '')"},
)
MESSAGE_ROW = json_row(ChatMessage, ("role", "sources", "created_at"), {"content": "text"})


# Requests -------------------------------------------------------------------------------------------------------------------


class ContactRequest(RequestSerializer):
    """What visitors tell of themselves on purpose: it makes them a lead."""

    name = TextField(required=False, allow_blank=True, max_length=200)
    email = TextField(required=False, allow_blank=True, max_length=254)
    phone = TextField(required=False, allow_blank=True, max_length=60)
    company = TextField(required=False, allow_blank=True, max_length=200)

    def validate(self, fields: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in fields.items() if value}


class SessionRequest(RequestSerializer):
    workspace = TextField(required=False, max_length=100, help_text="Its public key; for visitors.")
    identity = TextField(required=False, max_length=4_096, help_text="What the website has signed; for visitors.")
    contact = ContactRequest(required=False, help_text="For visitors.")
    language = serializers.ChoiceField(choices=list(LANGUAGES), required=False)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        is_member = self.context["request"].user.is_authenticated
        not_theirs = ("identity", "contact") if is_member else ("lead_id",)
        sentence = _("This is for visitors.") if is_member else _("This is for members.")
        if problems := {name: [sentence] for name in not_theirs if name in fields}:
            raise serializers.ValidationError(problems)
        return fields


class ChatRequest(SessionRequest):
    message = TextField(max_length=_LONGEST)
    session_id = TextField(required=False, max_length=100)
    lead_id = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="What the talk is about; for members."
    )


def fingerprint(fields: dict[str, Any]) -> str:
    """The same for the same request."""
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()


# Answers --------------------------------------------------------------------------------------------------------------------


class SourceSerializer(serializers.Serializer):
    number = serializers.IntegerField(help_text="which the text cites, as [1]")
    document_id = serializers.IntegerField()
    title = serializers.CharField()
    category = serializers.CharField()
    passage = serializers.IntegerField(help_text="its place in the document, from 1")
    page = serializers.IntegerField(allow_null=True, help_text="of a PDF")
    heading = serializers.CharField()
    text = serializers.CharField()


class AnswerSerializer(serializers.Serializer):
    session_id = serializers.UUIDField()
    reply = serializers.CharField()
    sources = SourceSerializer(many=True)
    proposals = serializers.ListField(
        child=serializers.IntegerField(), help_text="what a person has to decide on; see `/api/v1/proposals`"
    )
    language = serializers.CharField()


class BegunSerializer(serializers.Serializer):
    session_id = serializers.UUIDField()


class SessionSerializer(serializers.Serializer):
    session_id = serializers.UUIDField()
    title = serializers.CharField(help_text="how the first message begins")
    language = serializers.CharField()
    lead_id = serializers.IntegerField(allow_null=True)
    visitor_id = serializers.CharField(help_text="as the visitor's signed identity names them")
    visitor = ContactRequest()
    message_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class SessionPage(serializers.Serializer):
    results = SessionSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class SaidSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=ChatMessage.Role.choices)
    content = serializers.CharField()
    sources = SourceSerializer(many=True)
    created_at = serializers.DateTimeField()


class WholeSessionSerializer(serializers.Serializer):
    """Members get the fields of `GET /api/sessions`, too."""

    session_id = serializers.UUIDField()
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    messages = SaidSerializer(many=True)


class ChatSettingsSerializer(serializers.Serializer):
    public_key = serializers.CharField(help_text="names the workspace on public pages")
    secret = serializers.CharField(help_text="with which your website's server signs; never to be seen by a browser")
    algorithm = serializers.CharField()
    longest_lifetime = serializers.IntegerField(help_text="seconds from now that `exp` may be away")
    snippet = serializers.CharField(help_text="how to sign, in Python")


def as_answer(reply: Reply) -> dict[str, Any]:
    return {
        "session_id": reply.session_id,
        "reply": reply.text,
        "sources": reply.sources,
        "proposals": reply.proposals,
        "language": reply.language,
    }


def whole(session: ChatSession, *, by_member: bool) -> dict[str, Any]:
    """A talk with all its messages."""
    row = SESSION_ROW if by_member else VISITORS_SESSION_ROW
    text = ChatSession.objects.filter(pk=session.pk).values_list(row, flat=True).get()
    messages = ChatMessage.objects.filter(session=session).order_by("seq").values_list(MESSAGE_ROW, flat=True)
    return orjson.loads(text) | {"messages": [Fragment(message) for message in messages]}
