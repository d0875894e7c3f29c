"""Front doors: what an export would cost, the export, and the receipts."""

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from leads import exports
from leads.exports import quoting
from leads.exports.receipts import Receipt
from leads.filters import Asker
from leads.models import Export
from leads.serializers.exports import (
    EXPORT_ROW,
    RECEIPT_ROW,
    ExportPage,
    ExportRequest,
    NewReceiptSerializer,
    QuoteRequest,
    QuoteSerializer,
    ReceiptSerializer,
)
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound


class Quotes(Idempotent, APIView):
    @extend_schema(request=QuoteRequest, responses=QuoteSerializer)
    def post(self, request: SignedInRequest) -> Response:
        """What exporting these leads would cost, promised for 15 minutes. Nothing is charged.

        Suppressed leads and those with a dead address are left out. `POST /api/v1/exports` with the `quote` exports the rest.
        """
        wanted = QuoteRequest.parse(request)
        by = Asker(request.workspace, request.user.pk)
        if "search" in wanted:
            quote = quoting.quote_search(wanted["search"], by=by)
        else:
            quote = quoting.quote_ids(wanted["lead_ids"], by=by)
        return Response(QuoteSerializer(quote).data)


class Exports(Idempotent, APIView):
    @extend_schema(parameters=PAGING, responses=ExportPage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's exports, the latest first."""
        done = Export.objects.for_workspace(request.workspace)
        return Response(page(done, request, row=EXPORT_ROW, ordering=["-id"]))

    @extend_schema(request=ExportRequest, responses={201: NewReceiptSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Export what was quoted, or the leads that are named. Each is charged once, for ever.

        A quote of more than 10,000 leads is exported in the background: the receipt is `queued`, and `GET /api/v1/exports/{id}` tells
        how far it is.
        """
        receipt = self._exported(request, ExportRequest.parse(request))
        return Response(
            _row(request, receipt.export_id) | _beside(receipt),
            status=status.HTTP_201_CREATED,
            headers={"Location": f"/api/v1/exports/{receipt.export_id}"},
        )

    def _exported(self, request: SignedInRequest, wanted: dict[str, Any]) -> Receipt:
        if "quote" in wanted:
            return exports.commit(quoting.named_by(wanted["quote"]), by=request.user, workspace=request.workspace)
        return exports.export(wanted["lead_ids"], by=request.user, workspace=request.workspace)


class OneExport(APIView):
    @extend_schema(responses=ReceiptSerializer)
    def get(self, request: SignedInRequest, export_id: int) -> Response:
        """A receipt: how far an export is, what became of each id, and what was charged."""
        return Response(Fragment(_text(request, export_id)))


def _text(request: SignedInRequest, export_id: int) -> str:
    found = Export.objects.for_workspace(request.workspace).filter(pk=export_id)
    row: str | None = found.values_list(RECEIPT_ROW, flat=True).first()
    if row is None:
        raise NotFound
    return row


def _row(request: SignedInRequest, export_id: int) -> dict[str, Any]:
    row: dict[str, Any] = orjson.loads(_text(request, export_id))
    return row


def _beside(receipt: Receipt) -> dict[str, Any]:
    """What the older routes answer besides."""
    return {
        "success": True,
        "export_id": receipt.export_id,
        "remaining": receipt.standing.remaining,
        "message": exports.message(receipt),
    }
