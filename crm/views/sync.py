"""Front doors: how the sync stands, what a run would do, and runs."""

from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Workspace
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from crm.models import SyncRun
from crm.pipedrive.runs import forecasts, planning, running
from crm.pipedrive.status import status as status_of
from crm.serializers.sync import (
    RUN_ROW,
    WHOLE_RUN_ROW,
    LeadsRequest,
    SyncPlanSerializer,
    SyncRunPage,
    SyncRunSerializer,
    SyncStatusSerializer,
    WholeSyncRunSerializer,
)
from zevix.api.idempotency import Idempotent, IdempotentAbroad
from zevix.api.pages import page
from zevix.errors import NotFound


class Sync(APIView):
    @extend_schema(responses=SyncStatusSerializer)
    def get(self, request: SignedInRequest) -> Response:
        """How the sync with Pipedrive stands: what waits, what is wrong, what may still be asked today."""
        return Response(status_of(request.workspace) | {"run": _latest(request.workspace)})


class Plan(IdempotentAbroad, APIView):
    permission_classes = [IsManager]

    @extend_schema(request=LeadsRequest, responses={200: SyncPlanSerializer, 202: SyncRunSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """What a run would do, without doing it; for managers. What takes longer than three seconds is a run to look at later (202)."""
        wanted = LeadsRequest.parse(request)
        run = planning.plan(request.workspace, by=request.user, lead_ids=wanted.get("lead_ids"))
        if run.is_open:
            return _accepted(run)
        return Response(forecasts.result(run))


class Run(Idempotent, APIView):
    permission_classes = [IsManager]

    @extend_schema(request=LeadsRequest, responses={202: SyncRunSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Bring leads into step in the background, also those that were never sent; for managers. One that is running is answered instead."""
        wanted = LeadsRequest.parse(request)
        return _accepted(running.start(request.workspace, by=request.user, lead_ids=wanted.get("lead_ids")))


class Runs(APIView):
    @extend_schema(parameters=PAGING, responses=SyncRunPage)
    def get(self, request: SignedInRequest) -> Response:
        """Runs, plans, backfills and sweeps, the latest first."""
        runs = SyncRun.objects.for_workspace(request.workspace)
        return Response(page(runs, request, row=RUN_ROW, ordering=["-id"]))


class OneRun(APIView):
    @extend_schema(responses=WholeSyncRunSerializer)
    def get(self, request: SignedInRequest, run_id: int) -> Response:
        """How far a run is, which leads failed and why, and what a plan found."""
        return Response(_find(request.workspace, run_id))


def _find(workspace: Workspace, run_id: int) -> Fragment:
    """Raises NotFound."""
    found = SyncRun.objects.for_workspace(workspace).filter(pk=run_id).values_list(WHOLE_RUN_ROW, flat=True).first()
    if found is None:
        raise NotFound
    return Fragment(found)


def _latest(workspace: Workspace) -> Fragment | None:
    runs = SyncRun.objects.for_workspace(workspace).order_by("-workspace_id", "-pk")
    found = runs.values_list(RUN_ROW, flat=True).first()
    return found and Fragment(found)


def _row(run_id: int) -> Fragment:
    return Fragment(SyncRun.objects.filter(pk=run_id).values_list(RUN_ROW, flat=True).get())


def _accepted(run: SyncRun) -> Response:
    headers = {"Location": f"/api/v1/crm/sync/runs/{run.pk}"}
    return Response(_row(run.pk), status=status.HTTP_202_ACCEPTED, headers=headers)
