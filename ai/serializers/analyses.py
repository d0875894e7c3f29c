"""Analyses of many leads as JSON."""

from rest_framework import serializers

from ai.models import AnalysisRun, LeadAnalysis
from ai.serializers.actions import AnalysisSerializer
from leads.serializers.bulk import SelectionRequest
from zevix.json_rows import json_row

# the column's words among the rest, as `dollars` has them
_DOLLARS = "((ai_analysisrun.cost / 1000000.0)::numeric(20, 6))::text"

RUN_ROW = json_row(
    AnalysisRun,
    ("id", "status", "progress", "failure", "matched_count", "analyzed_count", "changed_count", "skipped_count", "failed_count",
     "user_id", "created_at", "finished_at"),
    {"import_batch_id": "batch_id"},
    {"cost": _DOLLARS},
)  # fmt: skip
LEAD_ROW = json_row(
    LeadAnalysis, ("lead_id", "status", "found", "written", "kept", "failure", "finished_at")
)  # fmt: skip


class StartRequest(SelectionRequest):
    """Which leads; those that are won or lost are left out."""


class AnalysisRunSerializer(serializers.Serializer):
    """An analysis of many leads. ``matched_count`` are its leads (of an import once it has begun), each of them by now analyzed, left
    out (gone or closed since), not analyzed, or still to come."""

    id = serializers.IntegerField()
    import_batch_id = serializers.IntegerField(allow_null=True, help_text="null where somebody asked for it")
    status = serializers.ChoiceField(choices=AnalysisRun.Status.choices)
    progress = serializers.IntegerField(help_text="percent")
    failure = serializers.CharField()
    matched_count = serializers.IntegerField()
    analyzed_count = serializers.IntegerField()
    changed_count = serializers.IntegerField()
    skipped_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    cost = serializers.CharField(help_text="US dollars, exact, with six decimals")
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class LeadAnalysisSerializer(serializers.Serializer):
    """What came of one lead. ``kept`` are fields that stay as they are, though the AI thinks otherwise."""

    lead_id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=LeadAnalysis.Status.choices)
    found = AnalysisSerializer(allow_null=True)
    written = serializers.ListField(child=serializers.CharField())
    kept = serializers.ListField(child=serializers.CharField())
    failure = serializers.CharField()
    finished_at = serializers.DateTimeField(allow_null=True)


class _Page(serializers.Serializer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class AnalysisRunPage(_Page):
    results = AnalysisRunSerializer(many=True)


class LeadAnalysisPage(_Page):
    results = LeadAnalysisSerializer(many=True)
