"""Visitors who give their contact details: they become a lead at once, once, and learn nothing of who is known here."""

import pytest
from django.db.models import Q

from accounts.models import Workspace
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from ai.chat import contacts
from ai.chat.visitors import Identity
from ai.models import ChatSession, Proposal
from ai.tests.runs import run_of_visitor, use
from leads.history import Author
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import Activity, Assignment, Lead, LeadVersion
from leads.tests.factories import make_lead
from zevix.errors import NotFound, ValidationFailed

pytestmark = pytest.mark.django_db

CONTACT = {"name": "Ada Lovelace", "email": "ada@x.example", "phone": "+49 30 901820"}
ANSWER = {"note": "The details went to the team; a person will look at them and get in touch."}


@pytest.fixture
def session(member):
    return ChatSession.objects.create(workspace=member.workspace)


# Given on purpose -----------------------------------------------------------------------------------------------------------


def test_contact_details_become_a_lead(member, session):
    contacts.take(session, CONTACT | {"company": "Engines"})

    lead = Lead.objects.get()
    note = Activity.objects.get()
    assert (lead.workspace, lead.name, lead.email, lead.phone, lead.company, lead.source, lead.status) == (
        member.workspace, "Ada Lovelace", "ada@x.example", "+49 30 901820", "Engines", "chat", "NEW",
    )  # fmt: skip
    assert lead.origin["source"] == "api"
    assert (note.type, note.user, note.text) == (
        "note", None, f"Chat {str(session.pk)[:8]}: Ada Lovelace, ada@x.example, +49 30 901820, Engines",
    )  # fmt: skip
    assert session.lead_id == lead.pk
    assert ChatSession.objects.get().lead_id == lead.pk


def test_a_chat_makes_one_lead(session):
    contacts.take(session, CONTACT)
    contacts.take(session, {"email": "other@x.example"})

    assert Lead.objects.get().email == "ada@x.example"
    assert Activity.objects.count() == 1


def test_a_lead_that_is_known_is_not_changed_and_the_chat_is_its(member, stranger, session):
    make_lead(stranger.workspace, email="ada@x.example")
    lead = make_lead(member.workspace, email="Ada@X.example", name="A. Lovelace", status="WON", needs_action=False)
    before = Lead.objects.order_by("pk").values().get(pk=lead.pk)

    contacts.take(session, CONTACT)

    note = Activity.objects.get()
    assert Lead.objects.order_by("pk").values().get(pk=lead.pk) == before
    assert Lead.objects.for_workspace(member.workspace).count() == 1
    assert session.lead_id == lead.pk
    assert (note.lead_id, note.text) == (
        lead.pk,
        f"Chat {str(session.pk)[:8]}: Ada Lovelace, ada@x.example, +49 30 901820",
    )


@pytest.mark.parametrize(
    ("contact", "field"),
    [
        ({}, "non_field_errors"),
        ({"name": "Ada"}, "non_field_errors"),
        ({"email": "", "phone": None}, "non_field_errors"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@"}, "email"),
        ({"email": "a\x00da@x.example"}, "email"),
        ({"email": ["ada@x.example"]}, "email"),
        ({"phone": "1"}, "phone"),
        ({"phone": 4930901820}, "phone"),
        ({"email": "ada@x.example", "name": "x" * 501}, "name"),
        ({"email": "ada@x.example", "status": "WON"}, "status"),
        ({"email": "ada@x.example", "assigned_user_id": 1}, "assigned_user_id"),
    ],
)
def test_what_nobody_can_be_reached_by_is_refused(session, contact, field):
    with pytest.raises(ValidationFailed) as refusal:
        contacts.take(session, contact)

    assert list(refusal.value.fields) == [field]
    assert not Lead.objects.exists()
    assert session.lead_id is None


def test_a_chat_that_is_no_more_makes_no_lead(session):
    ChatSession.objects.all().delete()

    with pytest.raises(NotFound):
        contacts.take(session, CONTACT)

    assert not Lead.objects.exists()


def test_new_leads_are_distributed(member, session, api):
    rule = {"name": "All", "members": [{"user_id": member.user_id}]}
    assert api.post("/api/v1/distribution-rules", rule).status_code == 201

    contacts.take(session, CONTACT)

    assert Lead.objects.get().assigned_user == member.user
    assert Assignment.objects.count() == 1


def test_a_lead_with_a_chat_can_be_merged_and_the_chat_goes_along(member, session):
    contacts.take(session, CONTACT)
    survivor, loser = make_lead(member.workspace), Lead.objects.get(email="ada@x.example")
    by = Author.of(member)

    (merge,) = merging.merge([Wish(survivor.pk, (loser.pk,))], workspace=member.workspace, by=by)
    merged = ChatSession.objects.get().lead_id
    unmerging.undo(merge.merge_id, workspace=member.workspace, by=by)

    assert merged == survivor.pk
    assert ChatSession.objects.get().lead_id == loser.pk


@pytest.mark.django_db(transaction=True)
def test_details_that_come_twice_at_once_make_one_lead():
    session = ChatSession.objects.create(workspace=make_member().workspace)

    at_once([lambda: contacts.take(ChatSession.objects.get(pk=session.pk), {"phone": "030 901820"})] * 6)

    assert Lead.objects.count() == 1
    assert Activity.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_chats_at_once_make_one_lead_for_an_address():
    workspace = make_member().workspace
    sessions = [ChatSession.objects.create(workspace=workspace) for _ in range(6)]

    at_once([lambda session=session: contacts.take(session, CONTACT) for session in sessions])

    assert Lead.objects.count() == 1
    assert set(ChatSession.objects.values_list("lead", flat=True)) == {Lead.objects.get().pk}


# By the tool ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("I'm Ada Lovelace, ada@x.example.", {"name": "Ada Lovelace", "email": "ada@x.example"}),
        ("ADA@X.EXAMPLE", {"email": "ada@x.example"}),
        ("Mail: <ada@x.example>, thanks", {"email": "Ada@x.example"}),
        ("My name is ada   lovelace, mail ada@x.example", {"name": "Ada Lovelace", "email": "ada@x.example"}),
        ("Call me: +49 (30) 90-18 20", {"phone": "+4930901820"}),
        ("Call me: 0049 30 901820!", {"phone": "+49 30 901820"}),
        ("I'm from Engines & Co. ada@x.example", {"company": "Engines & Co", "email": "ada@x.example"}),
    ],
)
def test_what_visitors_say_of_themselves_becomes_a_lead(member, said, given):
    run = run_of_visitor(member.workspace, "Hello", said, "Thanks!")

    told = use(run, "create_lead", **given)

    lead = Lead.objects.get()
    assert told == ANSWER
    assert {name: getattr(lead, name) for name in given} == given
    assert run.session.lead_id == lead.pk
    assert not Proposal.objects.exists()


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("My address is ada@x.example", {"email": "ada@x.example", "name": "Ada"}),
        ("My address is ada@x.example", {"email": "da@x.example"}),
        ("My address is ada@x.example.org", {"email": "ada@x.example"}),
        ("My address is evil.ada@x.example", {"email": "ada@x.example"}),
        ("My address is ada@x.examples", {"email": "ada@x.example"}),
        ("Call 030 901820", {"phone": "030 90182"}),
        ("I have 30 rooms and 901820 seats", {"phone": "30901820"}),
        ("Adam, ada@x.example", {"name": "Ada", "email": "ada@x.example"}),
        ("ada@x.example", {"email": "ada@x.example", "company": "Evil"}),
        ("Nothing of it", {"email": "ada@x.example"}),
    ],
)
def test_what_visitors_did_not_say_is_proposed_and_they_hear_the_same(member, said, given):
    run = run_of_visitor(member.workspace, said)

    told = use(run, "create_lead", **given)

    proposal = Proposal.objects.get()
    assert told == ANSWER
    assert (proposal.kind, proposal.payload, proposal.session) == ("create_lead", given, run.session)
    assert run.used[0]["result"]["proposal_id"] == proposal.pk
    assert not Lead.objects.exists()


def test_what_a_website_signed_is_as_good_as_said(member):
    identity = Identity("42", email="ada@x.example", name="Ada Lovelace", phone="+49 30 901820")
    run = run_of_visitor(member.workspace, "Please call me.", identity=identity)

    use(run, "create_lead", name="Ada Lovelace", email="ADA@x.example", phone="+4930 901820")

    assert Lead.objects.get().name == "Ada Lovelace"


def test_visitors_hear_the_same_whether_or_not_an_address_is_known(member):
    make_lead(member.workspace, email="ada@x.example")
    known = run_of_visitor(member.workspace, "ada@x.example")
    unknown = run_of_visitor(member.workspace, "eve@x.example")

    told = [use(known, "create_lead", email="ada@x.example"), use(unknown, "create_lead", email="eve@x.example")]

    assert told == [ANSWER, ANSWER]
    assert "lead_id" not in str(known.used)
    assert Lead.objects.filter(Q(email="ada@x.example") | Q(email="eve@x.example")).count() == 2


def test_nonsense_is_told_in_words(member):
    run = run_of_visitor(member.workspace, "mail me at ada@nowhere or 12")

    told = [use(run, "create_lead", email="ada@nowhere"), use(run, "create_lead", name="Ada")]

    assert [list(one["fields"]) for one in told] == [["email"], ["non_field_errors"]]
    assert not Lead.objects.exists()
    assert not Proposal.objects.exists()


def test_a_visitor_can_not_fill_other_fields(member):
    run = run_of_visitor(member.workspace, "ada@x.example WON")

    told = use(run, "create_lead", email="ada@x.example", status="WON")

    assert told["error"].startswith("The arguments are not of the tool's form.")
    assert not Lead.objects.exists()


def test_leads_of_another_workspace_are_not_known(member, stranger):
    make_lead(stranger.workspace, email="ada@x.example")
    run = run_of_visitor(member.workspace, "ada@x.example")

    use(run, "create_lead", email="ada@x.example")

    assert Lead.objects.for_workspace(member.workspace).get().pk == run.session.lead_id
    assert set(Workspace.objects.filter(leads__email="ada@x.example")) == {member.workspace, stranger.workspace}
    assert not LeadVersion.objects.exists()
