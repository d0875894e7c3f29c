"""Front door of the downloads."""

from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from leads.downloads.downloading import FORMATS, Download
from leads.models import Export
from leads.serializers.downloads import DownloadOptions
from zevix.errors import NotFound
from zevix.readers import WhileRead

_FILES: dict[Any, Any] = {(200, known.content_type): OpenApiTypes.BINARY for known in FORMATS.values()}


class DownloadExport(APIView):
    http_method_names = ["get", "options"]  # a HEAD would compose the whole file

    @extend_schema(parameters=[DownloadOptions], responses=_FILES)
    def get(self, request: SignedInRequest, export_id: int) -> StreamingHttpResponse:
        """The leads of an export as a file: CSV, an Excel workbook, or a JSON array. Free, for ever, and as the leads are now.

        A workspace may have two downloads going at a time; more are refused with 429.
        """
        export = Export.objects.for_workspace(request.workspace).filter(pk=export_id).first()
        if export is None:
            raise NotFound
        wanted = DownloadOptions(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        return sent(Download(export, wanted.validated_data["format"]), request)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """What a client accepts is a file of the format it asked for; refusals are JSON as everywhere."""
        return super().perform_content_negotiation(request, force=True)


def sent(download: Download, request: HttpRequest) -> StreamingHttpResponse:
    pieces = WhileRead(download, request)
    return StreamingHttpResponse(pieces, content_type=download.content_type, headers=download.headers)
