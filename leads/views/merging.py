"""Front doors: possible duplicates, merging, and taking merges back. For managers."""

from dataclasses import asdict
from typing import Any

from django.db import models
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Workspace
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from leads import duplicates
from leads.history import Author
from leads.merging import merging, unmerging
from leads.merging.merging import Merged, Wish
from leads.models import LEAD_ROW, DuplicatePair, Lead, Merge
from leads.serializers.merging import (
    MergedSerializer,
    MergePage,
    MergePreviewSerializer,
    MergeRequest,
    MergeSerializer,
    PairPage,
    PairState,
    UnmergedSerializer,
)
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import NotFound
from zevix.json_rows import moment

_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]


def _lead(column: str) -> str:
    return f"(SELECT ({LEAD_ROW.sql})::json FROM leads_lead WHERE leads_lead.id = leads_duplicatepair.{column})"


_PAIR_ROW = RawSQL(
    f"""
    SELECT row_to_json(r)::text FROM (
        SELECT leads_duplicatepair.id, json_build_array({_lead("first_id")}, {_lead("second_id")}) AS leads,
            leads_duplicatepair.reasons, {duplicates.SUGGESTED} AS survivor, leads_duplicatepair.state,
            {moment("leads_duplicatepair.created_at")} AS created_at
    ) AS r
    """,
    [],
    output_field=models.TextField(),
)
_MERGE_ROW = RawSQL(
    f"""
    SELECT row_to_json(r)::text FROM (
        SELECT leads_merge.id, leads_merge.survivor_id,
            (SELECT json_agg(lead_id ORDER BY id) FROM leads_mergedlead WHERE merge_id = leads_merge.id) AS merged_ids,
            leads_merge.user_id, {moment("leads_merge.created_at")} AS created_at,
            {moment("leads_merge.undone_at")} AS undone_at
    ) AS r
    """,
    [],
    output_field=models.TextField(),
)


class Duplicates(APIView):
    permission_classes = [IsManager]

    @extend_schema(
        parameters=[
            OpenApiParameter("reason", str, enum=duplicates.REASONS),
            OpenApiParameter("state", str, enum=DuplicatePair.State.values, description="default `open`"),
            *_PAGING,
        ],
        responses=PairPage,
    )
    def get(self, request: SignedInRequest) -> Response:
        """Leads that may be one, in pairs, the newest first. Up to 2,000 new leads are compared before."""
        duplicates.compare(request.workspace.pk)
        pairs = duplicates.pairs(request.workspace.pk).filter(
            state=_one_of(request, "state", DuplicatePair.State.values)
        )
        if reason := _one_of(request, "reason", ["", *duplicates.REASONS]):
            pairs = pairs.filter(reasons__contains=[reason])
        answer = page(pairs, request, row=_PAIR_ROW, ordering=["-id"])
        return Response({**answer, "uncompared": duplicates.uncompared(request.workspace.pk)})


def _one_of(request: SignedInRequest, name: str, choices: list[str]) -> str:
    """What the query says; the first of the choices where it says nothing."""
    chosen = request.query_params.get(name) or choices[0]
    if chosen not in choices:
        raise serializers.ValidationError(
            {name: [_("One of {choices}.").format(choices=", ".join(filter(None, choices)))]}
        )
    return chosen


class DismissPair(APIView):
    permission_classes = [IsManager]

    @extend_schema(request=None, responses=PairState)
    def post(self, request: SignedInRequest, pair_id: int) -> Response:
        """Two leads are not the same: do not offer them again."""
        pair = _pair(request, pair_id)
        duplicates.dismiss(pair, by=request.user)
        return Response({"id": pair_id, "state": DuplicatePair.State.DISMISSED.value})


class ReopenPair(APIView):
    permission_classes = [IsManager]

    @extend_schema(request=None, responses=PairState)
    def post(self, request: SignedInRequest, pair_id: int) -> Response:
        """Offer a dismissed pair again, as long as its leads still share something."""
        duplicates.reopen(_pair(request, pair_id))
        return Response({"id": pair_id, "state": DuplicatePair.State.OPEN.value})


def _pair(request: SignedInRequest, pair_id: int) -> Any:
    pair = duplicates.pairs(request.workspace.pk).filter(pk=pair_id)
    if not pair.exists():
        raise NotFound
    return pair


class MergeLeads(Idempotent, APIView):
    permission_classes = [IsManager]

    @extend_schema(
        request=MergeRequest,
        responses={201: MergedSerializer, 200: MergePreviewSerializer},
    )
    def post(self, request: SignedInRequest) -> Response:
        """Make one lead of several, many times over if wanted; all or nothing. With `preview`, tell what would come of it."""
        wanted = MergeRequest.parse(request)
        wishes = wanted["wishes"]
        if wanted["preview"]:
            previews = merging.preview(wishes, workspace=request.workspace)
            answers = [_previewed(wish, fields) for wish, fields in zip(wishes, previews, strict=True)]
        else:
            merged = merging.merge(wishes, workspace=request.workspace, by=Author.of(request.membership))
            answers = _merged(merged, request.workspace)
        code = status.HTTP_200_OK if wanted["preview"] else status.HTTP_201_CREATED
        return Response({"merges": answers} if wanted["several"] else answers[0], status=code)


def _previewed(wish: Wish, fields: dict[str, Any]) -> dict[str, Any]:
    fields.pop("catalogue_lead_id")
    return {"survivor_id": wish.survivor, "merged_ids": list(wish.losers), "fields": fields}


def _merged(merged: list[Merged], workspace: Workspace) -> list[dict[str, Any]]:
    survivors = Lead.objects.for_workspace(workspace).filter(pk__in=[one.survivor_id for one in merged])
    leads = {lead_id: Fragment(row) for lead_id, row in survivors.values_list("pk", LEAD_ROW)}
    return [{**asdict(one), "lead": leads[one.survivor_id]} for one in merged]


class Merges(APIView):
    permission_classes = [IsManager]

    @extend_schema(parameters=_PAGING, responses=MergePage)
    def get(self, request: SignedInRequest) -> Response:
        """The merges of this workspace, the newest first."""
        merges = Merge.objects.for_workspace(request.workspace)
        return Response(page(merges, request, row=_MERGE_ROW, ordering=["-id"]))


class OneMerge(APIView):
    permission_classes = [IsManager]

    @extend_schema(responses=MergeSerializer)
    def get(self, request: SignedInRequest, merge_id: int) -> Response:
        """One of the workspace's merges."""
        rows = Merge.objects.for_workspace(request.workspace).filter(pk=merge_id)
        found = rows.values_list(_MERGE_ROW, flat=True).first()
        if found is None:
            raise NotFound
        return Response(Fragment(found))


class UndoMerge(Idempotent, APIView):
    permission_classes = [IsManager]

    @extend_schema(request=None, responses=UnmergedSerializer)
    def post(self, request: SignedInRequest, merge_id: int) -> Response:
        """Bring the leads back that went in a merge. What somebody has changed of the survivor since stays, and is listed."""
        done = unmerging.undo(merge_id, workspace=request.workspace, by=Author.of(request.membership))
        lead = Lead.objects.filter(pk=done.survivor_id).flat().get()
        return Response({**asdict(done), "lead": Fragment(lead)})
