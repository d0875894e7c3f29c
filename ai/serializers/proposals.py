"""Proposals as JSON."""

from typing import Any

import django_filters
from rest_framework import serializers

from accounts.serializers import TextField
from ai.models import Proposal
from ai.models.chats import ProposalQuerySet
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

_PERSON = "(SELECT row_to_json(u) FROM (SELECT id, email FROM accounts_user WHERE id = ai_proposal.decided_by_id) AS u)"
PROPOSAL_ROW = json_row(
    Proposal,
    (
        "id",
        "kind",
        "payload",
        "edited",
        "reason",
        "session_id",
        "lead_id",
        "result",
        "decided_at",
        "created_at",
        "expires_at",
    ),
    computed={
        # a job marks those that nobody decided on in time; they end before it comes
        "status": "CASE WHEN status = 'pending' AND expires_at <= now() THEN 'expired' ELSE status END",
        "decided_by": _PERSON,
    },
)


class ProposalFilters(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=Proposal.Status.choices, method="by_status")

    class Meta:
        model = Proposal
        fields: list[str] = []

    def by_status(self, proposals: ProposalQuerySet, name: str, value: str) -> ProposalQuerySet:
        return proposals.standing(value)


class ApproveRequest(RequestSerializer):
    edits = serializers.DictField(
        required=False, help_text="fields of the payload, to be written otherwise than proposed; `null` leaves one out"
    )


class RejectRequest(RequestSerializer):
    reason = TextField(required=False, max_length=500, allow_blank=True)


class DecidedBy(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()


class ProposalSerializer(serializers.ModelSerializer):
    """A proposal as it is answered; for the OpenAPI document (rows are read flat, without serializers)."""

    payload = serializers.DictField(help_text="what the AI wants to write")
    edited = serializers.DictField(allow_null=True, help_text="what was written in its place")
    session_id = serializers.UUIDField(allow_null=True)
    lead_id = serializers.IntegerField(allow_null=True, help_text="the lead that it is about, or that it made")
    result: Any = serializers.DictField(allow_null=True)
    decided_by = DecidedBy(allow_null=True)

    class Meta:
        model = Proposal
        fields = [
            "id",
            "kind",
            "status",
            "payload",
            "edited",
            "reason",
            "session_id",
            "lead_id",
            "result",
            "decided_by",
            "decided_at",
            "created_at",
            "expires_at",
        ]
        read_only_fields = fields


class ProposalPage(serializers.Serializer):
    results = ProposalSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)
