"""Front doors: distribution rules, who is there, distributing, and why a lead is whose it is."""

from typing import Any

from django.db.models import Exists, OuterRef
from drf_spectacular.utils import OpenApiParameter, extend_schema
from orjson import Fragment
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership
from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from leads.distribution import distributing, rules
from leads.distribution.distributing import AT_ONCE, Outcome, Run
from leads.distribution.explaining import explain
from leads.history import Author
from leads.models import DistributionRule, Lead, WaitingLead
from leads.serializers.distribution import (
    AVAILABILITY_ROW,
    RULE_ROW,
    WAITING_ROW,
    AvailabilityPage,
    AvailabilityRequest,
    AvailabilitySerializer,
    DistributedSerializer,
    DistributeRequest,
    NewRuleRequest,
    QueuedSerializer,
    RulePage,
    RuleRequest,
    RuleSerializer,
    WaitingPage,
    WhySerializer,
)
from zevix.api.idempotency import Idempotent
from zevix.api.pages import page
from zevix.errors import Forbidden, NotFound

_SHOWN_WAITING = 100
_PAGING = [
    OpenApiParameter("limit", int, description="1–500, default 50"),
    OpenApiParameter("cursor", str),
    OpenApiParameter("count", bool, description="`true` adds `count`"),
]


class ManagersWrite(IsManager):
    """Everybody reads."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return super(IsManager, self).has_permission(request, view)
        return super().has_permission(request, view)


class DistributionRules(Idempotent, APIView):
    permission_classes = [ManagersWrite]

    @extend_schema(parameters=_PAGING, responses=RulePage)
    def get(self, request: SignedInRequest) -> Response:
        """The workspace's rules, in the order in which leads come to them."""
        found = DistributionRule.objects.for_workspace(request.workspace)
        return Response(page(found, request, row=RULE_ROW, ordering=["position", "id"]))

    @extend_schema(request=NewRuleRequest, responses={201: RuleSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Add a rule, behind the others unless `position` says where. For managers."""
        rule_id = rules.create(NewRuleRequest.parse(request), workspace=request.workspace)
        return Response(_read_rule(rule_id, request), status=status.HTTP_201_CREATED)


class OneDistributionRule(APIView):
    permission_classes = [ManagersWrite]

    @extend_schema(responses=RuleSerializer)
    def get(self, request: SignedInRequest, rule_id: int) -> Response:
        """One of the workspace's rules."""
        return Response(_read_rule(rule_id, request))

    @extend_schema(request=RuleRequest, responses=RuleSerializer)
    def patch(self, request: SignedInRequest, rule_id: int) -> Response:
        """Change any subset of a rule; `members` are all that it has afterwards. For managers."""
        rule = DistributionRule.objects.for_workspace(request.workspace).filter(pk=rule_id).first()
        if rule is None:
            raise NotFound
        wanted = RuleRequest(data=request.data, context={"request": request, "rule": rule})
        wanted.is_valid(raise_exception=True)
        rules.update(rule_id, wanted.validated_data, workspace=request.workspace)
        return Response(_read_rule(rule_id, request))

    @extend_schema(responses={204: None})
    def delete(self, request: SignedInRequest, rule_id: int) -> Response:
        """Leads stay with whom the rule gave them to. For managers."""
        rules.delete(rule_id, workspace=request.workspace)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Availabilities(APIView):
    @extend_schema(parameters=_PAGING, responses=AvailabilityPage)
    def get(self, request: SignedInRequest) -> Response:
        """Of every member, how many leads a day they take, when they are away, and what rules have given them today."""
        members = Membership.objects.for_workspace(request.workspace)
        return Response(page(members, request, row=AVAILABILITY_ROW, ordering=["id"]))


class OneAvailability(APIView):
    @extend_schema(request=AvailabilityRequest, responses=AvailabilitySerializer)
    def put(self, request: SignedInRequest, user_id: int) -> Response:
        """Change any subset. Managers change everybody's; agents say when they themselves are away."""
        member = Membership.objects.of(user_id=user_id, workspace_id=request.workspace.pk)
        if member is None:
            raise NotFound
        changes = AvailabilityRequest.parse(request)
        own_absence = user_id == request.user.pk and "daily_capacity" not in changes
        if not request.membership.manages and not own_absence:
            raise Forbidden
        rules.set_availability(member.user, changes, workspace=request.workspace)
        shown = Membership.objects.filter(pk=member.pk).values_list(AVAILABILITY_ROW, flat=True)
        return Response(Fragment(shown[0]))


class Distribute(Idempotent, APIView):
    permission_classes = [IsManager]

    @extend_schema(request=DistributeRequest, responses={200: DistributedSerializer, 202: QueuedSerializer})
    def post(self, request: SignedInRequest) -> Response:
        """Give leads without an owner to somebody by the rules: those named, those of a filter, or all. Above 20,000 by a job (202),
        which tells how far it is by `lead.assigned` events."""
        wanted = DistributeRequest.parse(request)
        if "lead_ids" in wanted:
            return _distributed(wanted["lead_ids"], request, reassign=wanted["reassign"])
        chosen = {"filter": wanted["filter"]} if wanted.get("filter") else {}
        leads = distributing.unassigned(request.workspace, chosen, user_id=request.user.pk)
        ids = list(leads.order_by("workspace_id", "pk").values_list("pk", flat=True)[: AT_ONCE + 1])
        if len(ids) <= AT_ONCE:
            return _distributed(ids, request)
        run = Run(
            request.workspace.pk, chosen, distributing.new_act(), user_id=request.user.pk, total=leads.order_by().count()
        )  # fmt: skip
        distributing.queue(run)
        queued = {"status": "queued", "distribution": run.act, "lead_count": run.total}
        return Response(queued, status=status.HTTP_202_ACCEPTED)


class WaitingLeads(APIView):
    @extend_schema(parameters=_PAGING, responses=WaitingPage)
    def get(self, request: SignedInRequest) -> Response:
        """The leads that no rule has found anybody for, oldest first, each with the reason."""
        without_owner = Lead.objects.filter(pk=OuterRef("lead"), assigned_user=None)
        waiting = WaitingLead.objects.for_workspace(request.workspace).filter(Exists(without_owner))
        return Response(page(waiting, request, row=WAITING_ROW, ordering=["lead"]))


class Why(APIView):
    @extend_schema(responses=WhySerializer)
    def get(self, request: SignedInRequest, lead_id: int) -> Response:
        """Why the lead has this owner, or none; this score; and what an export of it costs."""
        return Response(explain(lead_id, workspace=request.workspace))


def _read_rule(rule_id: int, request: SignedInRequest) -> Fragment:
    """The rule as it is answered. Raises NotFound."""
    rule = DistributionRule.objects.for_workspace(request.workspace).filter(pk=rule_id)
    row = rule.values_list(RULE_ROW, flat=True).first()
    if row is None:
        raise NotFound
    return Fragment(row)


def _distributed(lead_ids: list[int], request: SignedInRequest, *, reassign: bool = False) -> Response:
    act = distributing.new_act()
    known = Lead.objects.for_workspace(request.workspace).filter(pk__in=lead_ids).count()
    outcome = distributing.distribute(
        lead_ids, workspace=request.workspace, by=Author.of(request.membership), act=act, reassign=reassign
    )
    unchanged = known - len(outcome.assigned) - len(outcome.waiting)
    return Response(_shown(outcome, act) | {"unchanged_count": unchanged, "unknown_count": len(lead_ids) - known})


def _shown(outcome: Outcome, act: str) -> dict[str, Any]:
    return {
        "status": "completed",
        "distribution": act,
        "assigned_count": len(outcome.assigned),
        "waiting_count": len(outcome.waiting),
        "by_user": outcome.by_user(),
        "waiting": [{"lead_id": lead_id, "reason": reason} for lead_id, reason in outcome.waiting[:_SHOWN_WAITING]],
    }
