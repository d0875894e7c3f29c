"""Front doors: what the AI may look up, and the search in it."""

import hashlib
from dataclasses import asdict
from typing import Any

import django_filters
from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Workspace
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from ai.knowledge import documents, searching
from ai.models import Document
from ai.serializers.documents import (
    DOCUMENT_ROW,
    DocumentPage,
    DocumentRequest,
    DocumentSerializer,
    FileRequest,
    FoundSerializer,
    SearchRequest,
)
from leads.filters import narrow
from zevix.api.idempotency import Idempotent, IdempotentAbroad, hash_request
from zevix.api.json import JSONParser, dumps
from zevix.api.pages import page
from zevix.api.uploads import FormParser, TakesUploads, Upload
from zevix.errors import NotFound

_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "description": ".txt, .md, .html, .pdf or .csv"}}
    | {name: {"type": "boolean" if name == "is_internal" else "string"} for name in FileRequest().fields},
}


class _Filters(django_filters.FilterSet):
    search = django_filters.CharFilter(field_name="title", lookup_expr="icontains", max_length=300)
    category = django_filters.CharFilter(lookup_expr="iexact", max_length=100)
    status = django_filters.ChoiceFilter(choices=Document.Status.choices)


_FILTERS = [
    OpenApiParameter("search", OpenApiTypes.STR, description="A part of the title"),
    OpenApiParameter("category", OpenApiTypes.STR),
    OpenApiParameter("status", OpenApiTypes.STR, enum=Document.Status.values),
]


class _OfDocuments(APIView):
    def get_permissions(self) -> Any:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else IsManager()]


class Documents(Idempotent, TakesUploads, _OfDocuments):
    parser_classes = [JSONParser, FormParser]

    @property
    def max_body(self) -> int:  # type: ignore[override]  # others have a number there
        return settings.DOCUMENT_MAX_BYTES

    @extend_schema(parameters=_FILTERS + PAGING, responses=DocumentPage)
    def get(self, request: SignedInRequest) -> Response:
        """What the AI may look up, the newest first."""
        rows = narrow(Document.objects.for_workspace(request.workspace), request, _Filters)
        return Response(page(rows, request, row=DOCUMENT_ROW, ordering=["-id"]))

    @extend_schema(
        request={"application/json": DocumentRequest, "multipart/form-data": _FORM}, responses={201: DocumentSerializer}
    )
    def post(self, request: SignedInRequest) -> Response:
        """Hand in a document: text, Markdown, HTML or CSV as JSON, or a file, which may be a PDF; for managers.

        A worker cuts it into passages; until it is `ready` they are not all found.
        """
        document = documents.add(**_given(request), workspace=request.workspace, by=request.user)
        shown = Fragment(_row(request.workspace, document.pk))
        place = {"Location": f"/api/v1/documents/{document.pk}"}
        return Response(shown, status=status.HTTP_201_CREATED, headers=place)

    def fingerprint(self, request: Request) -> bytes:
        sent: Any = request.data
        if not isinstance(sent, Upload):
            return hash_request(request, hashlib.sha256(dumps(sent)).digest())
        return hash_request(request, sent.digest + repr((sent.name, sorted(sent.options.items()))).encode())


class OneDocument(_OfDocuments):
    @extend_schema(responses=DocumentSerializer)
    def get(self, request: SignedInRequest, document_id: int) -> Response:
        """A document: how far it is, or why it could not be read."""
        return Response(Fragment(_row(request.workspace, document_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, document_id: int) -> Response:
        """Delete a document with its passages; for managers."""
        documents.delete(document_id, request.workspace)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SearchDocuments(IdempotentAbroad, APIView):
    @extend_schema(request=SearchRequest, responses=FoundSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """The passages that fit a question best, by their meaning and their words, German or English; none where nothing fits.

        To ask costs what `GET /api/v1/ai/usage` tells under `embed`. Without AI, or budget, words alone are searched for.
        """
        wanted = SearchRequest.parse(request)
        found = searching.search(**wanted, workspace=request.workspace, user=request.user, with_internal=True)
        return Response({"results": [asdict(passage) for passage in found]})


def _given(request: Request) -> dict[str, Any]:
    sent: Any = request.data
    if isinstance(sent, Upload):
        beside = FileRequest(data=sent.options)
        beside.is_valid(raise_exception=True)
        return beside.document(sent)
    written = DocumentRequest(data=sent)
    written.is_valid(raise_exception=True)
    return written.document


def _row(workspace: Workspace, document_id: int) -> str:
    """Raises NotFound."""
    found = Document.objects.for_workspace(workspace).filter(pk=document_id)
    row: str | None = found.values_list(DOCUMENT_ROW, flat=True).first()
    if row is None:
        raise NotFound
    return row
