"""The admin as a whole: who gets in, what they see, what a page costs."""

import io

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django import app as jobs

from accounts.models import Invitation, Membership, RefreshToken, Role, User, Workspace
from accounts.tests.factories import make_member
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
    PromptEvaluation,
    PromptVersion,
    Proposal,
)
from billing.models import BillingAccount, Plan, StripeEvent, Subscription, TopUp, TopUpPack
from crm.models import ChangedLead, Conflict, Connection, Creation, Deal, InboxEvent, Link, SyncRun, TokenMeter
from leads.history import Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource
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
    LeadVersion,
    Merge,
    RejectedRow,
    SavedView,
    Suppression,
    Undo,
    Usage,
    UsageAlert,
    UsageEntry,
    WaitingLead,
)
from leads.quotas import current_month
from leads.tests.factories import give_plan, make_lead
from zevix.models import Event, IdempotentAnswer

pytestmark = pytest.mark.django_db

SECRET = "belongs-to-the-stranger"
TENANTS = {
    Workspace: "pk",
    Membership: "workspace",
    RefreshToken: "workspace",
    Invitation: "workspace",
    Lead: "workspace",
    Activity: "workspace",
    Usage: "workspace",
    UsageEntry: "workspace",
    LeadCredit: "workspace",
    UsageAlert: "workspace",
    Export: "workspace",
    ExportedLead: "workspace",
    ExportQuote: "workspace",
    Suppression: "workspace",
    ImportBatch: "workspace",
    RejectedRow: "batch__workspace",
    LeadVersion: "workspace",
    Undo: "workspace",
    BulkChange: "workspace",
    CustomField: "workspace",
    SavedView: "workspace",
    DuplicatePair: "workspace",
    Merge: "workspace",
    DistributionRule: "workspace",
    Availability: "workspace",
    Assignment: "workspace",
    WaitingLead: "workspace",
    Prompt: "workspace",
    PromptVersion: "prompt__workspace",
    PromptCase: "prompt__workspace",
    PromptEvaluation: "version__prompt__workspace",
    AICall: "workspace",
    AIMonth: "workspace",
    Proposal: "workspace",
    ChatSession: "workspace",
    AnalysisRun: "workspace",
    LeadAnalysis: "workspace",
    Document: "workspace",
    Chunk: "workspace",
    Connection: "workspace",
    TokenMeter: "workspace",
    Deal: "workspace",
    Link: "workspace",
    Conflict: "workspace",
    Creation: "workspace",
    ChangedLead: "workspace",
    InboxEvent: "workspace",
    SyncRun: "workspace",
}
OPERATORS = [User, Plan, Subscription, Event, IdempotentAnswer, BillingAccount, StripeEvent, TopUpPack, TopUp]


def page(model, view, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def list_of(model):
    return page(model, "changelist")


@pytest.fixture
def strangers_things(client_of):
    """One of everything in another workspace, each with a word that tells whose it is."""
    stranger = make_member(email=f"{SECRET}@x.example")
    Workspace.objects.filter(pk=stranger.workspace_id).update(name=SECRET)
    give_plan(stranger.workspace, 50)
    theirs = client_of(stranger)
    theirs.post("/api/v1/invitations", {"email": f"{SECRET}@invited.example"})
    in_it = {"user_id": stranger.user_id, "tags": [SECRET]}
    theirs.post("/api/v1/distribution-rules", {"name": SECRET, "tags": [SECRET], "members": [in_it]})
    theirs.put(f"/api/v1/availabilities/{stranger.user_id}", {"daily_capacity": 1})
    for _ in range(2):
        theirs.post("/api/v1/leads", {"company": SECRET, "tags": [SECRET]})
    lead = make_lead(stranger.workspace, external_id=SECRET, company=SECRET, source=SECRET, assigned_user=stranger.user)
    theirs.post("/zevix/export-lead", {"lead_id": lead.pk}, headers={"Idempotency-Key": SECRET})
    theirs.post(f"/api/v1/leads/{lead.pk}/activities", {"type": "note", "text": SECRET})
    table = CsvSource(io.BytesIO(f"company,email\n{SECRET},\n{SECRET},{SECRET}\n".encode()))
    batch = importing.run(
        table, Options(), workspace=stranger.workspace, by=Author.of(stranger, "import"), file_name=SECRET
    )
    theirs.patch(f"/api/v1/leads/{lead.pk}", {"name": SECRET})
    theirs.post(f"/api/v1/imports/{batch.pk}/undo")
    twins = [make_lead(stranger.workspace, company=SECRET, email=f"twin@{SECRET}.example") for _ in range(4)]
    theirs.post("/api/v1/leads/merge", {"survivor": twins[0].pk, "losers": [twins[1].pk]})
    assert theirs.get("/api/v1/leads/duplicates").json()["results"]
    theirs.post("/api/v1/fields", {"key": "secret", "label": SECRET, "kind": "text"})
    theirs.post("/api/v1/views", {"name": SECRET, "is_shared": True})
    theirs.post("/api/v1/leads/bulk", {"ids": [lead.pk], "set": {"city": SECRET}})
    theirs.post("/api/v1/exports/quote", {"lead_ids": [SECRET]})
    theirs.post("/api/v1/suppressions", {"value": f"{SECRET}.example"})
    entry = {"workspace": stranger.workspace, "month": current_month()}
    UsageEntry.objects.create(**entry, kind="adjustment", credits=7, reason=SECRET)
    UsageAlert.objects.create(**entry, threshold=80, plan=SECRET)
    BillingAccount.objects.create(workspace=stranger.workspace, customer_id=SECRET)
    StripeEvent.objects.create(event_id=SECRET, type=SECRET, payload={}, sent_at=timezone.now())
    TopUp.objects.create(workspace=stranger.workspace, leads=1, currency="usd", amount=1, session_id=SECRET)
    theirs.post("/api/v1/prompts", {"key": "chat", "english": f"{SECRET} {{{{ messages }}}}", "note": SECRET})
    theirs.post("/api/v1/prompts/chat/cases", {"name": SECRET, "variables": {}, "checks": [{"contains": SECRET}]})
    version = PromptVersion.objects.get(prompt__workspace=stranger.workspace)
    PromptEvaluation.objects.create(
        version=version, passed=0, total=1, results=[{"case": SECRET, "failed": [{"contains": SECRET}]}]
    )
    AICall.objects.create(
        workspace=stranger.workspace, user=stranger.user, action=SECRET, model=SECRET, month=current_month()
    )
    run = AnalysisRun.objects.create(workspace=stranger.workspace, user=stranger.user, failure=SECRET)
    LeadAnalysis.objects.create(workspace=stranger.workspace, run=run, lead=lead, failure=SECRET)
    chat = ChatSession.objects.create(workspace=stranger.workspace, visitor_id=SECRET, last_seq=1)
    ChatMessage.objects.create(workspace=stranger.workspace, session=chat, seq=1, role="user", text=SECRET)
    document = Document.objects.create(
        workspace=stranger.workspace, title=SECRET, category=SECRET, kind="text", file=b"", size=0
    )
    Chunk.objects.create(workspace=stranger.workspace, document=document, number=1, category=SECRET, text=SECRET)
    Proposal.objects.create(
        workspace=stranger.workspace, kind="create_lead", payload={"name": SECRET}, expires_at=timezone.now()
    )
    pipedrive, _ = Connection.objects.get_or_create(workspace=stranger.workspace, defaults={"company_name": SECRET})
    TokenMeter.objects.create(workspace=stranger.workspace, connection=pipedrive)
    Deal.objects.create(workspace=stranger.workspace, connection=pipedrive, lead=lead, title=SECRET, remote_id=1)
    linked = {"workspace": stranger.workspace, "connection": pipedrive, "lead": lead}
    Link.objects.create(**linked, person_id=1, problem=SECRET)
    Conflict.objects.create(**linked, field="name", ours=SECRET, theirs="")
    Creation.objects.create(workspace=stranger.workspace, connection=pipedrive, kind="person", key=SECRET)
    ChangedLead.objects.update_or_create(
        lead_id=lead.pk,
        defaults={"workspace": stranger.workspace, "version": 1, "changed_at": timezone.now(), "problem": SECRET},
    )
    of_theirs = {"workspace": stranger.workspace, "connection": pipedrive}
    InboxEvent.objects.create(
        **of_theirs, event_id=SECRET, entity="person", entity_id=1, action="change", problem=SECRET
    )
    SyncRun.objects.create(**of_theirs, kind="plan", failure=SECRET)
    return stranger.workspace


@pytest.fixture(params=[Role.ADMIN, Role.MANAGER])
def manager(request):
    """Somebody who manages another workspace than that."""
    return make_member(request.param)


# Who gets in


def test_an_agent_cannot_sign_in(anonymous):
    make_member(Role.AGENT, email="agent@example.com", password="a-strong-one-7")

    answer = Client().post(reverse("admin:login"), {"username": "agent@example.com", "password": "a-strong-one-7"})

    assert answer.status_code == 200
    assert answer.context["form"].errors


def test_guessing_passwords_ends_as_it_does_in_the_api(settings):
    settings.AXES_FAILURE_LIMIT = 2
    make_member(Role.MANAGER, email="boss@example.com", username="boss", password="a-strong-one-7")
    browser = Client()

    answers = [
        browser.post(reverse("admin:login"), {"username": name, "password": password})
        for name, password in (
            ("boss", "wrong"), ("boss@example.com", "wrong"), ("boss", "wrong"), ("boss", "a-strong-one-7"),
        )
    ]  # fmt: skip

    sentences = [answer.context["form"].non_field_errors()[0].split(".")[0] for answer in answers]
    assert sentences[0] == sentences[1] == "The e-mail address, the username or the password is wrong"
    assert sentences[2] == sentences[3] == "Too many requests"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"username": "", "password": ""},
        {"username": "x" * 300, "password": "x"},
        {"username": "a\x00", "password": "b"},
    ],
)
def test_a_sign_in_that_says_nothing_is_refused(fields):
    answer = Client().post(reverse("admin:login"), fields)

    assert answer.status_code == 200
    assert answer.context["form"].errors


@pytest.mark.parametrize("name", ["boss@example.com", "boss"])
def test_a_manager_signs_in_by_address_or_username_and_comes_to_the_first_page(name):
    make_member(Role.MANAGER, email="boss@example.com", username="boss", password="a-strong-one-7")

    answer = Client().post(reverse("admin:login"), {"username": name, "password": "a-strong-one-7"})

    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("admin:index"))


def test_an_agent_who_is_signed_in_elsewhere_is_sent_to_the_sign_in_page(in_admin):
    browser = in_admin(make_member(Role.AGENT).user)

    answers = [browser.get(list_of(model)) for model in [*TENANTS, *OPERATORS]]

    assert {answer.status_code for answer in answers} == {302}
    assert all(answer.url.startswith(reverse("admin:login")) for answer in answers)


def test_an_inactive_manager_is_out_at_once(in_admin):
    manager = make_member(Role.MANAGER)
    browser = in_admin(manager.user)

    User.objects.filter(pk=manager.user_id).update(is_active=False)

    assert browser.get(list_of(Lead)).status_code == 302


# What a manager sees


def test_every_list_is_known_to_these_tests():
    from axes.models import AccessAttempt
    from procrastinate.contrib.django.models import ProcrastinateJob

    assert set(admin.site._registry) == {*TENANTS, *OPERATORS, AccessAttempt, ProcrastinateJob}
    assert Group not in admin.site._registry


@pytest.mark.parametrize("model", TENANTS)
def test_a_manager_finds_nothing_of_another_workspace_in_a_list(model, manager, strangers_things, in_admin):
    browser = in_admin(manager.user)

    answers = [
        browser.get(list_of(model), query)
        for query in (
            *({}, {"q": SECRET}, {"all": ""}, {"_facets": "True"}, {"_popup": "1"}),
            *([{"state": "all"}] if model is RefreshToken else []),
            *([{f"{TENANTS[model]}__id__exact": strangers_things.pk}] if TENANTS[model] == "workspace" else []),
        )
    ]

    assert {answer.status_code for answer in answers} == {200}
    # what was asked for stands in the page's own search box and links
    shown = [answer.content.decode() for answer in answers if answer.wsgi_request.GET.get("q") != SECRET]
    assert not any(SECRET in text for text in shown)
    theirs = {row.pk for row in model.objects.filter(**{TENANTS[model]: strangers_things.pk})}
    found = {row.pk for answer in answers for row in answer.context["cl"].result_list}
    assert theirs
    assert not theirs & found


@pytest.mark.parametrize("view", ["change", "history", "delete"])
@pytest.mark.parametrize("model", TENANTS)
def test_a_manager_opens_no_row_of_another_workspace(model, view, manager, strangers_things, in_admin):
    browser = in_admin(manager.user)
    row = model.objects.filter(**{TENANTS[model]: strangers_things.pk}).first()

    answers = [browser.get(page(model, view, row.pk)), browser.post(page(model, view, row.pk), {"post": "yes"})]

    assert {answer.status_code for answer in answers} <= {302, 403, 404, 405}
    assert not any(SECRET in answer.content.decode() for answer in answers)
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", TENANTS)
def test_an_action_does_not_reach_rows_of_another_workspace(model, manager, strangers_things, in_admin):
    browser = in_admin(manager.user)
    rows = model.objects.filter(**{TENANTS[model]: strangers_things.pk})
    before = list(rows.order_by("pk").values())
    actions = [
        "delete_selected",
        "end",
        "assign_to_me",
        "set_status_won",
        "mark_needing_no_action",
        "refund_dead",
        "publish",
        "roll_back",
        "evaluate",
        "cut_anew",
        "try_again",
        "give_up",
    ]

    for action in actions:
        for across in ("0", "1"):
            chosen = {
                "action": action,
                "_selected_action": [row[model._meta.pk.attname] for row in before],
                "post": "yes",
            }
            browser.post(list_of(model), chosen | {"select_across": across, "index": "0"})

    assert list(rows.order_by("pk").values()) == before


@pytest.mark.parametrize("model", OPERATORS)
def test_what_is_the_operators_is_closed_to_managers(model, manager, strangers_things, in_admin):
    browser = in_admin(manager.user)
    row = model.objects.first()

    answers = [browser.get(list_of(model)), browser.get(page(model, "change", row.pk)), browser.get(page(model, "add"))]

    assert {answer.status_code for answer in answers} == {403}
    assert all("You may not do this." in answer.content.decode() for answer in answers)
    assert not any(SECRET in answer.content.decode() for answer in answers)


def test_choices_by_autocompletion_are_a_managers_own(manager, strangers_things, in_admin):
    browser = in_admin(manager.user)

    answer = browser.get(
        reverse("admin:autocomplete"),
        {"app_label": "leads", "model_name": "lead", "field_name": "workspace", "term": ""},
    )

    assert [row["id"] for row in answer.json()["results"]] == [str(manager.workspace_id)]


def test_users_are_not_to_be_had_by_autocompletion(manager, strangers_things, in_admin):
    browser = in_admin(manager.user)

    answers = [
        browser.get(
            reverse("admin:autocomplete"), {"app_label": app, "model_name": model, "field_name": field, "term": ""}
        )
        for app, model, field in (("accounts", "membership", "user"), ("leads", "lead", "assigned_user"))
    ]

    assert {answer.status_code for answer in answers} == {403}


def test_a_list_can_not_be_asked_about_what_its_rows_point_at(manager, in_admin):
    browser = in_admin(manager.user)
    make_lead(manager.workspace, assigned_user=manager.user)

    answers = [
        browser.get(list_of(Lead), {lookup: "a"})
        for lookup in ("assigned_user__password__startswith", "catalogue_lead__email__startswith", "copies__email")
    ]

    assert {answer.status_code for answer in answers} == {400}


def test_the_first_page_names_the_lists_of_a_manager_only(manager, in_admin):
    answer = in_admin(manager.user).get(reverse("admin:index"))

    links = [row["link"] for group in answer.context["sidebar_navigation"] for row in group["items"]]
    assert sorted(links) == sorted(list_of(model) for model in TENANTS)


def test_what_somebody_did_in_a_workspace_is_not_shown_once_they_have_left_it(manager, in_admin):
    lead = make_lead(manager.workspace, company=SECRET)
    browser = in_admin(manager.user)
    browser.post(page(Lead, "delete", lead.pk), {"post": "yes"}, follow=True)
    Membership.objects.create(user=manager.user, workspace=make_member().workspace, role=Role.MANAGER)
    manager.delete()

    answer = browser.get(reverse("admin:index"))

    assert answer.status_code == 200
    assert SECRET not in answer.content.decode()


def test_somebody_with_two_workspaces_sees_both_and_can_tell_them_apart(manager, strangers_things, in_admin):
    other = make_member(Role.MANAGER).workspace
    Membership.objects.create(user=manager.user, workspace=other, role=Role.MANAGER)
    make_lead(manager.workspace), make_lead(other)
    browser = in_admin(manager.user)

    everything = browser.get(list_of(Lead))
    one = browser.get(list_of(Lead), {"workspace__id__exact": other.pk})

    assert {lead.workspace_id for lead in everything.context["cl"].result_list} == {manager.workspace_id, other.pk}
    assert {lead.workspace_id for lead in one.context["cl"].result_list} == {other.pk}
    assert "workspace" in everything.context["cl"].list_display
    assert SECRET not in everything.content.decode()


# What the operator sees


@pytest.mark.parametrize("model", [*TENANTS, *OPERATORS])
def test_the_operator_sees_everything(model, operator, strangers_things, in_admin):
    browser = in_admin(operator)
    row = model.objects.last()

    listed = browser.get(list_of(model), {"state": "all"} if model is RefreshToken else {})
    opened = browser.get(page(model, "change", row.pk))

    assert row.pk in {row.pk for row in listed.context["cl"].result_list}
    assert opened.status_code == 200


@pytest.mark.parametrize(
    "model",
    [
        AICall,
        AIMonth,
        Chunk,
        AnalysisRun,
        LeadAnalysis,
        PromptEvaluation,
        Proposal,
        RefreshToken,
        Usage,
        LeadCredit,
        UsageAlert,
        Export,
        ExportedLead,
        ImportBatch,
        RejectedRow,
        Event,
        IdempotentAnswer,
        BillingAccount,
        StripeEvent,
        TopUp,
    ],
)
def test_a_ledger_is_only_read(model, operator, strangers_things, in_admin):
    browser = in_admin(operator)
    row = model.objects.last()

    answers = [
        browser.get(page(model, "add")),
        browser.get(page(model, "delete", row.pk)),
        browser.post(page(model, "change", row.pk), {}),
        browser.post(page(model, "delete", row.pk), {"post": "yes"}),
    ]

    assert {answer.status_code for answer in answers} == {403}


def test_the_secret_parts_of_answers_and_tokens_are_not_shown(operator, strangers_things, in_admin):
    browser = in_admin(operator)
    token, answer = RefreshToken.objects.get(), IdempotentAnswer.objects.get()

    shown = browser.get(page(RefreshToken, "change", token.pk)).content.decode()
    replayed = browser.get(page(IdempotentAnswer, "change", answer.pk)).content.decode()

    assert bytes(token.digest).hex() not in shown and "memory at" not in shown
    assert "new_ids" not in replayed and "memory at" not in replayed


def test_a_failed_job_is_tried_again_and_a_waiting_one_cancelled(operator, in_admin):
    from django.db import connection
    from procrastinate.contrib.django.models import ProcrastinateJob

    failed = jobs.configure_task("some.task", allow_unknown=True).defer()
    waiting = jobs.configure_task("other.task", allow_unknown=True).defer()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", [failed])
    browser = in_admin(operator)

    browser.post(list_of(ProcrastinateJob), {"action": "retry", "_selected_action": [failed, waiting]})
    browser.post(list_of(ProcrastinateJob), {"action": "cancel", "_selected_action": [waiting]})

    assert ProcrastinateJob.objects.get(pk=failed).status == "todo"
    assert ProcrastinateJob.objects.get(pk=waiting).status == "cancelled"
    assert browser.get(page(ProcrastinateJob, "change", failed)).status_code == 200


def test_deleting_a_lock_out_lets_the_account_try_again(operator, in_admin, anonymous, settings):
    from axes.models import AccessAttempt

    settings.AXES_FAILURE_LIMIT = 2
    make_member(email="ada@example.com", password="a-strong-one-7")
    for password in ("wrong", "wrong", "a-strong-one-7"):
        locked = anonymous.post("/api/auth/login", {"email": "ada@example.com", "password": password})
    attempt = AccessAttempt.objects.get()
    browser = in_admin(operator)

    shown = browser.get(list_of(AccessAttempt), {"locked_out": "yes"})
    browser.post(page(AccessAttempt, "delete", attempt.pk), {"post": "yes"})
    free = anonymous.post("/api/auth/login", {"email": "ada@example.com", "password": "a-strong-one-7"})

    assert locked.status_code == 429
    assert "ada@example.com" in shown.content.decode()
    assert free.status_code == 200


# What it costs, and what it bears


@pytest.mark.parametrize("model", [*TENANTS, *OPERATORS])
def test_no_page_takes_more_than_twenty_queries(
    model, operator, strangers_things, in_admin, django_assert_max_num_queries
):
    browser = in_admin(operator)
    row = model.objects.last()

    for path in (list_of(model), page(model, "change", row.pk), page(model, "history", row.pk), page(model, "add")):
        with django_assert_max_num_queries(20):
            browser.get(path)


ODD_QUERIES = [
    "p=abc", "p=-1", "p=999999", "o=99", "o=abc", "o=-1.-2", "q=%27%5C%20%26%20%7C%20%21%20%3A%2A", "q=%E2%82%AC", "e=1",
    "id__exact=abc", "id__exact=99999999999999999999999", "id__in=1,x", "nosuch=1", "workspace__id__exact=x",
    "workspace__id__exact=", "status__exact=", "assigned=abc", "assigned=99999999999999999999", "state=%25",
    "_to_field=nosuch", "role__exact=nosuch", "month__exact=x", "is_active__exact=maybe", "created_at__gte=never",
]  # fmt: skip


@pytest.mark.parametrize("model", [*TENANTS, *OPERATORS])
def test_a_list_bears_whatever_stands_in_its_address(model, operator, in_admin):
    browser = in_admin(operator)

    answers = {query: browser.get(f"{list_of(model)}?{query}").status_code for query in ODD_QUERIES}

    assert {query for query, status in answers.items() if status not in (200, 302, 400)} == set()


@pytest.mark.parametrize("model", [*TENANTS, *OPERATORS])
def test_a_row_that_there_is_not_leads_back(model, operator, in_admin):
    browser = in_admin(operator)

    answers = [browser.get(page(model, "change", key)) for key in ("abc", "0", "9" * 23, "_5F", "-1")]

    assert {answer.status_code for answer in answers} == {302}


@pytest.mark.parametrize("query", ["s=lead", "s=lead&page=abc", "s=lead&page=99", "s=", "s=lead&extended=1"])
def test_the_search_for_lists_bears_any_page(query, operator, in_admin):
    answer = in_admin(operator).get(f"{reverse('admin:search')}?{query}")

    assert answer.status_code in (200, 404)


def test_the_looks_are_served():
    from django.contrib.staticfiles import finders

    assert finders.find("unfold/css/styles.css")
