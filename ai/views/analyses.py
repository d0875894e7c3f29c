"""Front doors: analyses of many leads."""

from typing import Any

from drf_spectacular.utils import extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Workspace
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from accounts.team_views import PAGING
from ai.analysis import starting
from ai.models import AnalysisRun, LeadAnalysis
from ai.serializers.analyses import (
    LEAD_ROW,
    RUN_ROW,
    AnalysisRunPage,
    AnalysisRunSerializer,
    LeadAnalysisPage,
    StartRequest,
)
from leads.views.undo import UndoAct
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound


class Analyses(Idempotent, APIView):
    def get_permissions(self) -> Any:
        return [IsAuthenticated() if self.request.method in SAFE_METHODS else IsManager()]

    @extend_schema(parameters=PAGING, responses=AnalysisRunPage)
    def get(self, request: SignedInRequest) -> Response:
        """Analyses of many leads, the latest first."""
        runs = AnalysisRun.objects.for_workspace(request.workspace)
        return Response(page(runs, request, row=RUN_ROW, ordering=["-id"]))

    @extend_schema(request=StartRequest, responses={202: AnalysisRunSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Have the AI analyze many leads in the background, and fill in what nobody has written; for managers."""
        selection = StartRequest.parse(request)["selection"]
        run = starting.start(selection, workspace=request.workspace, by=request.user)
        return Response(
            _shown(run), status=status.HTTP_202_ACCEPTED, headers={"Location": f"/api/v1/analyses/{run.pk}"}
        )


class OneAnalysis(APIView):
    @extend_schema(responses=AnalysisRunSerializer)
    def get(self, request: SignedInRequest, number: int) -> Response:
        """How far an analysis is, what came of it, and what it cost."""
        return Response(_shown(_find(request.workspace, number)))


class AnalyzedLeads(APIView):
    @extend_schema(parameters=PAGING, responses=LeadAnalysisPage)
    def get(self, request: SignedInRequest, number: int) -> Response:
        """What the AI found of each lead, what of it was written, and what stayed as it was."""
        run = _find(request.workspace, number)
        rows = LeadAnalysis.objects.for_workspace(request.workspace).filter(run=run)
        return Response(page(rows, request, row=LEAD_ROW, ordering=["id"]))


class CancelAnalysis(Idempotent, APIView):
    permission_classes = [IsManager]

    @extend_schema(request=None, responses=AnalysisRunSerializer)
    def post(self, request: SignedInRequest, number: int) -> Response:
        """End an analysis; for managers. What it has written stays, and can be undone; no lead is written from now on."""
        run = _find(request.workspace, number)
        starting.cancel(run)
        return Response(_shown(run))


class UndoAnalysis(UndoAct):
    kind = "analysis"


def _find(workspace: Workspace, number: int) -> AnalysisRun:
    """Raises NotFound."""
    found: AnalysisRun | None = AnalysisRun.objects.for_workspace(workspace).filter(pk=number).first()
    if found is None:
        raise NotFound
    return found


def _shown(run: AnalysisRun) -> Fragment:
    return Fragment(AnalysisRun.objects.filter(pk=run.pk).values_list(RUN_ROW, flat=True).get())
