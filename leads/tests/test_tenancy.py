"""Two workspaces, every route of the OpenAPI document: nothing of the one is ever seen or touched by the other."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Invitation, Membership, RefreshToken, User
from ai.models import (
    AICall,
    AIMonth,
    AnalysisRun,
    ChatMessage,
    ChatSession,
    Chunk,
    Document,
    LeadAnalysis,
    Prompt,
    PromptCase,
    PromptRelease,
    PromptVersion,
    Proposal,
)
from billing.models import BillingAccount, Plan, Subscription, TopUp
from crm.models import ChangedLead, Conflict, Connection, Creation, Deal, InboxEvent, Link, SyncRun, TokenMeter
from leads.exports import quoting
from leads.models import (
    Activity,
    Assignment,
    Availability,
    BulkChange,
    CustomField,
    DistributionRule,
    DuplicatePair,
    Export,
    ExportedLead,
    ExportQuote,
    ImportBatch,
    Lead,
    LeadCredit,
    Merge,
    RejectedRow,
    SavedView,
    Suppression,
    Usage,
    UsageAlert,
    UsageEntry,
    WaitingLead,
)
from leads.quotas import current_month
from leads.tests.factories import make_lead
from zevix.models import Event, IdempotentAnswer

pytestmark = pytest.mark.django_db

SECRET = "belongs-to-the-stranger"
TENANTS_TABLES = [
    Lead,
    Activity,
    Export,
    ExportedLead,
    ExportQuote,
    ImportBatch,
    RejectedRow,
    Usage,
    UsageEntry,
    LeadCredit,
    UsageAlert,
    BillingAccount,
    Subscription,
    TopUp,
    DistributionRule,
    Availability,
    Assignment,
    WaitingLead,
    DuplicatePair,
    Merge,
    CustomField,
    SavedView,
    BulkChange,
    Event,
    IdempotentAnswer,
    Membership,
    RefreshToken,
    Invitation,
    Prompt,
    PromptVersion,
    PromptRelease,
    PromptCase,
    AICall,
    AIMonth,
    Proposal,
    ChatSession,
    ChatMessage,
    AnalysisRun,
    LeadAnalysis,
    Connection,
    TokenMeter,
    Deal,
    Link,
    Conflict,
    Creation,
    ChangedLead,
    InboxEvent,
    SyncRun,
]
# those that have no workspace of their own
OWNERS = {RejectedRow: "batch"} | dict.fromkeys([PromptVersion, PromptRelease, PromptCase], "prompt")


def operations():
    from drf_spectacular.generators import SchemaGenerator

    document = SchemaGenerator().get_schema(request=None, public=True)
    return [(method, path) for path, operations in document["paths"].items() for method in operations]


def rows_of(workspace):
    """Everything that a workspace has, to compare before and after."""
    return {
        model.__name__: list(
            model.objects.filter(
                **{f"{OWNERS[model]}__workspace" if model in OWNERS else "workspace": workspace}
            ).order_by("pk").values()
        )
        for model in TENANTS_TABLES
    }  # fmt: skip


@pytest.fixture
def strangers_things(stranger, client_of):
    """One of everything in the other workspace."""
    theirs = client_of(stranger)
    lead = make_lead(
        stranger.workspace, external_id=SECRET, company=SECRET, email=f"{SECRET}@x.example", tags=[SECRET], source=SECRET
    )  # fmt: skip
    theirs.post("/zevix/export-lead", {"lead_id": lead.pk}, headers={"Idempotency-Key": SECRET})
    theirs.post(f"/api/v1/leads/{lead.pk}/activities", {"type": "task", "text": f"{SECRET}@x.example"})
    theirs.post("/api/v1/invitations", {"email": f"{SECRET}@x.example"})
    in_it = {"user_id": stranger.user_id, "tags": [SECRET]}
    theirs.post("/api/v1/distribution-rules", {"name": SECRET, "tags": [SECRET], "members": [in_it]})
    theirs.put(f"/api/v1/availabilities/{stranger.user_id}", {"daily_capacity": 1})
    for _ in range(2):
        theirs.post("/api/v1/leads", {"company": SECRET, "email": f"{SECRET}@x.example", "tags": [SECRET]})
    theirs.post("/import/leads", f"company,email\n{SECRET},\n{SECRET},{SECRET}\n", content_type="text/csv")
    theirs.post("/api/v1/leads/merge", {"survivor": lead.pk, "losers": [Lead.objects.latest("pk").pk]})
    theirs.get("/api/v1/leads/duplicates")
    theirs.post("/api/v1/fields", {"key": "secret", "label": SECRET, "kind": "text"})
    theirs.post("/api/v1/views", {"name": SECRET, "is_shared": True})
    theirs.post("/api/v1/leads/bulk", {"ids": [lead.pk], "set": {"score": 1}})
    theirs.post("/api/v1/exports/quote", {"lead_ids": [SECRET]})
    theirs.post("/api/v1/suppressions", {"value": f"{SECRET}@x.example"})
    entry = {"workspace": stranger.workspace, "month": current_month()}
    UsageEntry.objects.create(**entry, kind="adjustment", credits=7, reason=SECRET)
    UsageAlert.objects.create(**entry, threshold=80, plan=SECRET)
    BillingAccount.objects.create(workspace=stranger.workspace, customer_id=SECRET)
    Subscription.objects.create(workspace=stranger.workspace, plan=Plan.objects.get(code="pro"), stripe_id=SECRET)
    TopUp.objects.create(workspace=stranger.workspace, leads=1, currency="usd", amount=1, session_id=SECRET)
    told = f"{SECRET}@x.example {{{{ messages }}}}"
    theirs.post("/api/v1/prompts", {"key": "chat", "english": told})
    theirs.post("/api/v1/prompts/chat/versions/1/publish", {})
    theirs.post("/api/v1/prompts/chat/cases", {"name": told, "variables": {}, "checks": []})
    AICall.objects.create(**entry, action=f"{SECRET}@x.example", model=SECRET, cost=1, outcome="completed")
    # by the lead's number, which stands in every path that names no other
    run = AnalysisRun.objects.create(pk=lead.pk, workspace=stranger.workspace, failure=f"{SECRET}@x.example")
    LeadAnalysis.objects.create(workspace=stranger.workspace, run=run, lead=lead, failure=f"{SECRET}@x.example")
    chat = ChatSession.objects.create(workspace=stranger.workspace, user=stranger.user, lead=lead, last_seq=1)
    words = {"seq": 1, "role": "user", "text": f"{SECRET}@x.example"}
    ChatMessage.objects.create(workspace=stranger.workspace, session=chat, **words)
    document = Document.objects.create(
        workspace=stranger.workspace, title=f"{SECRET}@x.example", kind="text", file=b"", size=0
    )
    Chunk.objects.create(workspace=stranger.workspace, document=document, number=1, text=f"{SECRET}@x.example")
    Proposal.objects.create(
        workspace=stranger.workspace,
        kind="create_lead",
        payload={"company": SECRET, "email": f"{SECRET}@x.example"},
        expires_at=timezone.now() + timedelta(days=1),
    )
    pipedrive, _ = Connection.objects.get_or_create(workspace=stranger.workspace, defaults={"company_name": SECRET})
    TokenMeter.objects.create(workspace=stranger.workspace, connection=pipedrive)
    Deal.objects.create(
        workspace=stranger.workspace, connection=pipedrive, lead=lead, title=f"{SECRET}@x.example", remote_id=4711
    )
    linked = {"workspace": stranger.workspace, "connection": pipedrive, "lead": lead}
    Link.objects.create(**linked, person_id=4711, problem=f"{SECRET}@x.example")
    Conflict.objects.create(**linked, field="email", ours=f"{SECRET}@x.example", theirs="")
    Creation.objects.create(
        workspace=stranger.workspace, connection=pipedrive, kind="person", key=f"{SECRET}@x.example"
    )
    of_theirs = {"workspace": stranger.workspace, "connection": pipedrive}
    InboxEvent.objects.create(**of_theirs, event_id=SECRET, entity="person", entity_id=4711, action="change")
    SyncRun.objects.create(**of_theirs, kind="plan", failure=SECRET, result={"items": [SECRET]})
    return lead


@pytest.mark.parametrize(("method", "path"), operations(), ids=lambda value: value)
def test_no_route_shows_or_touches_another_workspaces_rows(
    api, stranger, strangers_things, stripe_server, openai_server, method, path
):
    User.objects.update(is_beta_user=True)  # so that nothing is refused before it is looked for
    before = rows_of(stranger.workspace)
    ids = {
        "member_id": stranger.pk,
        "workspace_id": stranger.workspace_id,
        "user_id": stranger.user_id,
        "rule_id": DistributionRule.objects.get().pk,
        "invitation_id": Invitation.objects.get().pk,
        "activity_id": Activity.objects.get().pk,
        "pair_id": DuplicatePair.objects.first().pk,
        "merge_id": Merge.objects.get().pk,
        "field_id": CustomField.objects.get().pk,
        "view_id": SavedView.objects.get().pk,
        "bulk_id": BulkChange.objects.get().pk,
        "export_id": Export.objects.get().pk,
        "suppression_id": Suppression.objects.get().pk,
        "session_id": ChatSession.objects.get().pk,
        "case_id": PromptCase.objects.get().pk,
        "document_id": Document.objects.get().pk,
        "proposal_id": Proposal.objects.get().pk,
        "conflict_id": Conflict.objects.get().pk,
        "deal_id": 4711,
        "run_id": SyncRun.objects.get().pk,
    }
    filled = re.sub(r"\{(\w+)\}", lambda name: str(ids.get(name[1], strangers_things.pk)), path)
    names_theirs = {
        "lead_id": strangers_things.pk,
        "lead_ids": [strangers_things.pk, SECRET],
        "external_id": SECRET,
    }

    def ask(body=None, query="", content_type="application/json", **headers):
        data = body if isinstance(body, str) else json.dumps(body)
        return api.generic(method.upper(), filled + query, data, content_type=content_type, headers=headers)

    answers = [
        ask(),
        ask(names_theirs),
        *(ask({name: value}) for name, value in names_theirs.items()),
        ask(f"external_id,notes\n{SECRET},mine\n", content_type="text/csv"),
        ask({"ids": [strangers_things.pk], "delete": True}),
        ask({"filter": {"search": SECRET}, "set": {"score": 2}}),
        ask({"filter": {"extra.secret": "x"}, "assign": None}),
        ask({"filter": {"search": SECRET}}),
        ask({"quote": quoting.signed(ExportQuote.objects.for_workspace(stranger.workspace).get())}),
        ask({"survivor": strangers_things.pk, "losers": [strangers_things.pk + 1]}),
        ask({"name": "Anna"}, **{"Idempotency-Key": SECRET}),
        ask({"action": "summarize", "data": {"lead_id": strangers_things.pk}}),
        ask({"key": "chat"}),
        ask({"choice": "pipedrive"}),
        ask({"choice": "zevix", "ids": [Conflict.objects.get().pk]}),
        ask({"query": SECRET}),
        ask({"message": "Hello", "session_id": str(ids["session_id"])}),
        ask({"message": "Hello", "lead_id": strangers_things.pk}),
        ask({"message": "Hello", "workspace": stranger.workspace.public_key}),
        *(
            ask(query=f"?{name}={value}")
            for name, value in [
                ("search", SECRET),
                ("tag", SECRET),
                ("source", SECRET),
                ("import_batch", 1),
                ("assigned_to", stranger.user.pk),
            ]
        ),
    ]

    for answer in answers:
        assert answer.status_code < 500, answer.content
        assert b"@x.example" not in answer.content
        assert b'"company":"' + SECRET.encode() not in answer.content
        if "{" in path:
            assert answer.status_code == 404
    assert rows_of(stranger.workspace) == before


def test_the_walk_knows_every_route():
    walked = {path for _method, path in operations()}

    assert {"/api/v1/leads", "/api/v1/leads/{lead_id}", "/zevix/export-leads-batch", "/import/leads"} <= walked
