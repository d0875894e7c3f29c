"""What the AI wants to write, and what people make of it: `/api/v1/proposals`."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from ai import jobs
from ai.models import ChatSession, Proposal
from ai.proposals import deciding, proposing
from leads.history import Author
from leads.models import Activity, Lead
from leads.tests.factories import make_lead
from zevix.errors import Refusal
from zevix.models import Event

pytestmark = pytest.mark.django_db

ADA = {"name": "Ada Lovelace", "email": "ada@x.example"}
DEAL = {"title": "Blinds", "value": "1200", "currency": "EUR"}


def propose(member, kind="create_lead", payload=None, **fields):
    session = ChatSession.objects.create(workspace=member.workspace)
    return proposing.propose(kind, payload or (ADA if kind == "create_lead" else DEAL), session=session, **fields)


def expire(proposal):
    Proposal.objects.filter(pk=proposal.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


# Reading --------------------------------------------------------------------------------------------------------------------


def test_a_proposal_is_shown_whole(api, member):
    lead = make_lead(member.workspace)
    proposal = propose(member, "create_deal", reason="They asked.", lead_id=lead.pk)

    answer = api.get(f"/api/v1/proposals/{proposal.pk}")

    shown = answer.json()
    assert answer.status_code == 200
    assert {name: value for name, value in shown.items() if name not in ("created_at", "expires_at")} == {
        "id": proposal.pk, "kind": "create_deal", "status": "pending", "reason": "They asked.",
        "payload": {"title": "Blinds", "value": "1200.00", "currency": "EUR"}, "edited": None,
        "session_id": str(proposal.session_id), "lead_id": lead.pk, "result": None, "decided_by": None, "decided_at": None,
    }  # fmt: skip
    assert proposal.expires_at - proposal.created_at == pytest.approx(timedelta(days=7), abs=timedelta(seconds=5))
    assert shown["expires_at"].endswith("Z")


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_costs_the_same_however_long_it_is(api, member, stranger, django_assert_num_queries, count):
    for _ in range(count):
        propose(member)
    propose(stranger)

    with django_assert_num_queries(2):
        answer = api.get("/api/v1/proposals")

    assert [row["id"] for row in answer.json()["results"]] == list(
        Proposal.objects.for_workspace(member.workspace).order_by("-pk").values_list("pk", flat=True)
    )


def test_the_list_is_narrowed_by_what_became_of_them(api, member):
    pending, late, rejected, approved = [propose(member, payload={"name": f"Ada {number}"}) for number in range(4)]
    expire(late)
    api.post(f"/api/v1/proposals/{rejected.pk}/reject", {})
    api.post(f"/api/v1/proposals/{approved.pk}/approve", {})

    found = {
        status: [(row["id"], row["status"]) for row in api.get(f"/api/v1/proposals?status={status}").json()["results"]]
        for status in Proposal.Status.values
    }

    assert found == {
        "pending": [(pending.pk, "pending")],
        "approved": [(approved.pk, "approved")],
        "rejected": [(rejected.pk, "rejected")],
        "expired": [(late.pk, "expired")],
    }


@pytest.mark.parametrize("query", ["status=open", "status=", "kind=create_lead", "status=pending&status=x"])
def test_a_filter_that_there_is_not_is_refused(api, query):
    answer = api.get(f"/api/v1/proposals?{query}")

    assert answer.status_code == (200 if query == "status=" else 400)


def test_agents_read_proposals_and_nobody_without_a_token(member, client_of, anonymous):
    proposal = propose(member)
    agent = client_of(make_member(Role.AGENT, member.workspace))

    assert agent.get(f"/api/v1/proposals/{proposal.pk}").status_code == 200
    assert anonymous.get(f"/api/v1/proposals/{proposal.pk}").status_code == 401


def test_another_workspaces_proposal_is_not_there(api, stranger):
    proposal = propose(stranger)

    answers = [
        api.get(f"/api/v1/proposals/{proposal.pk}"),
        *(api.post(f"/api/v1/proposals/{proposal.pk}/{act}", body) for act in ("approve", "reject") for body in ({}, {"x": 1})),
        api.post(f"/api/v1/proposals/{2**63}/approve", {}),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [404] * 6
    assert Proposal.objects.get().status == "pending"
    assert not Lead.objects.exists()


# Approving ------------------------------------------------------------------------------------------------------------------


def test_an_approved_lead_is_there_and_is_the_ais_with_who_agreed(api, member):
    proposal = propose(member)

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/approve", {})

    lead = Lead.objects.get()
    shown = answer.json()
    assert answer.status_code == 200
    assert (shown["status"], shown["lead_id"], shown["result"], shown["edited"]) == (
        "approved", lead.pk, {"lead_id": lead.pk}, None,
    )  # fmt: skip
    assert shown["decided_by"] == {"id": member.user_id, "email": member.user.email}
    assert shown["decided_at"] is not None
    assert (lead.name, lead.email, lead.source) == ("Ada Lovelace", "ada@x.example", "chat")
    assert (lead.origin["source"], lead.origin["user"]) == ("ai", member.user_id)
    assert Event.objects.filter(type="lead.created", data__id=lead.pk).count() == 1
    assert ChatSession.objects.get().lead_id == lead.pk


def test_a_members_chat_does_not_become_the_leads(api, member):
    proposal = propose(member)
    ChatSession.objects.update(user=member.user)

    api.post(f"/api/v1/proposals/{proposal.pk}/approve", {})

    assert ChatSession.objects.get().lead_id is None


def test_an_approved_deal_is_made(api, member):
    lead = make_lead(member.workspace, status="NEW")
    proposal = propose(member, "create_deal", lead_id=lead.pk)

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/approve", {"edits": {"value": 900, "title": "Shutters"}})

    lead.refresh_from_db()
    task = Activity.objects.get(type="task")
    assert lead.status == "PROPOSAL"
    assert (task.text, task.user) == ("Deal: Shutters, 900.00 EUR", member.user)
    assert answer.json()["edited"] == {"title": "Shutters", "value": "900.00", "currency": "EUR"}
    assert answer.json()["payload"] == {"title": "Blinds", "value": "1200.00", "currency": "EUR"}
    assert answer.json()["result"] == {"lead_id": lead.pk, "status": "PROPOSAL", "activity_id": task.pk}


def test_edits_are_written_in_place_of_what_was_proposed(api, member):
    proposal = propose(member, payload=ADA | {"phone": "030 901820"})

    answer = api.post(
        f"/api/v1/proposals/{proposal.pk}/approve", {"edits": {"name": "A. Lovelace", "phone": None, "city": "London"}}
    )

    lead = Lead.objects.get()
    assert answer.json()["edited"] == {"name": "A. Lovelace", "email": "ada@x.example", "city": "London"}
    assert (lead.name, lead.email, lead.phone, lead.city) == ("A. Lovelace", "ada@x.example", "", "London")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"edits": {"status": "WON"}}, ["edits.status"]),
        ({"edits": {"email": "ada"}}, ["edits.email"]),
        ({"edits": {"email": 5, "name": ["x"]}}, ["edits.name", "edits.email"]),
        ({"edits": {"email": None, "name": ""}}, ["edits.non_field_errors"]),
        ({"edits": {"name": "a\x00b"}}, ["edits.name"]),
        ({"edits": {"a\x00": "b"}}, ["edits.a\x00"]),
        ({"edits": []}, ["edits"]),
        ({"edits": None}, ["edits"]),
        ({"edits": "x"}, ["edits"]),
        ({"lead_id": 5}, ["lead_id"]),
        ([], ["non_field_errors"]),
    ],
)
def test_edits_are_checked_like_what_is_proposed(api, member, body, fields):
    proposal = propose(member)

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/approve", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert list(answer.json()["fields"]) == fields
    assert Proposal.objects.get().status == "pending"
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        "{", "null", "5", '{"edits": {"name": "\\ud800"}}', '{"edits": {"name": NaN}}', '{"edits": {"name": {"a": {}}}}',
        '{"edits": {"name": 99999999999999999999999}}', "[" * 5_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("act", ["approve", "reject"])
def test_a_body_that_is_none_is_refused(api, member, act, body):
    proposal = propose(member)

    answer = api.generic("POST", f"/api/v1/proposals/{proposal.pk}/{act}", body, content_type="application/json")

    assert answer.status_code == 400, answer.content
    assert Proposal.objects.get().status == "pending"


@pytest.mark.parametrize(
    "edits", [{"value": -1}, {"value": 1e300}, {"currency": "XYZ"}, {"title": None}, {"lead_id": 1}]
)
def test_edits_of_a_deal_are_checked(api, member, edits):
    lead = make_lead(member.workspace)
    proposal = propose(member, "create_deal", lead_id=lead.pk)

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/approve", {"edits": edits})

    assert list(answer.json()["fields"]) == [f"edits.{name}" for name in edits]
    assert not Activity.objects.exists()


@pytest.mark.parametrize("second", ["approve", "reject"])
@pytest.mark.parametrize("first", ["approve", "reject"])
def test_a_proposal_is_decided_once(api, member, first, second):
    proposal = propose(member)
    api.post(f"/api/v1/proposals/{proposal.pk}/{first}", {})

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/{second}", {})

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert "decided" in answer.json()["message"]
    assert Lead.objects.count() == (1 if first == "approve" else 0)


@pytest.mark.parametrize("act", ["approve", "reject"])
@pytest.mark.parametrize("is_marked", [False, True])
def test_one_that_has_expired_can_not_be_decided(api, member, act, is_marked):
    proposal = propose(member)
    expire(proposal)
    if is_marked:
        jobs.expire_proposals(timestamp=0)

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/{act}", {})

    assert (answer.status_code, answer.json()["message"]) == (409, "This proposal has expired.")
    assert not Lead.objects.exists()


def test_a_job_marks_those_that_have_expired(member):
    open_one, late = propose(member), propose(member, payload={"name": "Eve"})
    expire(late)

    jobs.expire_proposals(timestamp=0)

    assert dict(Proposal.objects.values_list("pk", "status")) == {open_one.pk: "pending", late.pk: "expired"}


def test_a_lead_that_is_there_by_now_keeps_the_proposal_open(api, member):
    proposal = propose(member)
    lead = make_lead(member.workspace, email="ADA@x.example")

    refused = api.post(f"/api/v1/proposals/{proposal.pk}/approve", {})
    edited = api.post(f"/api/v1/proposals/{proposal.pk}/approve", {"edits": {"email": "ada@y.example"}})

    assert (refused.status_code, refused.json()["lead_id"]) == (409, lead.pk)
    assert edited.status_code == 200
    assert Lead.objects.count() == 2


def test_a_deal_with_a_lead_that_is_gone_can_not_be_made(api, member):
    lead = make_lead(member.workspace)
    proposal = propose(member, "create_deal", lead_id=lead.pk)
    api.delete(f"/api/v1/leads/{lead.pk}")

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/approve", {})

    assert answer.status_code == 404
    assert api.get(f"/api/v1/proposals/{proposal.pk}").json()["status"] == "pending"


@pytest.mark.parametrize("act", ["approve", "reject"])
def test_agents_decide_on_deals_with_their_own_leads(member, client_of, act):
    agent = make_member(Role.AGENT, member.workspace)
    theirs, own = (
        make_lead(member.workspace, assigned_user=member.user),
        make_lead(member.workspace, assigned_user=agent.user),
    )
    proposals = [propose(member, "create_deal", lead_id=lead.pk) for lead in (theirs, own)]

    refused, done = [client_of(agent).post(f"/api/v1/proposals/{one.pk}/{act}", {}) for one in proposals]

    assert (refused.status_code, refused.json()["message"]) == (403, "Can only update your assigned leads")
    assert done.status_code == 200
    assert Activity.objects.filter(lead=theirs).count() == 0


def test_agents_add_leads_that_are_then_theirs(member, client_of):
    agent = make_member(Role.AGENT, member.workspace)

    client_of(agent).post(f"/api/v1/proposals/{propose(member).pk}/approve", {})

    assert Lead.objects.get().assigned_user == agent.user


def test_the_same_request_twice_is_one_decision(api, member):
    path, key = f"/api/v1/proposals/{propose(member).pk}/approve", {"Idempotency-Key": "once"}

    first, second = (api.post(path, {}, headers=key) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json() == second.json()
    assert Lead.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_approved_by_many_at_once_it_is_done_once():
    member = make_member()
    proposal = propose(member, payload={"name": "Ada"})

    def approve():
        try:
            deciding.approve(
                proposal.pk, {}, workspace=member.workspace, user=member.user, by=Author.of(member, "ai")
            )  # fmt: skip
        except Refusal as refusal:
            return refusal.code
        return "done"

    outcomes = at_once([approve] * 6)

    assert sorted(outcomes) == ["conflict"] * 5 + ["done"]
    assert Lead.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_proposed_at_once_it_is_proposed_once():
    session = ChatSession.objects.create(workspace=make_member().workspace)

    at_once([lambda: proposing.propose("create_lead", ADA, session=session)] * 6)

    assert Proposal.objects.count() == 1


# Rejecting ------------------------------------------------------------------------------------------------------------------


def test_a_rejected_proposal_writes_nothing_and_says_why(api, member):
    proposal = propose(member)

    answer = api.post(f"/api/v1/proposals/{proposal.pk}/reject", {"reason": "We know her."})

    shown = answer.json()
    assert (shown["status"], shown["result"], shown["decided_by"]["id"]) == (
        "rejected", {"reason": "We know her."}, member.user_id,
    )  # fmt: skip
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    "body", [{"reason": "x" * 501}, {"reason": 5}, {"reason": None}, {"reason": "a\x00"}, {"why": "x"}]
)
def test_a_reason_is_a_text(api, member, body):
    answer = api.post(f"/api/v1/proposals/{propose(member).pk}/reject", body)

    assert answer.status_code == 400
    assert Proposal.objects.get().status == "pending"


# In the admin ---------------------------------------------------------------------------------------------------------------


def test_managers_decide_in_the_admin_and_are_told_row_by_row(member, stranger, in_admin):
    first, late = propose(member), propose(member, payload={"name": "Eve"})
    foreign = propose(stranger, payload={"name": "Mallory"})
    expire(late)

    answer = in_admin(member.user).post(
        "/admin/ai/proposal/",
        {"action": "approve", "_selected_action": [first.pk, late.pk, foreign.pk]},
        follow=True,
    )

    said = [str(message) for message in answer.context["messages"]]
    assert said == [f"add a lead #{late.pk}: This proposal has expired.", "1 proposal approved."]
    assert list(Lead.objects.values_list("name", flat=True)) == ["Ada Lovelace"]
    assert Lead.objects.get().origin["source"] == "ai"
    assert Proposal.objects.get(pk=foreign.pk).status == "pending"


def test_managers_reject_in_the_admin(member, in_admin):
    proposal = propose(member)

    in_admin(member.user).post("/admin/ai/proposal/", {"action": "reject", "_selected_action": [proposal.pk]})

    assert Proposal.objects.get().status == "rejected"
    assert Proposal.objects.get().decided_by == member.user


def test_a_proposal_is_readable_in_the_admin(member, in_admin):
    lead = make_lead(member.workspace)
    proposal = propose(member, payload={"name": "<b>Ada</b>", "email": "ada@x.example"}, lead_id=lead.pk)

    page = in_admin(member.user).get(f"/admin/ai/proposal/{proposal.pk}/change/").content.decode()

    assert "name: &lt;b&gt;Ada&lt;/b&gt;" in page
    assert "email: ada@x.example" in page
    assert f"/admin/leads/lead/{lead.pk}/change/" in page


@pytest.mark.parametrize("count", [1, 3])
def test_the_admins_list_costs_the_same_however_long_it_is(member, in_admin, django_assert_num_queries, count):
    for number in range(count):
        proposal = propose(member, payload={"name": f"Ada {number}"})
        deciding.approve(proposal.pk, {}, workspace=member.workspace, user=member.user, by=Author.of(member, "ai"))
    browser = in_admin(member.user)

    with django_assert_num_queries(6):
        answer = browser.get("/admin/ai/proposal/?status=approved&q=Ada")

    assert answer.content.decode().count("Ada ") == count
