"""Quotes: what an export would cost, and nothing written but the quote."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads import exports
from leads.exports import quoting
from leads.models import Export, ExportedLead, ExportQuote, Lead, Suppression, Usage
from leads.tests.factories import give_plan, make_catalogue, make_catalogue_lead, make_lead, use
from zevix.models import Event

pytestmark = pytest.mark.django_db


QUERIES = 6  # member, what the ids name or the filter finds, what these are, usage with credit, plan, the quote


def quote(api, *ids):
    return api.post("/api/v1/exports/quote", {"lead_ids": list(ids)})


def search(api, filter, **more):
    return api.post("/api/v1/exports/quote", {"filter": filter, **more})


def figures(answer):
    """The counts alone."""
    names = ["new", "owned", "suppressed", "undeliverable", "unknown", "cost"]
    return {name: answer.json()[name] for name in names if answer.json()[name]}


def own(member, *ids):
    return exports.export(ids, by=member.user, workspace=member.workspace)


def suppress(member, *values):
    Suppression.objects.bulk_create(
        Suppression(workspace=member.workspace, value=value, kind="email" if "@" in value else "domain")
        for value in values
    )


def test_every_id_is_counted_once_and_the_cost_is_told(api, member):
    make_catalogue_lead(external_id="new1", email="a@new.example")
    make_catalogue_lead(external_id="new2", email="")
    make_catalogue_lead(external_id="owned")
    make_catalogue_lead(external_id="address", email="Never@Practice.Example")
    make_catalogue_lead(external_id="domain", email="b@Nowhere.example")
    make_catalogue_lead(external_id="dead", email="c@new.example", email_status="undeliverable")
    own(member, "owned")
    suppress(member, "never@practice.example", "nowhere.example")

    answer = quote(api, "new1", "owned", "address", "domain", "nobody", "dead", "new2", "99999999999999999999")

    body = answer.json()
    row = ExportQuote.objects.get()
    assert answer.status_code == 200
    assert body.pop("quote") == quoting.signed(row)
    assert abs(timezone.now() + timedelta(minutes=15) - row.expires_at) < timedelta(minutes=1)
    assert body == {
        "new": 2,
        "owned": 1,
        "suppressed": 2,
        "undeliverable": 1,
        "unknown": 2,
        "cost": 2,
        "remaining": 49,
        "remaining_after": 47,
        "not_covered": 0,
        "expires_at": row.expires_at.isoformat().replace("+00:00", "Z"),
    }


def test_a_quote_writes_nothing_but_itself(api, member):
    make_catalogue(3)

    quote(api, "id1", "id2")

    assert ExportQuote.objects.count() == 1
    assert [model.objects.count() for model in (Export, ExportedLead, Usage, Event)] == [0, 0, 0, 0]
    assert Lead.objects.for_workspace(member.workspace).count() == 0


def test_the_cost_is_no_more_than_the_quota_has_room_for(api, member):
    make_catalogue(5)
    give_plan(member.workspace, 10)
    use(member.workspace, 7)

    answer = quote(api, *(f"id{number}" for number in range(1, 6))).json()

    assert (answer["new"], answer["cost"], answer["remaining"], answer["remaining_after"], answer["not_covered"]) == (
        5, 3, 3, 0, 2,
    )  # fmt: skip


def test_a_second_id_of_a_lead_costs_nothing(api):
    (lead,) = make_catalogue(1)

    answer = quote(api, "id1", lead.pk)

    assert figures(answer) == {"new": 1, "owned": 1, "cost": 1}


def test_a_copy_is_the_lead_that_was_paid(api, member):
    make_catalogue(1)
    own(member, "id1")
    copy = Lead.objects.for_workspace(member.workspace).get()

    answer = quote(api, copy.pk)

    assert figures(answer) == {"owned": 1}


def test_what_was_paid_stays_owned_whatever_was_suppressed_or_died_since(api, member):
    lead = make_lead(member.workspace, email="a@practice.example")
    own(member, str(lead.pk))
    suppress(member, "a@practice.example")
    Lead.objects.filter(pk=lead.pk).update(email_status="undeliverable")

    answer = quote(api, lead.pk)

    assert figures(answer) == {"owned": 1}


def test_a_domain_covers_its_own_addresses_and_not_those_of_others(api, member):
    for number, email in enumerate(["a@practice.example", "a@sub.practice.example", "a@otherpractice.example"]):
        make_lead(member.workspace, external_id=f"m{number}", email=email)
    suppress(member, "practice.example")

    answer = quote(api, "m0", "m1", "m2")

    assert figures(answer) == {"suppressed": 1, "new": 2, "cost": 2}


def test_another_workspaces_suppressions_and_exports_do_not_count(api, stranger):
    make_catalogue_lead(external_id="one", email="a@practice.example")
    own(stranger, "one")
    suppress(stranger, "practice.example")
    theirs = make_lead(stranger.workspace, external_id="theirs")

    answer = quote(api, "one", "theirs", theirs.pk)

    assert figures(answer) == {"new": 1, "unknown": 2, "cost": 1}


def test_the_same_key_gives_the_same_quote(api):
    make_catalogue(1)

    first, again = (
        api.post("/api/v1/exports/quote", {"lead_ids": ["id1"]}, headers={"Idempotency-Key": "ask"}) for _ in range(2)
    )

    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert ExportQuote.objects.count() == 1


# Filters


def test_a_filter_finds_leads_of_the_catalogue_and_of_the_workspace_each_once(api, member):
    catalogue = make_catalogue(3, city="York")
    own(member, "id1")
    mine = make_lead(member.workspace, city="york")
    make_lead(member.workspace, city="Leeds")

    answer = search(api, {"city": "YORK"})

    assert figures(answer) == {"new": 3, "owned": 1, "cost": 3}
    roots = sorted([lead.pk for lead in catalogue] + [mine.pk], reverse=True)
    assert ExportQuote.objects.get().leads == roots


@pytest.mark.parametrize(("place", "counts"), [("catalogue", (2, 1)), ("workspace", (1, 1))])
def test_from_says_whose_leads_are_meant(api, member, place, counts):
    make_catalogue(3, city="York")
    own(member, "id1")
    make_lead(member.workspace, city="York")

    answer = search(api, {"city": "York"}, **{"from": place})

    assert (answer.json()["new"], answer.json()["owned"]) == counts


def test_custom_fields_are_filters_of_the_workspaces_own_leads(api, member):
    make_lead(member.workspace, extra={"room": "1"})
    make_lead(member.workspace, extra={"room": "2"})

    answer = search(api, {"extra.room": "1"}, **{"from": "workspace"})

    assert answer.json()["new"] == 1


def test_an_empty_filter_means_all_leads(api, member):
    make_catalogue(2)
    make_lead(member.workspace)

    assert search(api, {}).json()["new"] == 3


def test_a_search_of_the_catalogue_finds_nothing_by_what_is_masked(api):
    make_catalogue_lead(email="secret@practice.example", company="Smile")

    assert search(api, {"search": "secret"}).json()["new"] == 0
    assert search(api, {"search": "smile"}).json()["new"] == 1


def test_a_filter_that_finds_too_many_is_refused_with_their_number(api, settings):
    settings.EXPORT_MAX = 2
    make_catalogue(3)

    answer = search(api, {})

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert answer.json()["fields"] == {"filter": ["It finds 3 leads; an export has at most 2."]}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"non_field_errors"}),
        ({"lead_ids": ["id1"], "filter": {}}, {"non_field_errors"}),
        ({"lead_ids": ["id1"], "from": "catalogue"}, {"from"}),
        ({"lead_ids": []}, {"lead_ids"}),
        ({"lead_ids": "id1"}, {"lead_ids"}),
        ({"lead_ids": [str(number) for number in range(10_001)]}, {"lead_ids"}),
        ({"filter": []}, {"filter"}),
        ({"filter": "city"}, {"filter"}),
        ({"filter": None}, {"filter"}),
        ({"filter": {"nothing": 1}}, {"filter.nothing"}),
        ({"filter": {"city": {"a": 1}}}, {"filter.city"}),
        ({"filter": {"city": "\x00"}}, {"filter.city"}),
        ({"filter": {"import_batch": 10**30}}, {"filter.import_batch"}),
        ({"filter": {"extra.room": "1"}, "from": "catalogue"}, {"filter.extra.room"}),
        ({"filter": {}, "from": "elsewhere"}, {"from"}),
        ({"filter": {}, "from": ["catalogue"]}, {"from"}),
        ({"filter": {}, "surplus": 1}, {"surplus"}),
        ([1], {"non_field_errors"}),
    ],
)
def test_what_names_no_leads_is_a_validation_error(api, body, fields):
    answer = api.post("/api/v1/exports/quote", body)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert set(answer.json()["fields"]) == fields
    assert ExportQuote.objects.count() == 0


def test_the_number_of_queries_follows_neither_the_ids_nor_the_leads(api, member, django_assert_num_queries):
    make_catalogue(30)
    own(member, "id1")

    with django_assert_num_queries(QUERIES):
        quote(api, "id1")
    with django_assert_num_queries(QUERIES):
        quote(api, *(f"id{number}" for number in range(1, 31)))
    with django_assert_num_queries(QUERIES):
        search(api, {"search": "practice"})


def test_old_quotes_are_forgotten_but_not_those_that_are_being_exported(api, member):
    make_catalogue(3)
    for number in (1, 2, 3):
        quote(api, f"id{number}")
    fresh, old, running = ExportQuote.objects.order_by("pk")
    long_ago = timezone.now() - timedelta(days=1, minutes=1)
    ExportQuote.objects.filter(pk__in=[old.pk, running.pk]).update(expires_at=long_ago)
    receipt = own(member, "id3")
    Export.objects.filter(pk=receipt.export_id).update(status="running")
    ExportQuote.objects.filter(pk=running.pk).update(export=receipt.export_id)

    assert quoting.forget_old() == 1
    assert set(ExportQuote.objects.all()) == {fresh, running}
