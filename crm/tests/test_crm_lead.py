"""A lead is sent to Pipedrive with a deal: at once where that is possible, else later, and once."""

import time
from datetime import timedelta
from decimal import Decimal
from functools import partial

import httpx2
import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from crm.models import Deal
from crm.pipedrive import accounts
from crm.pipedrive.deals import making
from crm.pipedrive.limits import Lane
from crm.tests.factories import make_connection
from leads.models import Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

ADA = {"name": "Ada Byron", "email": "ada@engines.example"}


@pytest.fixture
def connection(member, pipedrive_server):
    return make_connection(member.workspace, pipedrive_server, by=member.user)


def make_what_waits(connection):
    Deal.objects.update(retry_at=None)
    return making.make_queued(accounts.open(connection, lane=Lane.BACKGROUND))


def there(server):
    return {
        "persons": [(one["name"], one["emails"][0]["value"]) for one in server.people.persons.all()],
        "organizations": [one["name"] for one in server.people.organizations.all()],
        "deals": [(one["title"], one["value"], one["currency"]) for one in server.people.deals.all()],
    }


# What is sent ---------------------------------------------------------------------------------------------------------------


def test_a_new_lead_arrives_with_person_organization_and_deal(api, member, connection, pipedrive_server):
    wanted = {
        "company": "Engines",
        "phone": "+44 20 7946 0000",
        "deal_title": "Blinds",
        "deal_value": 1200,
        "currency": "EUR",
    }

    answer = api.post("/api/crm/lead", ADA | wanted)

    lead = Lead.objects.get()
    person = pipedrive_server.people.persons.all()[0]
    deal = pipedrive_server.people.deals.all()[0]
    assert answer.status_code == 201, answer.content
    assert answer.json() == {"success": True, "lead_id": lead.pk, "person_id": person["id"], "deal_id": deal["id"]}
    assert (lead.name, lead.email, lead.company, lead.source) == ("Ada Byron", "ada@engines.example", "Engines", "api")
    assert there(pipedrive_server) == {
        "persons": [("Ada Byron", "ada@engines.example")],
        "organizations": ["Engines"],
        "deals": [("Blinds", 1200, "EUR")],
    }
    assert (deal["person_id"], deal["org_id"]) == (person["id"], pipedrive_server.people.organizations.all()[0]["id"])


def test_without_a_title_the_deal_is_called_as_the_company_or_the_name(api, member, connection, pipedrive_server):
    api.post("/api/crm/lead", ADA)
    api.post("/api/crm/lead", {"name": "Bert", "email": "bert@x.example", "company": "Bert & Co"})

    deals = [(one["title"], one["currency"], one["value"]) for one in pipedrive_server.people.deals.all()]
    assert deals == [("Ada Byron", connection.currency, 0), ("Bert & Co", connection.currency, 0)]


@pytest.mark.parametrize("by", ["pk", "external_id"])
def test_a_lead_that_is_there_is_sent_by_either_of_its_ids(api, member, connection, pipedrive_server, by):
    lead = make_lead(member.workspace, name="Ada", company="", external_id="A-1")

    answer = api.post("/api/crm/lead", {"lead_id": getattr(lead, by)})

    assert (answer.status_code, answer.json()["lead_id"]) == (201, lead.pk)
    assert there(pipedrive_server)["deals"] == [("Ada", 0, connection.currency)]


def test_the_lead_with_that_address_is_taken_and_only_its_blanks_are_filled(api, member, connection, pipedrive_server):
    lead = make_lead(member.workspace, name="Ada", email="ADA@engines.example", company="")

    answer = api.post("/api/crm/lead", ADA | {"company": "Engines"})

    lead.refresh_from_db()
    assert (answer.status_code, answer.json()["lead_id"]) == (201, lead.pk)
    assert (lead.name, lead.email, lead.company, Lead.objects.count()) == ("Ada", "ADA@engines.example", "Engines", 1)


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("NEW", "Qualified"),
        ("CONTACTED", "Contact made"),
        ("PROPOSAL", "Proposal made"),
        ("WON", "Qualified"),
        ("LOST", "Qualified"),
    ],
)
def test_a_new_deal_is_open_in_the_stage_of_the_leads_status(api, member, connection, pipedrive_server, status, stage):
    lead = make_lead(member.workspace, status=status)

    api.post("/api/crm/lead", {"lead_id": lead.pk})

    deal = pipedrive_server.people.deals.all()[0]
    names = {one["id"]: one["name"] for one in pipedrive_server.people.stages.all()}
    assert (names[deal["stage_id"]], deal["status"]) == (stage, "open")
    assert Deal.objects.get().is_leading


def test_what_the_mapping_has_for_deals_and_whose_the_lead_is_go_with_a_new_deal(api, member, pipedrive_server):
    there_too = pipedrive_server.people.users.create("Mira", member.user.email)
    mapping = [
        {"lead": "city", "entity": "deal", "field": "Region", "owner": "latest"},
        {"lead": "assigned_user_id", "entity": "person", "field": "owner_id", "owner": "latest"},
    ]
    pipedrive_server.people.fields.create("deal", "Region")
    make_connection(member.workspace, pipedrive_server, by=member.user, mapping=mapping)
    lead = make_lead(member.workspace, city="Berlin", assigned_user=member.user)

    api.post("/api/crm/lead", {"lead_id": lead.pk})

    deal = pipedrive_server.people.deals.all()[0]
    assert deal["owner_id"] == there_too["id"]
    assert deal["custom_fields"][pipedrive_server.key("deal", "Region")] == "Berlin"


def test_leads_that_share_an_address_share_the_person_and_have_deals_of_their_own(
    api, member, connection, pipedrive_server
):
    one, other = (make_lead(member.workspace, name=name, email="ada@engines.example") for name in ("Ada", "Bert"))

    answers = [api.post("/api/crm/lead", {"lead_id": lead.pk, "deal_title": "Blinds"}) for lead in (other, one)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.json()["lead_id"] for answer in answers] == [other.pk, one.pk]
    assert len({answer.json()["person_id"] for answer in answers}) == 1
    assert len(pipedrive_server.people.deals.all()) == 2


def test_the_leads_notes_go_with_a_deal_as_text_and_once(api, member, connection, pipedrive_server):
    lead = make_lead(member.workspace, notes="5 < 6 & <b>bold</b>\nSecond line")

    for _ in range(2):
        assert api.post("/api/crm/lead", {"lead_id": lead.pk}).status_code == 201
    make_what_waits(connection)

    notes = [(note["content"], note["deal_id"]) for note in pipedrive_server.people.notes()]
    text = "5 &lt; 6 &amp; &lt;b&gt;bold&lt;/b&gt;<br>Second line"
    assert notes == [(text, pipedrive_server.people.deals.all()[0]["id"])]
    assert Deal.objects.get().note == ""


def test_a_note_without_an_answer_is_not_written_twice(api, member, connection, pipedrive_server):
    lead = make_lead(member.workspace, notes="Call in May")
    pipedrive_server.fail(on="POST /api/v1/notes", how="cut")

    answer = api.post("/api/crm/lead", {"lead_id": lead.pk})
    assert (answer.status_code, Deal.objects.get().note) == (201, "Call in May")
    make_what_waits(connection)

    assert [note["content"] for note in pipedrive_server.people.notes()] == ["Call in May"]
    assert Deal.objects.get().note == ""


def test_a_note_that_is_refused_does_not_hold_the_deal_up(api, member, connection, pipedrive_server):
    lead = make_lead(member.workspace, notes="Call in May")
    pipedrive_server.fail(on="POST /api/v1/notes", how="403", times=9)

    answer = api.post("/api/crm/lead", {"lead_id": lead.pk})

    deal = Deal.objects.get()
    assert (answer.status_code, deal.status, deal.note) == (201, "open", "")
    assert deal.problem.startswith("Pipedrive could not do this")


# The same again ---------------------------------------------------------------------------------------------------------------


def test_asked_again_it_is_the_same_deal(api, member, connection, pipedrive_server):
    first = api.post("/api/crm/lead", ADA | {"deal_title": "Blinds"})
    again = api.post("/api/crm/lead", {"lead_id": first.json()["lead_id"], "deal_title": "Blinds"})

    assert (again.status_code, again.json()) == (201, first.json())
    assert (Lead.objects.count(), len(pipedrive_server.people.deals.all())) == (1, 1)


def test_a_deal_that_got_another_name_there_is_the_same_still(api, member, connection, pipedrive_server):
    first = api.post("/api/crm/lead", ADA | {"deal_title": "Blinds"}).json()
    pipedrive_server.people.deals.edit(first["deal_id"], title="Blinds for the office")
    api.get("/api/crm/deals")

    again = api.post("/api/crm/lead", ADA | {"deal_title": "Blinds"})

    assert again.json() == first


@pytest.mark.parametrize("status", ["won", "lost", "deleted"])
def test_after_a_deal_is_closed_or_deleted_there_is_another_one(api, member, connection, pipedrive_server, status):
    first = api.post("/api/crm/lead", ADA).json()
    Deal.objects.update(status=status)

    second = api.post("/api/crm/lead", ADA).json()

    assert second["deal_id"] != first["deal_id"]
    assert (second["lead_id"], second["person_id"]) == (first["lead_id"], first["person_id"])


def test_another_title_is_another_deal_of_the_same_person(api, member, connection, pipedrive_server):
    first = api.post("/api/crm/lead", ADA | {"deal_title": "Blinds"}).json()
    second = api.post("/api/crm/lead", ADA | {"deal_title": "Curtains"}).json()

    assert second["deal_id"] != first["deal_id"]
    assert second["person_id"] == first["person_id"]
    assert list(Deal.objects.order_by("pk").values_list("title", "is_leading")) == [
        ("Blinds", True),
        ("Curtains", False),
    ]


def test_with_an_idempotency_key_the_first_answer_comes_again(api, member, connection, pipedrive_server):
    sent = [api.post("/api/crm/lead", ADA, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    other = api.post("/api/crm/lead", ADA | {"deal_title": "Blinds"}, headers={"Idempotency-Key": "one"})

    assert [answer.json() for answer in sent] == [sent[0].json()] * 2
    assert (sent[1].headers["Idempotent-Replayed"], other.status_code) == ("true", 422)
    assert len(pipedrive_server.people.deals.all()) == 1


# Out of reach -----------------------------------------------------------------------------------------------------------------


def test_out_of_reach_the_deal_is_queued_and_arrives_later_once(api, member, connection, pipedrive_server):
    pipedrive_server.down()

    answer = api.post("/api/crm/lead", ADA | {"deal_value": "10.50", "currency": "USD"})
    lead = Lead.objects.get()
    queued = Deal.objects.get()
    pipedrive_server.up()
    arrived = [make_what_waits(connection) for _ in range(2)]

    assert (answer.status_code, answer.json()) == (202, {"success": True, "status": "queued", "lead_id": lead.pk})
    assert (queued.status, queued.value, queued.wanted_by_id) == ("queued", Decimal("10.50"), member.user_id)
    assert "Pipedrive" in queued.problem
    assert arrived == [1, 0]
    assert there(pipedrive_server)["deals"] == [("Ada Byron", 10.5, "USD")]
    assert (Deal.objects.get().status, Deal.objects.get().problem) == ("open", "")


@pytest.mark.parametrize("on", ["POST /api/v2/persons", "POST /api/v2/organizations", "POST /api/v2/deals"])
@pytest.mark.parametrize("how", ["cut", "500_after", "504_after", "cut_before", "503", "garbage"])
def test_without_an_answer_nothing_is_made_twice(api, member, connection, pipedrive_server, settings, on, how):
    settings.PIPEDRIVE_UNCERTAIN = settings.PIPEDRIVE_UNCERTAIN * 0
    pipedrive_server.fail(on=on, how=how)

    first = api.post("/api/crm/lead", ADA | {"company": "Engines"})
    make_what_waits(connection)
    last = api.post("/api/crm/lead", ADA | {"company": "Engines"})

    assert first.status_code in (201, 202)
    assert last.status_code == 201, last.content
    assert {name: len(found) for name, found in there(pipedrive_server).items()} == {
        "persons": 1,
        "organizations": 1,
        "deals": 1,
    }


def test_a_deal_that_may_be_there_is_looked_for_before_it_is_asked_for_again(api, member, connection, pipedrive_server):
    pipedrive_server.fail(on="POST /api/v2/deals", how="cut")

    assert api.post("/api/crm/lead", ADA).status_code == 202
    made = make_what_waits(connection)

    assert (made, len(pipedrive_server.people.deals.all())) == (1, 1)
    assert Deal.objects.get().remote_id == pipedrive_server.people.deals.all()[0]["id"]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def killed_after(monkeypatch):
    """A process that dies once Pipedrive has had a request of a path, before anybody hears of its answer."""
    send = httpx2.Client.send

    def until(path):
        def sent(client, request, **named):
            answer = send(client, request, **named)
            if (request.method, request.url.path) == ("POST", path):
                raise Killed
            return answer

        monkeypatch.setattr(httpx2.Client, "send", sent)
        return partial(monkeypatch.setattr, httpx2.Client, "send", send)

    return until


@pytest.mark.parametrize("path", ["/api/v2/persons", "/api/v2/organizations", "/api/v2/deals", "/api/v1/notes"])
def test_after_a_crash_the_deal_arrives_once(api, member, connection, pipedrive_server, killed_after, settings, path):
    settings.PIPEDRIVE_UNCERTAIN = settings.PIPEDRIVE_UNCERTAIN * 0
    lead = make_lead(member.workspace, company="Engines", notes="Call in May")

    lives_again = killed_after(path)
    with pytest.raises(Killed):
        api.post("/api/crm/lead", {"lead_id": lead.pk})
    lives_again()
    a_minute_passes(connection)
    make_what_waits(connection)

    assert {name: len(found) for name, found in there(pipedrive_server).items()} == {
        "persons": 1,
        "organizations": 1,
        "deals": 1,
    }
    assert [note["content"] for note in pipedrive_server.people.notes()] == ["Call in May"]
    assert (Deal.objects.get().status, Deal.objects.get().note) == ("open", "")


def a_minute_passes(connection):
    """The leases of whoever died run out."""
    ended = timezone.now() - timedelta(seconds=1)
    connection.creations.exclude(lease=None).update(leased_until=ended)
    connection.links.exclude(lease=None).update(leased_until=ended)


def test_a_refused_token_keeps_the_deal_queued(api, member, connection, pipedrive_server):
    good, pipedrive_server.token = pipedrive_server.token, "another"

    answer = api.post("/api/crm/lead", ADA)
    pipedrive_server.token = good
    connection.refresh_from_db()
    state = connection.state
    accounts.note_fine(connection)
    make_what_waits(connection)

    assert (answer.status_code, answer.json()["status"], state) == (202, "queued", "broken")
    assert len(pipedrive_server.people.deals.all()) == 1


def test_a_slow_pipedrive_is_waited_for_three_seconds(api, member, connection, pipedrive_server):
    pipedrive_server.slow(5)
    began = time.monotonic()

    answer = api.post("/api/crm/lead", ADA)

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert 2.5 < time.monotonic() - began < 4


# Refused ----------------------------------------------------------------------------------------------------------------------


def test_a_deal_that_pipedrive_refuses_is_told_and_not_tried_again_by_itself(api, member, connection, pipedrive_server):
    pipedrive_server.fail(on="POST /api/v2/deals", how="feature_capping")

    answer = api.post("/api/crm/lead", ADA)
    refused = Deal.objects.get()
    by_itself = make_what_waits(connection)
    again = api.post("/api/crm/lead", ADA | {"deal_value": 5})

    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert (refused.status, refused.problem) == ("refused", answer.json()["message"])
    assert by_itself == 0
    assert again.status_code == 201
    assert there(pipedrive_server)["deals"] == [("Ada Byron", 5, connection.currency)]


@pytest.mark.parametrize("kind", ["persons", "organizations"])
def test_what_was_deleted_there_without_our_hearing_of_it_does_not_stop_a_deal(
    api, member, connection, pipedrive_server, kind
):
    first = api.post("/api/crm/lead", ADA | {"company": "Engines"}).json()
    things = getattr(pipedrive_server.people, kind)
    things.delete(things.all()[0]["id"])

    second = api.post("/api/crm/lead", ADA | {"deal_title": "Blinds"})

    deal = pipedrive_server.people.deals.get(second.json()["deal_id"])
    assert (second.status_code, second.json()["lead_id"]) == (201, first["lead_id"])
    assert [one["id"] for one in pipedrive_server.people.persons.all()] == [deal["person_id"]]


def test_a_currency_that_the_account_lacks_is_pipedrives_refusal(api, member, connection, pipedrive_server):
    answer = api.post("/api/crm/lead", ADA | {"deal_value": 5, "currency": "XOF"})

    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert Deal.objects.get().status == "refused"


def test_without_a_connection_nothing_is_kept(api, member):
    answer = api.post("/api/crm/lead", ADA)

    assert (answer.status_code, answer.json()["error"]) == (503, "not_configured")
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "email"}),
        ({"name": "Ada"}, {"email"}),
        ({"name": " ", "email": ""}, {"name", "email"}),
        ({"name": "Ada", "email": "ada"}, {"email"}),
        ({"name": "A\x00da", "email": "ada@x.example"}, {"name"}),
        ({"lead_id": 1, "name": "Ada"}, {"non_field_errors"}),
        ({"lead_id": None}, {"lead_id"}),
        ({"lead_id": [1]}, {"lead_id"}),
        (ADA | {"titel": "x"}, {"titel"}),
        (ADA | {"deal_title": ["x"]}, {"deal_title"}),
        (ADA | {"deal_title": "x" * 201}, {"deal_title"}),
        (ADA | {"deal_value": -1}, {"deal_value"}),
        (ADA | {"deal_value": 1e300}, {"deal_value"}),
        (ADA | {"deal_value": True}, {"deal_value"}),
        (ADA | {"currency": "EURO"}, {"currency"}),
        (ADA | {"currency": 978}, {"currency"}),
        (ADA | {"phone": {}}, {"phone"}),
    ],
)  # fmt: skip
def test_what_is_no_such_request_is_refused(api, member, connection, body, fields):
    answer = api.post("/api/crm/lead", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert set(answer.json()["fields"]) == fields
    assert not Deal.objects.exists()


@pytest.mark.parametrize("body", ["[]", "[1]", '"x"', "7", "null", "{", '{"name": "\\ud800", "email": "a@x.example"}'])
def test_bodies_that_are_no_objects_are_refused(api, member, connection, body):
    answer = api.post("/api/crm/lead", body, content_type="application/json")

    assert answer.status_code == 400


@pytest.mark.parametrize("lead_id", [2**62, "9" * 30, "none", "", -1, 0])
def test_a_lead_that_there_is_not_is_not_found(api, member, connection, lead_id):
    assert api.post("/api/crm/lead", {"lead_id": lead_id}).status_code == 404, lead_id


def test_another_workspaces_lead_is_not_there(api, member, stranger, connection):
    theirs = make_lead(stranger.workspace, external_id="A-1", email="ada@engines.example")

    found = [api.post("/api/crm/lead", {"lead_id": lead_id}).status_code for lead_id in (theirs.pk, "A-1")]
    added = api.post("/api/crm/lead", ADA).json()

    assert found == [404, 404]
    assert added["lead_id"] != theirs.pk
    assert not Deal.objects.filter(workspace=stranger.workspace).exists()


def test_agents_send_their_own_leads_and_new_ones(client_of, member, connection, pipedrive_server):
    agent = make_member(Role.AGENT, member.workspace)
    own = make_lead(member.workspace, assigned_user=agent.user)
    other = make_lead(member.workspace, email="ada@engines.example")
    theirs = client_of(agent)

    answers = [
        theirs.post("/api/crm/lead", {"lead_id": own.pk}),
        theirs.post("/api/crm/lead", {"name": "Bert", "email": "bert@x.example"}),
        theirs.post("/api/crm/lead", {"lead_id": other.pk}),
        theirs.post("/api/crm/lead", ADA),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 403, 403]
    assert Lead.objects.get(email="bert@x.example").assigned_user_id == agent.user_id


def test_without_a_token_nobody_sends_leads(anonymous):
    assert anonymous.post("/api/crm/lead", ADA).status_code == 401
