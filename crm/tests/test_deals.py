"""The workspace's deals: the mirror of what Pipedrive has, and changing them there from here."""

from datetime import date
from decimal import Decimal
from functools import partial

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from crm.models import Conflict, Deal
from crm.pipedrive import accounts
from crm.pipedrive.deals import mirroring
from crm.pipedrive.limits import Lane
from crm.pipedrive.syncing import syncing
from crm.tests.factories import make_connection
from leads import editing
from leads.history import SYSTEM
from leads.merging import merging, unmerging
from leads.merging.merging import Wish
from leads.models import Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def beta(member, client_of):
    """A client of the workspace's beta user."""
    return client_of(make_member(Role.MANAGER, member.workspace, is_beta_user=True))


@pytest.fixture
def connection(member, pipedrive_server):
    return make_connection(member.workspace, pipedrive_server, by=member.user)


@pytest.fixture
def account(connection):
    return accounts.open(connection, lane=Lane.BACKGROUND)


@pytest.fixture
def sent(api, member, connection):
    """Sends a lead with a deal; returns the lead's row and the deal's."""

    def send(**fields):
        lead = make_lead(member.workspace, **fields)
        answer = api.post(
            "/api/crm/lead", {"lead_id": lead.pk, "deal_title": "Blinds", "deal_value": 1200.5, "currency": "EUR"}
        )
        assert answer.status_code == 201, answer.content
        return lead, Deal.objects.get(remote_id=answer.json()["deal_id"])

    return send


def linked(account, member, server, **fields):
    """A lead of the workspace that is linked with a person there; returns both ids."""
    lead = make_lead(member.workspace, **fields)
    person_id = syncing.sync_lead(lead.pk, account=account, send=True).person_id
    return lead, person_id


def kept(connection, remote_id, lead, **fields):
    """A row of the mirror."""
    told = {"workspace": lead.workspace, "connection": connection, "lead": lead, "remote_id": remote_id}
    return Deal.objects.create(**told, **{"title": "Blinds", "status": "open", **fields})


def stage(server, name):
    return next(one["id"] for one in server.people.stages.all() if one["name"] == name)


def status_of(lead):
    return Lead.objects.get(pk=lead.pk).status


# Reading ------------------------------------------------------------------------------------------------------------------------


def test_a_deal_is_shown_as_it_is_in_pipedrive(beta, sent, pipedrive_server):
    lead, deal = sent(status="CONTACTED")

    answer = beta.get(f"/api/crm/deal/{deal.remote_id}")

    there = pipedrive_server.people.deals.get(deal.remote_id)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "deal": {
            "id": deal.remote_id,
            "lead_id": lead.pk,
            "title": "Blinds",
            "value": 1200.5,
            "currency": "EUR",
            "status": "open",
            "is_leading": True,
            "person_id": there["person_id"],
            "organization_id": there["org_id"],
            "expected_close_date": None,
            "lost_reason": "",
            "problem": "",
            "created_at": there["add_time"],
            "updated_at": there["update_time"],
            "pipeline": {"id": there["pipeline_id"], "name": pipedrive_server.people.pipelines.all()[0]["name"]},
            "stage": {"id": there["stage_id"], "name": "Contact made"},
        },
    }


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_however_long_it_is(
    beta, member, connection, pipedrive_server, django_assert_num_queries, count
):
    for number in range(count):
        kept(connection, 100 + number, make_lead(member.workspace), title=f"Deal {number}")

    with django_assert_num_queries(3):
        answer = beta.get("/api/crm/deals")

    assert answer.json()["success"] is True
    assert [deal["id"] for deal in answer.json()["results"]] == list(range(100 + count - 1, 99, -1))


def test_the_list_comes_in_pages_and_by_status_and_lead(beta, member, connection):
    lead, other = make_lead(member.workspace), make_lead(member.workspace)
    for number, fields in enumerate(
        [{"lead": lead}, {"lead": other, "status": "won"}, {"lead": lead, "status": "deleted"}]
    ):
        kept(connection, number + 1, **fields)
    kept(connection, None, lead, status="queued", problem="Pipedrive can't be reached")

    def ids(query):
        return [deal["id"] for deal in beta.get(f"/api/crm/deals{query}").json()["results"]]

    assert ids("") == [None, 2, 1]
    assert ids("?status=won") == [2]
    assert ids("?status=deleted") == [3]
    assert ids(f"?lead_id={lead.pk}") == [None, 1]
    assert ids("?limit=1") == [None]
    assert len(beta.get(beta.get("/api/crm/deals?limit=1").json()["next"]).json()["results"]) == 1


@pytest.mark.parametrize(
    "query",
    ["status=gone", "status=OPEN", "lead_id=x", f"lead_id={2**64}", "lead_id=0", "stage=1", "limit=0", "cursor=x"],
)
def test_filters_that_are_none_are_refused(beta, connection, query):
    answer = beta.get(f"/api/crm/deals?{query}")

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")


def test_deals_are_for_beta_users(api, member, connection):
    kept(connection, 5, make_lead(member.workspace))

    for path in ("/api/crm/deals", "/api/crm/deal/5", "/api/crm/deal/6"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["error"]) == (403, "permission_denied")


def test_another_workspaces_deals_are_not_there(beta, api, stranger, connection, pipedrive_server):
    pipedrive_server.people.deals.create(title="Theirs")
    theirs = kept(make_connection(stranger.workspace, pipedrive_server), 5, make_lead(stranger.workspace))

    assert beta.get("/api/crm/deals").json()["results"] == []
    assert beta.get("/api/crm/deal/5").status_code == 404
    assert api.put("/api/crm/deal/5", {"title": "Mine"}).status_code == 404
    assert api.put("/api/crm/deal/5", {"titel": "Mine"}).status_code == 404
    theirs.refresh_from_db()
    assert theirs.title == "Blinds"


@pytest.mark.parametrize("deal_id", [0, 2**63, 10**40])
def test_deals_that_there_are_not_are_not_found(beta, api, connection, deal_id):
    assert beta.get(f"/api/crm/deal/{deal_id}").status_code == 404
    assert api.put(f"/api/crm/deal/{deal_id}", {"title": "x"}).status_code == 404


def test_deals_of_leads_in_the_bin_are_not_shown(beta, member, connection):
    lead = make_lead(member.workspace)
    kept(connection, 5, lead)

    editing.delete_one(lead.pk, workspace=member.workspace, by=SYSTEM)

    assert beta.get("/api/crm/deals").json()["results"] == []
    assert beta.get("/api/crm/deal/5").status_code == 404


def test_a_workspace_without_a_connection_has_no_deals(beta):
    assert beta.get("/api/crm/deals").json() == {"success": True, "results": [], "next": None, "previous": None}


# Changing -----------------------------------------------------------------------------------------------------------------------


def test_a_deal_is_changed_there_and_here(api, sent, pipedrive_server):
    lead, deal = sent()

    answer = api.put(
        f"/api/crm/deal/{deal.remote_id}",
        {
            "title": "Curtains",
            "value": "99.90",
            "currency": "USD",
            "stage": "Proposal made",
            "expected_close_date": "2027-01-31",
        },
    )

    there = pipedrive_server.people.deals.get(deal.remote_id)
    deal.refresh_from_db()
    shown = answer.json()["deal"]
    assert answer.status_code == 200, answer.content
    assert (there["title"], there["value"], there["currency"], there["expected_close_date"]) == (
        "Curtains", 99.9, "USD", "2027-01-31",
    )  # fmt: skip
    assert (deal.title, deal.value, deal.currency, deal.expected_close_date) == (
        "Curtains", Decimal("99.90"), "USD", date(2027, 1, 31),
    )  # fmt: skip
    assert (shown["title"], shown["value"], shown["stage"]) == (
        "Curtains", 99.9, {"id": stage(pipedrive_server, "Proposal made"), "name": "Proposal made"},
    )  # fmt: skip
    assert status_of(lead) == "PROPOSAL"


def test_what_somebody_wrote_before_the_deal_is_agreed_on_with_it(api, member, connection, pipedrive_server):
    lead_id = api.post("/api/v1/leads", {"name": "Ada", "status": "CONTACTED"}).json()["id"]
    deal_id = api.post("/api/crm/lead", {"lead_id": lead_id}).json()["deal_id"]

    api.put(f"/api/crm/deal/{deal_id}", {"stage": "Proposal made"})

    assert Lead.objects.get(pk=lead_id).status == "PROPOSAL"
    assert not Conflict.objects.exists()


def test_a_new_deal_of_a_won_lead_leaves_it_won_until_the_deal_moves_on(
    api, member, connection, account, pipedrive_server
):
    lead_id = api.post("/api/v1/leads", {"name": "Ada", "status": "WON"}).json()["id"]
    deal_id = api.post("/api/crm/lead", {"lead_id": lead_id}).json()["deal_id"]
    syncing.sync_lead(lead_id, account=account, must_read=True)
    at_first = (Lead.objects.get(pk=lead_id).status, pipedrive_server.people.deals.get(deal_id)["status"])

    api.put(f"/api/crm/deal/{deal_id}", {"stage": "Contact made"})

    assert at_first == ("WON", "open")
    assert Lead.objects.get(pk=lead_id).status == "CONTACTED"
    assert not Conflict.objects.exists()


def test_a_lost_deal_tells_why_and_its_lead_is_lost(api, sent, pipedrive_server):
    lead, deal = sent()

    answer = api.put(f"/api/crm/deal/{deal.remote_id}", {"status": "lost", "lost_reason": "Too dear"})

    assert answer.json()["deal"]["status"] == "lost"
    assert pipedrive_server.people.deals.get(deal.remote_id)["lost_reason"] == "Too dear"
    assert (status_of(lead), answer.json()["deal"]["lost_reason"]) == ("LOST", "Too dear")


def test_a_deal_that_does_not_lead_leaves_the_lead_as_it_is(api, sent, pipedrive_server):
    lead, _deal = sent(status="CONTACTED")
    other = api.post("/api/crm/lead", {"lead_id": lead.pk, "deal_title": "Curtains"}).json()

    answer = api.put(f"/api/crm/deal/{other['deal_id']}", {"status": "won"})

    assert answer.json()["deal"]["status"] == "won"
    assert status_of(lead) == "CONTACTED"


@pytest.mark.parametrize("how", ["503", "cut", "403_html", "401"])
def test_out_of_reach_nothing_is_changed_here(api, sent, pipedrive_server, how):
    lead, deal = sent()
    before = Deal.objects.values().get(pk=deal.pk)
    pipedrive_server.fail(on="PATCH /api/v2/deals/*", how=how, times=9)

    answer = api.put(f"/api/crm/deal/{deal.remote_id}", {"status": "won"})

    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert Deal.objects.values().get(pk=deal.pk) == before
    assert status_of(lead) == "NEW"


def test_what_pipedrive_refuses_is_told_in_its_words(api, sent):
    _lead, deal = sent()

    answer = api.put(f"/api/crm/deal/{deal.remote_id}", {"lost_reason": "Too dear"})

    assert (answer.status_code, answer.json()["error"]) == (502, "upstream_error")
    assert "lost" in answer.json()["message"]


def test_a_deal_that_was_deleted_there_is_not_found_and_the_mirror_knows(api, sent, pipedrive_server):
    _lead, deal = sent()
    pipedrive_server.people.deals.delete(deal.remote_id)

    assert api.put(f"/api/crm/deal/{deal.remote_id}", {"title": "x"}).status_code == 404
    deal.refresh_from_db()
    assert (deal.status, deal.is_leading) == ("deleted", False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"stage": "Proposal mad"}, "stage"),
        ({"stage": 10**30 // 10**12}, "stage"),
        ({"stage": -1}, "stage"),
        ({"stage": ""}, "stage"),
        ({"stage": None}, "stage"),
        ({"stage": True}, "stage"),
        ({"stage": {"id": 1}}, "stage"),
        ({"status": "deleted"}, "status"),
        ({"status": None}, "status"),
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"value": "much"}, "value"),
        ({"value": None}, "value"),
        ({"currency": "XXQ"}, "currency"),
        ({"expected_close_date": "31.01.2027"}, "expected_close_date"),
        ({"expected_close_date": "0001-01-01"}, "expected_close_date"),
        ({"expected_close_date": 20270131}, "expected_close_date"),
        ({"lost_reason": "x" * 151}, "lost_reason"),
        ({"lost_reason": "\x00"}, "lost_reason"),
        ({"person_id": 1}, "person_id"),
    ],
)
def test_what_is_no_change_is_refused(api, member, connection, body, field):
    kept(connection, 5, make_lead(member.workspace), pipeline_id=connection.pipeline_id)

    answer = api.put("/api/crm/deal/5", body)

    assert (answer.status_code, set(answer.json()["fields"])) == (400, {field})


def test_a_misspelt_stage_is_told_what_was_meant(api, member, connection):
    kept(connection, 5, make_lead(member.workspace), pipeline_id=connection.pipeline_id)

    answer = api.put("/api/crm/deal/5", {"stage": "Proposal mad"})

    assert answer.json()["fields"] == {
        "stage": ["There is no stage «Proposal mad» in this pipeline. Did you mean «Proposal made»?"]
    }


def test_a_change_of_nothing_asks_nothing(api, sent, pipedrive_server):
    _lead, deal = sent()
    pipedrive_server.requests.clear()

    answer = api.put(f"/api/crm/deal/{deal.remote_id}", {})

    assert answer.json()["deal"]["title"] == "Blinds"
    assert [one.path for one in pipedrive_server.requests if one.method != "GET"] == []


def test_agents_change_deals_of_their_own_leads(client_of, member, sent):
    agent = make_member(Role.AGENT, member.workspace)
    _own, own = sent(assigned_user=agent.user)
    _other, other = sent()

    answers = [client_of(agent).put(f"/api/crm/deal/{deal.remote_id}", {"title": "Mine"}) for deal in (own, other)]

    assert [answer.status_code for answer in answers] == [200, 403]
    assert answers[1].json()["message"] == "Can only update your assigned leads"


# The mirror ---------------------------------------------------------------------------------------------------------------------


def test_a_deal_made_there_for_a_linked_person_is_kept_and_leads(account, member, pipedrive_server):
    lead, person_id = linked(account, member, pipedrive_server)
    made = pipedrive_server.people.deals.create(
        title="Made there", person_id=person_id, value=7, stage_id=stage(pipedrive_server, "Proposal made")
    )

    mirroring.deal_changed(made["id"], account=account)

    deal = Deal.objects.get()
    assert (deal.remote_id, deal.lead_id, deal.title, deal.value, deal.status, deal.is_leading) == (
        made["id"], lead.pk, "Made there", Decimal(7), "open", True,
    )  # fmt: skip


def test_a_new_lead_takes_the_status_of_the_first_deal_that_somebody_makes_there(api, account, pipedrive_server):
    lead_id = api.post("/api/v1/leads", {"name": "Ada", "email": "ada@engines.example"}).json()["id"]
    person_id = syncing.sync_lead(lead_id, account=account, send=True).person_id
    there = {"person_id": person_id, "stage_id": stage(pipedrive_server, "Proposal made")}
    made = pipedrive_server.people.deals.create(title="Made there", **there)

    mirroring.deal_changed(made["id"], account=account)

    assert Lead.objects.get(pk=lead_id).status == "PROPOSAL"
    assert not Conflict.objects.exists()


def test_what_changes_there_changes_here(account, sent, pipedrive_server):
    lead, deal = sent()
    pipedrive_server.people.deals.edit(
        deal.remote_id, title="Curtains", stage_id=stage(pipedrive_server, "Contact made")
    )

    mirroring.deal_changed(deal.remote_id, account=account)

    deal.refresh_from_db()
    assert (deal.title, deal.stage_id) == ("Curtains", stage(pipedrive_server, "Contact made"))
    assert status_of(lead) == "CONTACTED"


def test_an_older_word_than_the_mirrors_is_not_believed(account, sent, pipedrive_server):
    _lead, deal = sent()
    old = dict(pipedrive_server.people.deals.get(deal.remote_id))
    pipedrive_server.clock.advance(5)
    pipedrive_server.people.deals.edit(deal.remote_id, title="Curtains")
    mirroring.deal_changed(deal.remote_id, account=account)

    mirroring.deal_changed(deal.remote_id, account=account, known=old)

    deal.refresh_from_db()
    assert deal.title == "Curtains"


def test_what_was_asked_for_before_somebody_else_wrote_is_not_used(account, sent, pipedrive_server):
    _lead, deal = sent()

    def asked_and_overtaken():
        told = account.pipedrive.deal(deal.remote_id)
        pipedrive_server.people.deals.edit(deal.remote_id, title="Curtains")
        mirroring.mirror(deal.remote_id, account=account)
        return told

    anew = partial(account.pipedrive.deal, deal.remote_id)
    mirroring.keep(deal.remote_id, account=account, first=asked_and_overtaken, read=anew)

    deal.refresh_from_db()
    assert deal.title == "Curtains"


def test_a_deal_of_nobody_here_is_not_kept(account, connection, pipedrive_server):
    connection.takes_new = False
    connection.save()
    alone = pipedrive_server.people.deals.create(title="Alone")
    somebodys = pipedrive_server.people.deals.create(
        title="Somebody's", person_id=pipedrive_server.people.persons.create(name="Cleo")["id"]
    )

    for one in (alone, somebodys):
        mirroring.deal_changed(one["id"], account=account)

    assert not Deal.objects.exists()


def test_deleted_there_it_is_deleted_here_and_another_open_one_leads(account, api, sent, pipedrive_server):
    lead, deal = sent()
    other = api.post("/api/crm/lead", {"lead_id": lead.pk, "deal_title": "Curtains"}).json()["deal_id"]
    pipedrive_server.people.deals.edit(other, stage_id=stage(pipedrive_server, "Proposal made"))
    mirroring.deal_changed(other, account=account)
    pipedrive_server.people.deals.delete(deal.remote_id)

    mirroring.deal_changed(deal.remote_id, account=account)

    assert list(Deal.objects.order_by("pk").values_list("status", "is_leading")) == [("deleted", False), ("open", True)]
    assert status_of(lead) == "PROPOSAL"


def test_a_won_deal_leads_until_a_new_one_opens(account, sent, pipedrive_server):
    lead, deal = sent()
    pipedrive_server.people.deals.edit(deal.remote_id, status="won")
    mirroring.deal_changed(deal.remote_id, account=account)
    won = (status_of(lead), Deal.objects.get().is_leading)

    new = pipedrive_server.people.deals.create(title="More", person_id=deal.person_id)
    mirroring.deal_changed(new["id"], account=account)

    assert won == ("WON", True)
    assert Deal.objects.get(is_leading=True).remote_id == new["id"]


def test_a_deal_that_goes_to_another_person_goes_to_their_lead(account, member, sent, pipedrive_server):
    _lead, deal = sent()
    other, person_id = linked(account, member, pipedrive_server, email="bert@x.example")
    pipedrive_server.people.deals.edit(deal.remote_id, person_id=person_id)

    mirroring.deal_changed(deal.remote_id, account=account)

    deal.refresh_from_db()
    assert (deal.lead_id, deal.is_leading) == (other.pk, True)


def test_what_a_deal_holds_can_be_as_odd_as_it_likes(connection):
    odd = mirroring.mirrored(
        {
            "id": 5,
            "title": "a\x00b\ud800" + "x" * 600,
            "value": 1e300,
            "currency": None,
            "status": ["won"],
            "pipeline_id": 2**64,
            "stage_id": "7",
            "person_id": True,
            "expected_close_date": "soon",
            "add_time": "2026-13-01",
            "update_time": 5,
        }
    )

    assert odd == {
        "remote_id": 5,
        "title": "ab" + "x" * 498,
        "value": None,
        "currency": "",
        "status": "open",
        "pipeline_id": None,
        "stage_id": None,
        "person_id": None,
        "organization_id": None,
        "expected_close_date": None,
        "lost_reason": "",
        "remote_created_at": None,
        "remote_updated_at": None,
    }


# Leads that are merged ------------------------------------------------------------------------------------------------------------


def test_deals_go_along_in_a_merge_and_back_and_one_leads_each_time(member, connection):
    survivor, loser = make_lead(member.workspace), make_lead(member.workspace)
    kept(connection, 1, survivor, is_leading=True)
    kept(connection, 2, loser, is_leading=True)
    kept(connection, 3, loser, status="won")

    [merge] = merging.merge([Wish(survivor.pk, (loser.pk,))], workspace=member.workspace, by=SYSTEM)
    merged = list(Deal.objects.order_by("pk").values_list("lead", "is_leading"))
    unmerging.undo(merge.merge_id, workspace=member.workspace, by=SYSTEM)

    assert merged == [(survivor.pk, True), (survivor.pk, False), (survivor.pk, False)]
    assert list(Deal.objects.order_by("pk").values_list("lead", "is_leading")) == [
        (survivor.pk, True),
        (loser.pk, True),
        (loser.pk, False),
    ]
