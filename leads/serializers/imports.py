"""Imports in JSON: how they are asked for, and what came of them."""

from typing import Any

import orjson
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leads.imports.importing import Options
from leads.imports.matching import KEYS
from leads.models import ImportBatch
from leads.numbers import LOCALES
from zevix.api.serializers import RequestSerializer

_READING = ("delimiter", "encoding", "sheet")


class ImportOptions(RequestSerializer):
    """How to import; in the query, or as fields beside the file. An unknown option is an error: ``dryrun`` would else import."""

    mapping = serializers.CharField(
        required=False,
        help_text='JSON: {"column": "field"}; "" leaves a column out. It is remembered for the next file with these columns; {} forgets',
    )
    mode = serializers.ChoiceField(choices=ImportBatch.Mode.choices, default=ImportBatch.Mode.UPSERT)
    match_on = serializers.CharField(required=False, help_text="external_id, email, npi; several apart by commas")
    locale = serializers.ChoiceField(
        choices=LOCALES,
        required=False,
        help_text="How dates and numbers are written; without it ambiguous ones are errors",
    )
    dry_run = serializers.BooleanField(default=False)
    delimiter = serializers.CharField(required=False, trim_whitespace=False)
    encoding = serializers.CharField(required=False)
    sheet = serializers.CharField(
        required=False, trim_whitespace=False, help_text="Of a workbook: its name; else the first that is not hidden"
    )

    def validate_mapping(self, written: str) -> dict[str, str]:
        try:
            mapping = orjson.loads(written)
        except orjson.JSONDecodeError:
            mapping = None
        if not isinstance(mapping, dict) or not all(isinstance(field, str) for field in mapping.values()):
            raise serializers.ValidationError(_("A JSON object of columns and fields."))
        return mapping

    def validate_match_on(self, written: str) -> list[str]:
        keys = [key.strip() for key in written.split(",") if key.strip()]
        if not keys or not set(keys) <= set(KEYS):
            raise serializers.ValidationError(_("One or more of: {choices}.").format(choices=", ".join(KEYS)))
        return keys

    @property
    def options(self) -> Options:
        return Options(**{name: value for name, value in self.validated_data.items() if name not in _READING})

    @property
    def reading(self) -> dict[str, str]:
        return {name: value for name, value in self.validated_data.items() if name in _READING}


class RejectedRowSerializer(serializers.Serializer):
    row = serializers.IntegerField(help_text="The line in the file, the header being 1")
    field = serializers.CharField()
    message = serializers.CharField()


class ImportResult(serializers.Serializer):
    """What came of an import; ``errors`` are the first 1,000."""

    total_rows = serializers.IntegerField()
    imported_count = serializers.IntegerField()
    created_count = serializers.IntegerField()
    updated_count = serializers.IntegerField()
    unchanged_count = serializers.IntegerField()
    skipped_count = serializers.IntegerField()
    error_count = serializers.IntegerField()
    needs_action_count = serializers.IntegerField()
    without_last_contact_count = serializers.IntegerField()
    errors = RejectedRowSerializer(many=True, source="rejected")  # type: ignore[assignment]  # REST framework has an attribute of that name
    import_batch_id = serializers.IntegerField(source="pk", allow_null=True)
    ai_analysis = serializers.ChoiceField(choices=ImportBatch.Analysis.choices)


class QueuedImport(serializers.Serializer):
    """An import that a worker does; ``GET /api/v1/imports/{id}`` tells how far it is."""

    import_batch_id = serializers.IntegerField(source="pk")
    status = serializers.ChoiceField(choices=ImportBatch.Status.choices)
    progress = serializers.IntegerField()
    dry_run = serializers.BooleanField(source="options.dry_run")


class ImporterSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    username = serializers.CharField(allow_null=True)


class UndoneSerializer(serializers.Serializer):
    status = serializers.CharField()
    progress = serializers.IntegerField()
    removed_count = serializers.IntegerField()
    reverted_count = serializers.IntegerField()
    kept_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ImportSerializer(ImportResult):
    """One import. ``progress`` is percent; ``failure`` says why it failed; ``undo`` is null until it is taken back."""

    id = serializers.IntegerField(source="pk")
    status = serializers.ChoiceField(choices=ImportBatch.Status.choices)
    progress = serializers.IntegerField()
    failure = serializers.CharField()
    file_name = serializers.CharField()
    mode = serializers.ChoiceField(choices=ImportBatch.Mode.choices)
    dry_run = serializers.SerializerMethodField()
    options = serializers.SerializerMethodField()
    header = serializers.ListField(child=serializers.CharField())
    mapping = serializers.DictField(child=serializers.CharField())
    user = ImporterSerializer(allow_null=True)
    undo = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_dry_run(self, batch: ImportBatch) -> bool:
        return bool(batch.options.get("dry_run"))

    @extend_schema_field(UndoneSerializer(allow_null=True))
    def get_undo(self, batch: ImportBatch) -> dict[str, Any] | None:
        undo = self.context["undo"]
        return UndoneSerializer(undo).data if undo else None

    def get_options(self, batch: ImportBatch) -> dict[str, Any]:
        """How the file was read and matched: those of ``encoding``, ``delimiter``, ``sheet``, ``locale``, ``match_on`` that apply."""
        shown = (*_READING, "locale", "match_on")
        return {name: batch.options[name] for name in shown if batch.options.get(name)}


class ListedImport(serializers.Serializer):
    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ImportBatch.Status.choices)
    progress = serializers.IntegerField()
    failure = serializers.CharField()
    file_name = serializers.CharField()
    mode = serializers.ChoiceField(choices=ImportBatch.Mode.choices)
    user_id = serializers.IntegerField(allow_null=True)
    total_rows = serializers.IntegerField()
    created_count = serializers.IntegerField()
    updated_count = serializers.IntegerField()
    unchanged_count = serializers.IntegerField()
    skipped_count = serializers.IntegerField()
    error_count = serializers.IntegerField()
    needs_action_count = serializers.IntegerField()
    without_last_contact_count = serializers.IntegerField()
    ai_analysis = serializers.ChoiceField(choices=ImportBatch.Analysis.choices)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ImportPage(serializers.Serializer):
    results = ListedImport(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


class PreviewedColumn(serializers.Serializer):
    heading = serializers.CharField()
    field = serializers.CharField(allow_null=True, help_text="null: no field of a lead")
    custom_field = serializers.CharField(allow_null=True, help_text="The name among the custom fields (`extra`)")
    how = serializers.ChoiceField(choices=["given", "remembered", "recognised", "extra", "left_out"])
    samples = serializers.ListField(child=serializers.CharField())


class PreviewedProblem(serializers.Serializer):
    field = serializers.CharField()
    message = serializers.CharField()


class PreviewedRow(serializers.Serializer):
    row = serializers.IntegerField()
    fate = serializers.ChoiceField(choices=["create", "update", "unchanged", "skip", "error"])
    lead_id = serializers.IntegerField(allow_null=True)
    changes = serializers.DictField(help_text='field → {"old", "new"}')
    message = serializers.CharField(help_text="Why the row is skipped")
    errors = PreviewedProblem(many=True)  # type: ignore[assignment]  # REST framework has an attribute of that name


class PreviewSerializer(serializers.Serializer):
    """The columns, and what an import of the first 100 rows would do."""

    encoding = serializers.CharField(source="found.encoding", default=None)
    delimiter = serializers.CharField(source="found.delimiter", default=None)
    sheet = serializers.CharField(source="found.sheet", default=None)
    total_rows_estimated = serializers.IntegerField()
    columns = PreviewedColumn(many=True)
    rows = PreviewedRow(many=True)
