"""What an undo did, as JSON."""

from typing import Any

from rest_framework import serializers

from leads.models import KeptLead, Undo

_SHOWN_KEPT = 1_000


class KeptSerializer(serializers.ModelSerializer):
    lead_id = serializers.IntegerField()

    class Meta:
        model = KeptLead
        fields = ["lead_id", "reason", "fields"]
        read_only_fields = fields


class UndoSerializer(serializers.ModelSerializer):
    """What an undo did. ``kept`` are leads that somebody has worked on since, and in which fields; the first 1,000."""

    kept = serializers.SerializerMethodField()

    class Meta:
        model = Undo
        fields = [
            "act", "status", "progress", "removed_count", "reverted_count", "restored_count", "kept_count", "kept",
            "created_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_kept(self, undo: Undo) -> list[dict[str, Any]]:
        return list(KeptSerializer(undo.kept.order_by("id")[:_SHOWN_KEPT], many=True).data)
