"""Front doors: acts upon many leads."""

from typing import Any

from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from leads import bulk
from leads.history import Author
from leads.models import BulkChange
from leads.serializers.bulk import BULK_ROW, BulkPage, BulkRequest, BulkSerializer
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound


class BulkChanges(Idempotent, APIView):
    def get_permissions(self) -> Any:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else IsManager()]

    @extend_schema(parameters=PAGING, responses=BulkPage)
    def get(self, request: SignedInRequest) -> Response:
        """What was done to many leads at once, the latest first."""
        done = BulkChange.objects.for_workspace(request.workspace)
        return Response(page(done, request, row=BULK_ROW, ordering=["-id"]))

    @extend_schema(request=BulkRequest, responses={200: BulkSerializer, 202: BulkSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Change, assign or delete many leads; for managers. More than 20,000 are changed in the background (202).

        `POST /api/v1/leads/bulk/{id}/undo` takes it back. With `dry_run` it only counts.
        """
        wanted = BulkRequest.parse(request)
        place: dict[str, Any] = {"workspace": request.workspace, "by": Author.of(request.membership)}
        if wanted["dry_run"]:
            return Response(_counted(bulk.dry_run(wanted["selection"], wanted["change"], **place)))
        started = bulk.start(wanted["selection"], wanted["change"], **place)
        over = started.status == BulkChange.Status.COMPLETED
        return Response(_shown(request, started.pk), status=status.HTTP_200_OK if over else status.HTTP_202_ACCEPTED)


class OneBulkChange(APIView):
    @extend_schema(responses=BulkSerializer)
    def get(self, request: SignedInRequest, bulk_id: int) -> Response:
        """How far an act upon many leads is, and what came of it."""
        return Response(_shown(request, bulk_id))


def _shown(request: SignedInRequest, bulk_id: int) -> Fragment:
    found = BulkChange.objects.for_workspace(request.workspace).filter(pk=bulk_id)
    row = found.values_list(BULK_ROW, flat=True).first()
    if row is None:
        raise NotFound
    return Fragment(row)


def _counted(dry: BulkChange) -> dict[str, Any]:
    deletes = dry.kind == BulkChange.Kind.DELETE
    return {
        "bulk_id": None,
        "status": "completed",
        "kind": str(dry.kind),
        "progress": 100,
        "matched_count": dry.matched_count,
        "changed_count": 0 if deletes else dry.changed_count,
        "deleted_count": dry.changed_count if deletes else 0,
        "unchanged_count": dry.matched_count - dry.changed_count,
        "unknown_count": len(dry.selection["ids"]) - dry.matched_count if "ids" in dry.selection else 0,
    }
