"""Front doors: one lead, what it was before, and the bin."""

import re
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User, Workspace
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from leads import editing, history
from leads.history import Author
from leads.models import LEAD_ROW, Lead, LeadVersion
from leads.serializers.leads import LeadRequest, LeadSerializer
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.api.serializers import RequestSerializer
from zevix.errors import Forbidden, NotFound, Refusal
from zevix.json_rows import json_row

_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag of the lead that was read; a stale one is a 409"
)
_PAGING = [OpenApiParameter("limit", int, description="1–500, default 50"), OpenApiParameter("cursor", str)]


class OneLead(APIView):
    @extend_schema(responses=LeadSerializer)
    def get(self, request: SignedInRequest, lead_id: int) -> Response:
        """One of the workspace's leads, with its ETag."""
        return _answered(lead_id, request.workspace)

    @extend_schema(parameters=[_IF_MATCH], request=LeadRequest, responses=LeadSerializer)
    def put(self, request: SignedInRequest, lead_id: int) -> Response:
        """Change any subset of the fields. Agents change only what is assigned to them."""
        return _changed(request, lead_id)

    @extend_schema(parameters=[_IF_MATCH], request=LeadRequest, responses=LeadSerializer)
    def patch(self, request: SignedInRequest, lead_id: int) -> Response:
        """The same as PUT. Of `extra` the keys given are changed; null removes one."""
        return _changed(request, lead_id)

    @extend_schema(parameters=[_IF_MATCH], responses={204: None})
    def delete(self, request: SignedInRequest, lead_id: int) -> Response:
        """Put a lead into the bin, where it stays for 30 days. For managers."""
        if not request.membership.manages:
            _answered(lead_id, request.workspace)
            raise Forbidden
        by, versions = Author.of(request.membership), versions_wanted(request)
        editing.delete_one(lead_id, workspace=request.workspace, by=by, versions=versions)
        return Response(status=status.HTTP_204_NO_CONTENT)


def versions_wanted(request: SignedInRequest) -> set[int] | None:
    """The versions that ``If-Match`` names (RFC 9110, 13.1.1); None where any will do. A tag that is none of ours matches nothing."""
    header = request.META.get("HTTP_IF_MATCH", "").strip()
    if header in ("", "*"):
        return None
    # some proxies weaken the tags of what they compress
    return {int(number) for number in re.findall(r'(?:^|[\s,])(?:W/)?"([0-9]{1,18})"', header)}


def _changed(request: SignedInRequest, lead_id: int) -> Response:
    try:
        changes = LeadRequest.parse(request)
    except (APIException, Refusal):
        _answered(lead_id, request.workspace)  # of a lead that is not there, nothing can be wrong
        raise
    by = Author.of(request.membership)
    editing.update(lead_id, changes, workspace=request.workspace, by=by, versions=versions_wanted(request))
    return _answered(lead_id, request.workspace)


def _answered(lead_id: int, workspace: Workspace) -> Response:
    """Raises NotFound."""
    found = Lead.objects.for_workspace(workspace).filter(pk=lead_id).values_list(LEAD_ROW, "version").first()
    if found is None:
        raise NotFound
    text, version = found
    return Response(Fragment(text), headers={"ETag": f'"{version}"'})


# History ------------------------------------------------------------------------------------------------------------------


class Person(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()


class HistoryEntry(serializers.Serializer):
    """Something that was done to a lead. ``n`` is the version that came of it, to be restored by; a deletion made none."""

    n = serializers.IntegerField(allow_null=True)
    action = serializers.ChoiceField(choices=["created", "updated", "deleted", "restored"])
    at = serializers.DateTimeField()
    user = Person(allow_null=True)
    source = serializers.CharField(  # type: ignore[assignment]  # REST framework has an attribute of that name
        help_text="human, api, import, crm, ai, scrape, catalogue or system"
    )
    act = serializers.CharField(help_text="import:12, bulk:3, merge:4, restore:2, undo:import:12 …, or empty")
    request_id = serializers.CharField(allow_null=True)
    changes = serializers.DictField(help_text='field → {"old", "new"}')


class HistoryPage(serializers.Serializer):
    results = HistoryEntry(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


_VERSION_ROW = json_row(
    LeadVersion, [*history.CONTENT, "id", "version", "pgh_id", "pgh_label", "pgh_created_at", "pgh_context"]
)
_NOW_ROW = json_row(Lead, [*history.CONTENT, "version", "origin", "created_at"])


class LeadHistory(APIView):
    @extend_schema(parameters=_PAGING, responses=HistoryPage)
    def get(self, request: SignedInRequest, lead_id: int) -> Response:
        """Who changed what of a lead, when and from which source; the newest first. Leads in the bin have theirs, too."""
        versions = history.states(lead_id, request.workspace.pk)
        now = Lead.objects.for_workspace(request.workspace).filter(pk=lead_id).values_list(_NOW_ROW, flat=True).first()
        if now is None and not versions.exists():
            raise NotFound
        answer = page(versions, request, row=_VERSION_ROW, ordering=["-pgh_id"], show=_parsed)
        rows = answer["results"]
        answer["results"] = _entries(rows, _after(rows, versions, now), last_page=answer["next"] is None, now=now)
        _name_people(answer["results"])
        return Response(answer)


def _parsed(texts: list[str]) -> list[dict[str, Any]]:
    return [orjson.loads(text) for text in texts]


def _after(rows: list[dict[str, Any]], versions: Any, now: str | None) -> dict[str, Any] | None:
    """The state that followed the newest of ``rows``; None where that was the lead's deletion."""
    following = None
    if rows:
        newer = versions.filter(pgh_id__gt=rows[0]["pgh_id"]).order_by("pgh_id")
        following = newer.values_list(_VERSION_ROW, flat=True).first()
    found = following or now
    return orjson.loads(found) if found else None


def _entries(
    rows: list[dict[str, Any]], after: dict[str, Any] | None, *, last_page: bool, now: str | None
) -> list[dict[str, Any]]:
    entries = []
    for row in rows:
        context = row["pgh_context"] or {}
        deleted = row["pgh_label"] == "delete"
        changes = {} if deleted or after is None else history.differences(row, after)
        returned = (
            not deleted
            and context.get("act", "").startswith(("restore:bin", "undo:bulk", "undo:merge"))
            and not changes
        )
        entries.append(
            _entry(
                None if deleted or after is None else after["version"],
                "deleted" if deleted else "restored" if returned else "updated",
                row["pgh_created_at"],
                context,
                changes,
            )
        )
        after = row
    if last_page and after is not None:
        origin = after.get("origin") if now is None else orjson.loads(now)["origin"]
        created_at = orjson.loads(now)["created_at"] if now else None
        entries.append(_entry(1, "created", created_at, origin or {}, {}))
    return entries


def _entry(n: int | None, action: str, at: Any, context: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {
        "n": n,
        "action": action,
        "at": at,
        "user": context.get("user"),
        "source": context.get("source", "system"),
        "act": context.get("act", ""),
        "request_id": context.get("request"),
        "changes": changes,
    }


def _name_people(entries: list[dict[str, Any]]) -> None:
    """Put id and address in place of the ids alone; one query."""
    emails = dict(
        User.objects.filter(pk__in={entry["user"] for entry in entries if entry["user"]}).values_list("pk", "email")
    )
    for entry in entries:
        user_id = entry["user"]
        entry["user"] = {"id": user_id, "email": emails[user_id]} if user_id in emails else None


class RestoreVersion(Idempotent, APIView):
    @extend_schema(request=None, responses=LeadSerializer)
    def post(self, request: SignedInRequest, lead_id: int, number: int) -> Response:
        """Give a lead back what it held as version `n`."""
        editing.restore(lead_id, number, workspace=request.workspace, by=Author.of(request.membership))
        return _answered(lead_id, request.workspace)


class OriginSerializer(serializers.Serializer):
    source = serializers.CharField()  # type: ignore[assignment]  # REST framework has an attribute of that name
    at = serializers.DateTimeField()
    user_id = serializers.IntegerField(allow_null=True)
    act = serializers.CharField()


# a serializer with a field for each of a lead's
ProvenanceSerializer = type(
    "ProvenanceSerializer", (serializers.Serializer,), {field: OriginSerializer() for field in history.FIELDS}
)


class Provenance(APIView):
    @extend_schema(responses=ProvenanceSerializer)
    def get(self, request: SignedInRequest, lead_id: int) -> Response:
        """For each field, who wrote its value, from where, and when."""
        found = history.provenance(Lead.objects.for_workspace(request.workspace).filter(pk=lead_id))
        if not found:
            raise NotFound
        return Response(ProvenanceSerializer(found[lead_id]).data)


# The bin ------------------------------------------------------------------------------------------------------------------


class BinnedLead(LeadSerializer):
    deleted_at = serializers.DateTimeField()
    deleted_by = serializers.IntegerField(allow_null=True)

    class Meta(LeadSerializer.Meta):
        fields = [*LeadSerializer.Meta.fields, "deleted_at", "deleted_by"]
        read_only_fields = fields


class BinPage(serializers.Serializer):
    results = BinnedLead(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    count = serializers.IntegerField(required=False)


_BIN_ROW = json_row(
    LeadVersion,
    [*Lead.COLUMNS, "pgh_created_at", "pgh_context"],
    {"practice_name": "company", "owner_name": "name", "practice_phone": "phone", "deleted_at": "pgh_created_at"},
)


def _as_binned(texts: list[str]) -> list[dict[str, Any]]:
    rows = _parsed(texts)
    for row in rows:
        del row["pgh_created_at"]
        row["deleted_by"] = (row.pop("pgh_context") or {}).get("user")
    return rows


class Bin(APIView):
    @extend_schema(parameters=[*_PAGING, OpenApiParameter("count", bool)], responses=BinPage)
    def get(self, request: SignedInRequest) -> Response:
        """Leads deleted within the last 30 days, the latest first."""
        found = history.in_bin(request.workspace.pk)
        return Response(page(found, request, row=_BIN_ROW, ordering=["-pgh_id"], show=_as_binned))


class RestoreFromBinRequest(RequestSerializer):
    ids = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1)

    def validate_ids(self, ids: list[int]) -> list[int]:
        if len(ids) > settings.EXPORT_BATCH_MAX:
            raise serializers.ValidationError(_("At most {limit} ids.").format(limit=settings.EXPORT_BATCH_MAX))
        return list(dict.fromkeys(ids))


class RestoredLeads(serializers.Serializer):
    restored_ids = serializers.ListField(child=serializers.IntegerField())
    not_restored_ids = serializers.ListField(
        child=serializers.IntegerField(), help_text="not in the bin, or their external id belongs to another lead now"
    )


class RestoreFromBin(Idempotent, APIView):
    permission_classes = [IsManager]

    @extend_schema(request=RestoreFromBinRequest, responses=RestoredLeads)
    def post(self, request: SignedInRequest) -> Response:
        """Bring leads back from the bin, as they were. For managers."""
        ids = RestoreFromBinRequest.parse(request)["ids"]
        back = set(editing.restore_deleted(ids, workspace=request.workspace, by=Author.of(request.membership)))
        return Response(
            {
                "restored_ids": [lead_id for lead_id in ids if lead_id in back],
                "not_restored_ids": [lead_id for lead_id in ids if lead_id not in back],
            }
        )
