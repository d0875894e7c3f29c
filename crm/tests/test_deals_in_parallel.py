"""Deals that many want or change at the same moment, on connections of their own: one of each, and the newest is what is kept."""

import time
from functools import partial

import pytest

from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from crm.errors import MayBeThere, NothingWaits
from crm.models import Creation, Deal
from crm.pipedrive import accounts
from crm.pipedrive.deals import making, mirroring, wanting
from crm.pipedrive.limits import Lane
from crm.tests.factories import make_connection
from leads import deals as wishes
from leads.history import Author
from leads.models import Lead
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

ADA = {"name": "Ada Byron", "email": "ada@engines.example", "company": "Engines", "deal_title": "Blinds"}


@pytest.fixture
def member():
    return make_member()


@pytest.fixture
def connection(member, pipedrive_server):
    return make_connection(member.workspace, pipedrive_server, by=member.user)


@pytest.fixture
def api(member, client_of):
    return client_of(member)


def post(client_of, member, body, **headers):
    return client_of(member).post("/api/crm/lead", body, headers=headers)


def there(server):
    people = server.people
    return [len(things.all()) for things in (people.persons, people.organizations, people.deals)]


def make_what_waits(connection):
    """As jobs do, until nothing waits."""
    for _ in range(20):
        Deal.objects.update(retry_at=None)
        if not Deal.objects.due().exists():
            return
        making.make_queued(accounts.open(connection, lane=Lane.BACKGROUND))


@pytest.mark.parametrize("is_known", [False, True])
def test_ten_who_want_the_same_at_once_have_one_deal(client_of, member, connection, pipedrive_server, is_known):
    pipedrive_server.search_lags(60)
    body = {"lead_id": make_lead(member.workspace).pk} if is_known else ADA

    answers = at_once([partial(post, client_of, member, body)] * 10)
    make_what_waits(connection)

    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({str(answer.json()) for answer in answers if answer.status_code == 201}) == 1
    assert there(pipedrive_server) == [1, 1, 1]
    assert (Lead.objects.count(), Deal.objects.get().status) == (1, "open")


def test_ten_with_one_idempotency_key_have_one_deal(client_of, member, connection, pipedrive_server):
    headers = {"Idempotency-Key": "one"}

    answers = at_once([partial(post, client_of, member, ADA, **headers)] * 10)
    make_what_waits(connection)

    assert {answer.status_code for answer in answers} <= {201, 202, 409}
    assert there(pipedrive_server) == [1, 1, 1]


@pytest.mark.parametrize("how", ["cut", "504_after", "cut_before", "503"])
def test_ten_at_once_without_answers_have_one_deal(client_of, member, connection, pipedrive_server, settings, how):
    settings.PIPEDRIVE_UNCERTAIN = settings.PIPEDRIVE_UNCERTAIN * 0
    for path in ("persons", "organizations", "deals"):
        pipedrive_server.fail(on=f"POST /api/v2/{path}", how=how)

    answers = at_once([partial(post, client_of, member, ADA)] * 10)
    make_what_waits(connection)

    assert {answer.status_code for answer in answers} <= {201, 202}
    assert there(pipedrive_server) == [1, 1, 1]
    assert Deal.objects.get().status == "open"


def test_companies_leads_that_come_at_once_share_the_organization(client_of, member, connection, pipedrive_server):
    bodies = [ADA | {"email": f"ada{number}@engines.example"} for number in range(5)]

    at_once([partial(post, client_of, member, body) for body in bodies])
    make_what_waits(connection)

    assert there(pipedrive_server) == [5, 1, 5]


def test_a_wish_and_the_jobs_make_a_deal_once(client_of, member, connection, pipedrive_server):
    def jobs():
        for _ in range(20):
            Deal.objects.update(retry_at=None)
            making.make_queued(accounts.open(connection, lane=Lane.BACKGROUND))
            time.sleep(0.02)

    at_once([partial(post, client_of, member, ADA), jobs, jobs])
    make_what_waits(connection)

    assert there(pipedrive_server) == [1, 1, 1]


def test_the_ai_and_the_api_that_want_the_same_want_one_deal(member, connection, pipedrive_server, client_of):
    lead = make_lead(member.workspace)
    by = Author.of(member, "ai")
    wanted = {"lead_id": lead.pk, "deal_title": "Blinds"}

    at_once(
        [
            partial(wishes.want, lead.pk, "Blinds", 5, "EUR", workspace=member.workspace, by=by),
            partial(post, client_of, member, wanted),
        ]
    )
    make_what_waits(connection)

    assert (there(pipedrive_server)[2], Deal.objects.count()) == (1, 1)


def test_a_webhook_that_is_faster_than_the_answer_makes_no_second_row(client_of, member, connection, pipedrive_server):
    account = accounts.open(connection, lane=Lane.BACKGROUND)
    pipedrive_server.fail(on="POST /api/v2/deals", how="cut")  # so that the answer is late for sure

    def as_soon_as_it_is_there():
        for _ in range(600):
            if made := pipedrive_server.people.deals.all():
                return mirroring.mirror(made[0]["id"], account=account)
            time.sleep(0.005)
        return None

    at_once([partial(post, client_of, member, ADA), as_soon_as_it_is_there, as_soon_as_it_is_there])
    make_what_waits(connection)

    deal = Deal.objects.get()
    assert (deal.status, deal.is_leading) == ("open", True)
    assert there(pipedrive_server) == [1, 1, 1]


def test_of_two_changes_the_mirror_has_the_one_that_pipedrive_has(client_of, member, connection, pipedrive_server):
    deal_id = post(client_of, member, ADA).json()["deal_id"]

    for number in range(5):
        titles = [f"{number}-{name}" for name in "abcd"]
        answers = at_once(
            [partial(client_of(member).put, f"/api/crm/deal/{deal_id}", {"title": title}) for title in titles]
        )

        assert {answer.status_code for answer in answers} == {200}
        assert Deal.objects.get().title == pipedrive_server.people.deals.get(deal_id)["title"]


def test_of_two_deals_that_come_at_once_one_leads(member, connection, pipedrive_server, client_of):
    person_id = post(client_of, member, ADA).json()["person_id"]
    Deal.objects.update(status="won")
    account = accounts.open(connection, lane=Lane.BACKGROUND)
    made = [pipedrive_server.people.deals.create(title=f"Deal {n}", person_id=person_id)["id"] for n in range(4)]

    at_once([partial(mirroring.mirror, deal_id, account=account) for deal_id in made])

    assert Deal.objects.filter(is_leading=True, status="open").count() == 1
    assert Deal.objects.filter(is_leading=True).count() == 1


def test_a_deal_that_is_being_made_is_not_given_up(member, connection, pipedrive_server, client_of):
    lead_id = post(client_of, member, ADA).json()["lead_id"]
    wish = wanting.Wish(lead_id=str(lead_id), title="Curtains")
    deal = wanting.want(wish, workspace=member.workspace, by=Author.of(member))
    pipedrive_server.slow(0.5)

    def give_up():
        for _ in range(500):
            if Creation.objects.filter(kind="deal", key=str(deal.pk)).exclude(sent_at=None).exists():
                with pytest.raises((MayBeThere, NothingWaits)):
                    wanting.give_up(deal)
                return
            time.sleep(0.01)

    at_once([partial(making.make_now, Deal.objects.get(pk=deal.pk), seconds=10), give_up])

    deal.refresh_from_db()
    assert (deal.status, len(pipedrive_server.people.deals.all())) == ("open", 2)
