"""Actions as JSON."""

from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.serializers import TextField
from ai.actions.acting import Reply
from ai.actions.manners import LANGUAGES
from ai.prompts import cases
from ai.prompts.keys import ACTIONS
from leads.serializers.leads import LeadRequest
from zevix.api.serializers import RequestSerializer

# pages written for earlier backends send their own instructions along; all of it is data here, whoever is said to have said it
ROLES = (*cases.ROLES, "system", "developer")
_MAX_CONTENT, _MAX_ALL, _MAX_MESSAGES = 20_000, 100_000, 50
_ABOUT_A_LEAD = {"generate_message", "follow_up", "analyze_lead"}


class MessageRequest(RequestSerializer):
    role = serializers.ChoiceField(choices=list(ROLES))
    content = TextField(max_length=_MAX_CONTENT)


class DataRequest(RequestSerializer):
    """What an action is about. ``language`` is the lead's country's, else the request's, where it is not given."""

    messages = serializers.ListField(child=MessageRequest(), required=False, max_length=_MAX_MESSAGES)
    lead = LeadRequest(required=False)
    lead_id = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    language = serializers.ChoiceField(choices=list(LANGUAGES), required=False)
    label = TextField(required=False, max_length=50, help_text="of the prompt's version; `production` by default")  # type: ignore[assignment]  # REST framework has an attribute of that name

    def validate_messages(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        if sum(len(message["content"]) for message in messages) > _MAX_ALL:
            raise serializers.ValidationError(_("At most {limit} characters in all.").format(limit=_MAX_ALL))
        return messages

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "lead" in fields and "lead_id" in fields:
            raise serializers.ValidationError(_("Give either `lead` or `lead_id`."))
        return fields


class ActionRequest(RequestSerializer):
    action = serializers.ChoiceField(
        choices=list(ACTIONS),
        error_messages={"invalid_choice": format_lazy(_("One of {choices}."), choices=", ".join(ACTIONS))},
    )
    data = DataRequest()  # type: ignore[assignment]  # REST framework has an attribute of that name

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if sentence := _lacking(fields["action"], fields["data"]):
            raise serializers.ValidationError({"data": [sentence]})
        return fields


def _lacking(action: str, data: dict[str, Any]) -> Any:
    has_lead, messages = "lead_id" in data or any(data.get("lead", {}).values()), data.get("messages")
    if action == "chat" and (not messages or messages[-1]["role"] != "user"):
        return _("A chat needs `messages`, the last of them by the user.")
    if action in _ABOUT_A_LEAD and not has_lead:
        return _("This needs `lead` or `lead_id`.")
    if action == "summarize" and not has_lead and not messages:
        return _("This needs `lead`, `lead_id` or `messages`.")
    return None


class AnalysisSerializer(serializers.Serializer):
    status = serializers.CharField()
    needs_action = serializers.BooleanField()
    next_action_at = serializers.DateTimeField(allow_null=True)
    next_action_description = serializers.CharField()
    last_contact = serializers.DateTimeField(allow_null=True)
    score = serializers.IntegerField()
    reason = serializers.CharField()


class ReplySerializer(serializers.Serializer):
    action = serializers.CharField()
    reply = serializers.CharField()
    language = serializers.CharField()
    prompt_version = serializers.IntegerField()
    analysis = AnalysisSerializer(required=False, help_text="of `analyze_lead` only")


def as_reply(reply: Reply) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "action": reply.action,
        "reply": reply.reply,
        "language": reply.language,
        "prompt_version": reply.prompt_version,
    }
    return answer | ({"analysis": reply.analysis.model_dump()} if reply.analysis else {})
