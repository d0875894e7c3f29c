"""Front doors of the imports."""

import hashlib
import io
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads.history import Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.matching import KEYS
from leads.imports.reading import CsvSource, ObjectSource, Source
from leads.models import ImportBatch
from zevix.api.idempotency import Idempotent, hash_request
from zevix.api.json import JSONParser
from zevix.api.serializers import RequestSerializer
from zevix.api.uploads import CsvParser, TakesUploads, Upload
from zevix.errors import Malformed


class ImportOptions(RequestSerializer):
    """How to import; in the query. An unknown option is an error: ``dryrun`` would else import."""

    mapping = serializers.CharField(required=False, help_text='JSON: {"column": "field"}; "" leaves a column out')
    mode = serializers.ChoiceField(choices=ImportBatch.Mode.choices, default=ImportBatch.Mode.UPSERT)
    match_on = serializers.CharField(required=False, help_text="external_id, email, npi; several apart by commas")
    dry_run = serializers.BooleanField(default=False)
    delimiter = serializers.CharField(required=False, trim_whitespace=False)
    encoding = serializers.CharField(required=False)

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
        given = {name: value for name, value in self.validated_data.items() if name not in {"delimiter", "encoding"}}
        return Options(**given)


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


class ImportLeads(TakesUploads, Idempotent, APIView):
    parser_classes = [CsvParser, JSONParser]

    @property
    def max_body(self) -> int:  # type: ignore[override]
        return settings.IMPORT_MAX_BYTES

    @extend_schema(
        parameters=[ImportOptions],
        request={
            "text/csv": OpenApiTypes.BINARY,
            "application/json": {
                "oneOf": [
                    {"type": "object", "required": ["csv"], "properties": {"csv": {"type": "string"}}},
                    {"type": "array", "items": {"type": "object", "additionalProperties": True}},
                ]
            },
        },
        responses=ImportResult,
    )
    def post(self, request: SignedInRequest) -> Response:
        """Import leads from CSV or a JSON array of objects. One bad row never stops the others."""
        wanted = ImportOptions(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        source = _source(request.data, wanted.validated_data)
        batch = importing.run(
            source, wanted.options, workspace=request.workspace, by=Author.of(request.membership, "import")
        )
        return Response(ImportResult(batch).data)

    def fingerprint(self, request: Request) -> bytes:
        data = request.data
        return hash_request(request, data.digest if isinstance(data, Upload) else _digest(data))


def _digest(data: Any) -> bytes:
    try:
        return hashlib.sha256(orjson.dumps(data)).digest()
    except TypeError:  # nested deeper than orjson writes
        raise Malformed


def _source(data: Any, options: dict[str, Any]) -> Source:
    given = {name: options.get(name, "") for name in ("encoding", "delimiter")}
    if isinstance(data, Upload):
        return CsvSource(data.file, **given)
    if isinstance(data, list):
        return ObjectSource(data)
    if isinstance(data, dict) and data.keys() == {"csv"} and isinstance(data["csv"], str):
        return CsvSource(io.BytesIO(data["csv"].encode()), **given | {"encoding": "utf-8"})
    raise serializers.ValidationError({"csv": [_("Send CSV text under `csv`, or an array of objects.")]})
