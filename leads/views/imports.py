"""Front doors of the imports."""

from typing import Any

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Workspace
from accounts.requests import SignedInRequest
from leads.history import Author
from leads.imports import importing, previewing, queueing, rejected
from leads.imports.reading import Incoming
from leads.models import ImportBatch, Undo
from leads.serializers.imports import (
    ImportOptions,
    ImportPage,
    ImportResult,
    ImportSerializer,
    PreviewSerializer,
    QueuedImport,
)
from zevix.api.idempotency import Idempotent, hash_request
from zevix.api.pages import page
from zevix.api.uploads import (
    CsvParser,
    FormParser,
    JsonFileParser,
    TakesUploads,
    TsvParser,
    Upload,
    WorkbookParser,
)
from zevix.errors import NotFound, ValidationFailed
from zevix.json_rows import json_row

_FORM = ImportOptions()
_BODIES: dict[str, Any] = {
    CsvParser.media_type: OpenApiTypes.BINARY,
    TsvParser.media_type: OpenApiTypes.BINARY,
    WorkbookParser.media_type: OpenApiTypes.BINARY,
    FormParser.media_type: {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}} | {name: {"type": "string"} for name in _FORM.fields},
    },
    JsonFileParser.media_type: {
        "oneOf": [
            {"type": "object", "required": ["csv"], "properties": {"csv": {"type": "string"}}},
            {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        ]
    },
}  # fmt: skip
_IMPORT_ROW = json_row(
    ImportBatch,
    ["id", "status", "progress", "failure", "file_name", "mode", "user_id", "total_rows", "created_count", "updated_count",
     "unchanged_count", "skipped_count", "error_count", "needs_action_count", "without_last_contact_count", "ai_analysis",
     "created_at", "finished_at"],
)  # fmt: skip
_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]


class TakesTables(TakesUploads, APIView):
    """A view whose body is a table of any kind, in a form or bare."""

    parser_classes = [CsvParser, TsvParser, WorkbookParser, FormParser, JsonFileParser]

    @property
    def max_body(self) -> int:  # type: ignore[override]  # others have a number there
        return settings.IMPORT_MAX_BYTES

    def taken(self, request: Request) -> tuple[Incoming, ImportOptions]:
        """The file, and the checked options."""
        upload: Any = request.data
        if not isinstance(upload, Upload):
            raise ValidationFailed(fields={"file": [_("Send one file.")]})
        wanted = ImportOptions(data=request.query_params.dict() | upload.options)
        wanted.is_valid(raise_exception=True)
        # the media type of a bare body says what a name would
        name = upload.name or ("leads.tsv" if upload.media_type == TsvParser.media_type else "")
        return Incoming(upload.file, name, upload.media_type == JsonFileParser.media_type, **wanted.reading), wanted


class Imports(Idempotent, TakesTables):
    @extend_schema(parameters=_PAGING, responses=ImportPage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's imports, newest first."""
        return Response(page(_imports(request.workspace), request, row=_IMPORT_ROW, ordering=["-id"]))

    @extend_schema(parameters=[ImportOptions], request=_BODIES, responses={200: ImportResult, 202: QueuedImport})
    def post(self, request: SignedInRequest) -> Response:
        """Import leads from CSV, TSV, an Excel workbook or a JSON array of objects. One bad row never stops the others.

        Above 20,000 rows a worker does it, and the answer is 202.
        """
        incoming, wanted = self.taken(request)
        table = incoming.table()
        if queueing.is_long(table):
            queued = queueing.queue(incoming, table, wanted.options, by=request.membership)
            return Response(QueuedImport(queued).data, status=status.HTTP_202_ACCEPTED)
        batch = importing.run(
            table, wanted.options, workspace=request.workspace, by=Author.of(request.membership, "import"), file_name=incoming.name
        )  # fmt: skip
        return Response(ImportResult(batch).data)

    def fingerprint(self, request: Request) -> bytes:
        upload: Any = request.data
        if not isinstance(upload, Upload):
            return hash_request(request, b"")
        beside = repr((upload.name, sorted(upload.options.items()))) if upload.name else ""
        return hash_request(request, upload.digest + beside.encode())


class ImportLeads(Imports):
    """The older path; it takes imports, and lists none."""

    http_method_names = ["post", "options"]


class PreviewImport(TakesTables):
    @extend_schema(parameters=[ImportOptions], request=_BODIES, responses=PreviewSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """What an import of the first 100 rows would do, and what is made of the columns. Nothing is written."""
        incoming, wanted = self.taken(request)
        seen = previewing.preview(
            incoming.table(), wanted.options, workspace=request.workspace, by=Author.of(request.membership, "import")
        )
        return Response(PreviewSerializer(seen).data)


class OneImport(APIView):
    @extend_schema(responses=ImportSerializer)
    def get(self, request: SignedInRequest, number: int) -> Response:
        """How far an import is, what came of it, and its first 1,000 errors."""
        batch = _import(request.workspace, number)
        batch.rejected = list(batch.row_errors.defer("cells")[: importing.SHOWN_ERRORS])
        undo = Undo.objects.for_workspace(request.workspace).filter(act=f"import:{batch.pk}").first()
        return Response(ImportSerializer(batch, context={"undo": undo}).data)


class RejectedRows(APIView):
    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.BINARY})
    def get(self, request: SignedInRequest, number: int) -> StreamingHttpResponse:
        """All rejected rows as CSV, with line and reasons in front: to be mended, and imported as it is."""
        batch = _import(request.workspace, number)
        return StreamingHttpResponse(
            rejected.lines(batch),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="import-{batch.pk}-errors.csv"'},
        )


def _imports(workspace: Workspace) -> Any:
    return ImportBatch.objects.for_workspace(workspace)


def _import(workspace: Workspace, number: int) -> ImportBatch:
    """Raises NotFound."""
    batch = _imports(workspace).select_related("user").filter(pk=number).first()
    if batch is None:
        raise NotFound
    return batch
