"""Prompts as JSON."""

from typing import Any

import orjson
from orjson import Fragment
from rest_framework import serializers

from accounts.serializers import TextField
from ai.models import Prompt, PromptCase, PromptVersion
from ai.prompts.keys import KEYS, VARIABLES
from ai.prompts.versions import PRODUCTION
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

_MAX_TEXT = 20_000

# the latest release of each label
_LABELS = """
    (SELECT coalesce(json_object_agg(label, number ORDER BY label), '{}') FROM (
        SELECT DISTINCT ON (r.label) r.label, v.number FROM ai_promptrelease AS r JOIN ai_promptversion AS v ON v.id = r.version_id
        WHERE r.prompt_id = ai_prompt.id ORDER BY r.label, r.id DESC
    ) AS latest)
"""
PROMPT_ROW = json_row(
    Prompt, ("key", "created_at"), computed={"is_own": "ai_prompt.workspace_id IS NOT NULL", "labels": _LABELS}
)
VERSION_ROW = json_row(
    PromptVersion,
    (
        "number",
        "status",
        "english",
        "german",
        "model",
        "temperature",
        "max_output_tokens",
        "note",
        "user_id",
        "created_at",
    ),
)
CASE_ROW = json_row(PromptCase, ("id", "name", "variables", "language", "checks"))


def with_variables(row: str) -> dict[str, Any]:
    """A `PROMPT_ROW` with what its texts may name."""
    prompt: dict[str, Any] = orjson.loads(row)
    variables = VARIABLES[prompt["key"]]
    return prompt | {"required_variables": variables.required, "optional_variables": variables.optional}


def all_of(rows: list[Any]) -> dict[str, Any]:
    """A short list, as a page that has them all."""
    shown = [Fragment(row) if isinstance(row, str) else row for row in rows]
    return {"results": shown, "next": None, "previous": None}


# Requests -------------------------------------------------------------------------------------------------------------------


class VersionRequest(RequestSerializer):
    """A new version: what is not given is as in the version before."""

    english = TextField(required=False, max_length=_MAX_TEXT)
    german = TextField(required=False, max_length=_MAX_TEXT, allow_blank=True)
    model = TextField(required=False, max_length=100, allow_blank=True, help_text="Empty: OPENAI_MODEL.")
    temperature = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=2)
    max_output_tokens = serializers.IntegerField(required=False, min_value=16, max_value=32_000)
    note = TextField(required=False, max_length=500, allow_blank=True)


class PromptRequest(VersionRequest):
    key = serializers.ChoiceField(choices=list(KEYS))


class LabelRequest(RequestSerializer):
    label = serializers.RegexField(  # type: ignore[assignment]  # REST framework has an attribute of that name
        r"^[a-z][a-z0-9_-]{0,49}\Z", required=False, default=PRODUCTION
    )


class CaseRequest(RequestSerializer):
    name = TextField(max_length=200)
    variables = serializers.JSONField(help_text='`{"lead": {…}, "messages": [{"role", "content"}]}`')
    language = serializers.ChoiceField(choices=["en", "de"], required=False, default="en")
    checks = serializers.JSONField(
        help_text="A list of objects with one key each: contains, not_contains, matches, max_length, language, equals."
    )


# Answers --------------------------------------------------------------------------------------------------------------------


class PromptSerializer(serializers.Serializer):
    key = serializers.CharField()
    is_own = serializers.BooleanField(help_text="`false`: everybody's, to be read only")
    labels = serializers.DictField(child=serializers.IntegerField(), help_text="label → number of its version")
    required_variables = serializers.ListField(child=serializers.CharField())
    optional_variables = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


class PromptPage(serializers.Serializer):
    results = PromptSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class VersionSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=PromptVersion.Status.choices)
    english = serializers.CharField()
    german = serializers.CharField()
    model = serializers.CharField()
    temperature = serializers.FloatField(allow_null=True)
    max_output_tokens = serializers.IntegerField()
    note = serializers.CharField()
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class PromptWithVersions(PromptSerializer):
    versions = VersionSerializer(many=True, help_text="the latest 50, the newest first")


class PublishedSerializer(VersionSerializer):
    label = serializers.CharField()  # type: ignore[assignment]  # REST framework has an attribute of that name
    warning = serializers.CharField(
        required=False, help_text="that its last evaluation was worse than the one before it"
    )


class CaseSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    variables = serializers.DictField()
    language = serializers.CharField()
    checks = serializers.ListField(child=serializers.DictField())


class CasePage(serializers.Serializer):
    results = CaseSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
