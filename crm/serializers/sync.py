"""How the sync stands, its runs and plans, as JSON."""

from rest_framework import serializers

from crm.models import SyncRun
from leads.serializers.bulk import LeadIds
from zevix.api.serializers import RequestSerializer
from zevix.json_rows import json_row

_PROGRESS = (
    "CASE WHEN crm_syncrun.status = 'completed' THEN 100 WHEN crm_syncrun.total_count = 0 THEN 0"
    " ELSE least(99, 100 * crm_syncrun.done_count::bigint / crm_syncrun.total_count) END"
)
_PROBLEMS = "coalesce(crm_syncrun.result -> 'problems', '[]'::jsonb)"
_PLAN = (
    "CASE WHEN crm_syncrun.kind = 'plan' AND crm_syncrun.status = 'completed'"
    " THEN (crm_syncrun.result - 'problems') || jsonb_build_object('run_id', crm_syncrun.id) END"
)

_COLUMNS = (
    "id", "kind", "status", "total_count", "done_count", "created_count", "pushed_count", "pulled_count", "conflict_count",
    "failed_count", "user_id", "created_at", "finished_at",
)  # fmt: skip
_ALIASES = {"message": "failure"}
RUN_ROW = json_row(SyncRun, _COLUMNS, _ALIASES, {"progress": _PROGRESS})
WHOLE_RUN_ROW = json_row(SyncRun, _COLUMNS, _ALIASES, {"progress": _PROGRESS, "problems": _PROBLEMS, "plan": _PLAN})

SYNC_STATES = ["in_step", "behind", "paused", "broken", "not_connected"]
WEBHOOK_STATES = ["active", "broken", "none"]


class LeadsRequest(RequestSerializer):
    """Without ``lead_ids``: every lead that the connection keeps in step."""

    lead_ids = LeadIds(required=False)


class SyncRunSerializer(serializers.Serializer):
    """A pass over many leads. ``message`` says why it failed, or what it waits for."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=SyncRun.Kind.choices)
    status = serializers.ChoiceField(choices=SyncRun.Status.choices)
    progress = serializers.IntegerField(help_text="percent")
    message = serializers.CharField()
    total_count = serializers.IntegerField()
    done_count = serializers.IntegerField()
    created_count = serializers.IntegerField()
    pushed_count = serializers.IntegerField()
    pulled_count = serializers.IntegerField()
    conflict_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    user_id = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class SyncProblemSerializer(serializers.Serializer):
    lead_id = serializers.IntegerField()
    message = serializers.CharField()


class PlannedFieldSerializer(serializers.Serializer):
    """A field that would move, with both sides' values in the form in which they are compared."""

    field = serializers.CharField()
    ours = serializers.JSONField(allow_null=True)
    theirs = serializers.JSONField(allow_null=True)
    action = serializers.ChoiceField(choices=["push", "pull", "conflict"])


class PlannedLeadSerializer(serializers.Serializer):
    lead_id = serializers.IntegerField()
    name = serializers.CharField()
    action = serializers.ChoiceField(choices=["create", "push", "pull", "both", "conflict", "problem"])
    fields = PlannedFieldSerializer(many=True)  # type: ignore[assignment]  # a field of this name, taken up by the metaclass
    problem = serializers.CharField(help_text="what stands in its way, and what to do")


class SyncPlanSerializer(serializers.Serializer):
    """What a run would do. ``create``, ``push``, ``pull`` and ``unchanged`` count leads, ``conflicts`` fields."""

    run_id = serializers.IntegerField()
    create = serializers.IntegerField()  # type: ignore[assignment]  # as are the contract's words
    push = serializers.IntegerField()
    pull = serializers.IntegerField()
    conflicts = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    tokens = serializers.FloatField(help_text="what it would cost, roughly")
    items = PlannedLeadSerializer(many=True, help_text="the first 200")


class WholeSyncRunSerializer(SyncRunSerializer):
    problems = SyncProblemSerializer(many=True, help_text="the first 200")
    plan = SyncPlanSerializer(allow_null=True, help_text="of a plan")


class SyncRunPage(serializers.Serializer):
    results = SyncRunSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class SyncWaitingSerializer(serializers.Serializer):
    leads = serializers.IntegerField()
    events = serializers.IntegerField()
    deals = serializers.IntegerField()


class SyncWebhookSerializer(serializers.Serializer):
    state = serializers.ChoiceField(choices=WEBHOOK_STATES)
    message = serializers.CharField()


class TokenBudgetSerializer(serializers.Serializer):
    limit = serializers.IntegerField(help_text="tokens a day")
    spent = serializers.IntegerField()
    left = serializers.IntegerField()
    resets_at = serializers.DateTimeField()
    burst = serializers.IntegerField(help_text="requests in two seconds")


class SyncErrorSerializer(serializers.Serializer):
    lead_id = serializers.IntegerField(allow_null=True, help_text="null where it is about the fields")
    message = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class SyncStatusSerializer(serializers.Serializer):
    """How the sync stands. ``lag_seconds`` is the age of the oldest change that waits."""

    state = serializers.ChoiceField(choices=SYNC_STATES)
    message = serializers.CharField()
    lag_seconds = serializers.IntegerField()
    waiting = SyncWaitingSerializer()
    linked = serializers.IntegerField()
    conflicts = serializers.IntegerField()
    last_synced_at = serializers.DateTimeField(allow_null=True)
    swept_until = serializers.DateTimeField(allow_null=True)
    webhook = SyncWebhookSerializer()
    budget = TokenBudgetSerializer(allow_null=True)
    errors = SyncErrorSerializer(many=True)  # type: ignore[assignment]  # likewise
    run = SyncRunSerializer(allow_null=True)
