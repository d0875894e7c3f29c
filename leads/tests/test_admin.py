"""Leads, imports, exports and quotas in the admin."""

import io

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Role, Workspace
from accounts.tests.factories import make_member
from accounts.tests.threads import at_once
from billing.models import Plan
from leads import editing, quotas
from leads.errors import ExternalIdTaken, LeadChanged
from leads.history import SYSTEM, Author
from leads.imports import importing
from leads.imports.importing import Options
from leads.imports.reading import CsvSource
from leads.models import BulkChange, ExportedLead, ImportBatch, Lead
from leads.tests.factories import make_catalogue_lead, make_lead
from zevix.models import Event
from zevix.tests.forms import filled

pytestmark = pytest.mark.django_db

LEADS = reverse("admin:leads_lead_changelist")
NEW_LEAD = reverse("admin:leads_lead_add")


def page_of(row, view="change"):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{view}", args=[row.pk])


def list_of(name):
    return reverse(f"admin:leads_{name}_changelist")


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def save(browser, row, **changes):
    return browser.post(page_of(row), filled(browser.get(page_of(row)), **changes))


def choose(browser, action, *leads, **more):
    chosen = {"action": action, "_selected_action": [lead.pk for lead in leads]}
    return browser.post(LEADS, chosen | more, follow=True)


def errors(answer):
    return answer.context["adminform"].form.errors


@pytest.fixture
def manager(db):
    return make_member(Role.MANAGER)


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


# One lead


def test_a_new_phone_is_matched_by_its_new_form(browser, manager):
    lead = make_lead(manager.workspace, phone="(330) 555-0100", phone_normalized="+13305550100")

    save(browser, lead, phone="(330) 779-3389")

    lead.refresh_from_db()
    assert (lead.phone, lead.phone_normalized) == ("(330) 779-3389", "+13307793389")


def test_a_new_country_gives_the_phone_another_form(browser, manager):
    lead = make_lead(manager.workspace, phone="030 901820", phone_normalized="030901820")

    save(browser, lead, country="DE")

    lead.refresh_from_db()
    assert lead.phone_normalized == "+4930901820"


def test_whether_action_is_needed_follows_from_status_and_last_contact(browser, manager):
    lead = make_lead(manager.workspace, last_contact=timezone.now(), needs_action=True)

    save(browser, lead, status="WON")

    lead.refresh_from_db()
    assert (lead.status, lead.needs_action) == ("WON", False)


def test_what_a_person_says_about_action_stands(browser, manager):
    lead = make_lead(manager.workspace, last_contact=timezone.now(), needs_action=False)

    save(browser, lead, status="WON", needs_action="on")

    lead.refresh_from_db()
    assert lead.needs_action is True


def test_fields_are_cleaned_as_the_api_cleans_them(browser, manager):
    lead = make_lead(manager.workspace)

    save(
        browser, lead, ein="123456789", state="OH", zip_code="1803", entity_type="2", providers="Ada Lang, MD\n\nBo Ray\n",
        tags="hot\nhot\nfair", extra='{"Fax": "1"}',
    )  # fmt: skip

    lead.refresh_from_db()
    assert (lead.ein, lead.zip_code, lead.entity_type) == ("12-3456789", "01803", "Organization")
    assert (lead.providers, lead.tags, lead.extra) == (["Ada Lang, MD", "Bo Ray"], ["hot", "fair"], {"Fax": "1"})


def test_a_saved_lead_has_another_version_and_tells_of_it_once(browser, manager):
    lead = make_lead(manager.workspace)

    save(browser, lead, name="Ada Lang", city="Akron")

    lead.refresh_from_db()
    assert lead.version == 2
    assert lead.updated_at > lead.created_at
    assert list(Event.objects.values_list("type", "data")) == [
        ("lead.updated", {"id": lead.pk, "fields": ["city", "name"]})
    ]


def test_a_form_saved_as_it_was_changes_nothing(browser, manager):
    lead = make_lead(
        manager.workspace, providers=["Lang, MD"], extra={"Fax": [1, None]}, notes="a\nb", last_contact=timezone.now(),
        is_sole_proprietor=True, score=0, disg_type="D", assigned_user=manager.user,
    )  # fmt: skip
    before = Lead.objects.filter(pk=lead.pk).values().get()

    save(browser, lead)

    assert Lead.objects.filter(pk=lead.pk).values().get() == before
    assert not Event.objects.exists()


def test_a_lead_that_somebody_changed_meanwhile_is_not_overwritten(browser, manager):
    lead = make_lead(manager.workspace, name="Ada")
    form = filled(browser.get(page_of(lead)), city="Akron")
    Lead.objects.filter(pk=lead.pk).update(name="Bo", version=2)

    answer = browser.post(page_of(lead), form)

    lead.refresh_from_db()
    assert str(LeadChanged.message) in str(errors(answer))
    assert (lead.name, lead.city) == ("Bo", "")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_of_two_who_save_the_same_version_at_the_same_moment_one_is_refused(attempt):
    lead = make_lead(make_member().workspace)

    def save_as(name):
        try:
            editing.update(lead.pk, {"name": name}, workspace=lead.workspace_id, by=SYSTEM, versions={1})
        except LeadChanged:
            return None
        return name

    saved = at_once([lambda: save_as("Ada"), lambda: save_as("Bo")])

    lead.refresh_from_db()
    assert set(saved) == {lead.name, None}
    assert lead.version == 2


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("email", "no address"),
        ("phone", "call me"),
        ("npi", "123"),
        ("ein", "12"),
        ("score", "101"),
        ("score", "9" * 5000),
        ("status", "SOLD"),
        ("status", ""),
        ("disg_type", "X"),
        ("name", "x" * 501),
        ("notes", "x" * 20_001),
        ("notes", "a\x00b"),
        ("tags", "\n".join(map(str, range(101)))),
        ("tags", "x" * 501),
        ("extra", "[1]"),
        ("extra", "{"),
        ("extra", '{"a": NaN}'),
        ("extra", '{"a": "\\u0000"}'),
        ("extra", '{"a": "\\ud800"}'),
        ("extra", '{"a": 1e999}'),
        ("extra", '{"a": [1e29]}'),
        ("extra", '{"a": -9223372036854775808}'),
        ("extra", '{"a": ' + "9" * 5000 + "}"),
        ("extra", '{"a":' * 300 + "1" + "}" * 300),
        ("extra", "[" * 5000 + "]" * 5000),
        ("extra", '{"a": "' + "x" * 70_000 + '"}'),
        ("last_contact_0", "yesterday"),
        ("last_contact_0", "99999-01-01"),
        ("next_action_at_1", "25:00"),
        ("assigned_user", "99999999999999999999"),
        ("assigned_user", "abc"),
        ("external_id", "x" * 201),
    ],
)
def test_what_can_not_be_is_refused_at_the_field(field, written, browser, manager):
    lead = make_lead(manager.workspace)

    answer = save(browser, lead, **{field: written})

    assert answer.status_code == 200
    assert errors(answer).keys() == {field.removesuffix("_0").removesuffix("_1")}
    lead.refresh_from_db()
    assert lead.version == 1


def test_a_lead_keeps_something_that_tells_who_it_is(browser, manager):
    lead = make_lead(manager.workspace)

    answer = save(browser, lead, company="", email="")

    assert errors(answer).keys() == {"__all__"}


def test_an_external_id_names_one_lead(browser, manager, stranger):
    make_lead(manager.workspace, external_id="taken")
    make_lead(stranger.workspace, external_id="theirs")
    lead = make_lead(manager.workspace)

    refused = save(browser, lead, external_id="taken")
    accepted = save(browser, lead, external_id="theirs")

    assert errors(refused) == {"external_id": [str(ExternalIdTaken.message)]}
    assert accepted.status_code == 302


def test_a_lead_does_not_move_to_another_workspace(browser, manager):
    other = make_member().workspace
    Membership.objects.create(user=manager.user, workspace=other, role=Role.ADMIN)
    lead = make_lead(manager.workspace)

    save(browser, lead, workspace=other.pk, name="Ada")

    lead.refresh_from_db()
    assert (lead.workspace, lead.name) == (manager.workspace, "Ada")


def test_a_lead_is_assigned_to_members_of_its_workspace_only(browser, manager, stranger):
    agent = make_member(Role.AGENT, manager.workspace)
    lead = make_lead(manager.workspace)

    refused = save(browser, lead, assigned_user=stranger.user_id)
    accepted = save(browser, lead, assigned_user=agent.user_id)

    lead.refresh_from_db()
    assert errors(refused).keys() == {"assigned_user"}
    assert stranger.user.email not in refused.content.decode()
    assert accepted.status_code == 302
    assert lead.assigned_user == agent.user
    assert Event.objects.filter(type="lead.assigned").get().data == {"id": lead.pk, "assigned_user_id": agent.user_id}


def test_somebody_who_left_keeps_the_lead_until_it_is_given_to_another(browser, manager):
    left = make_member(Role.AGENT, manager.workspace)
    lead = make_lead(manager.workspace, assigned_user=left.user)
    left.delete()

    save(browser, lead, name="Ada")

    lead.refresh_from_db()
    assert lead.assigned_user == left.user


def test_a_lead_is_added_to_ones_own_workspace(browser, manager):
    page = browser.get(NEW_LEAD)

    answer = browser.post(
        NEW_LEAD, filled(page, company="Black River Clinic", phone="330-779-3389", extra='{"Fax": 1}')
    )

    lead = Lead.objects.get()
    assert answer.status_code == 302
    assert (lead.workspace, lead.company, lead.source) == (manager.workspace, "Black River Clinic", "human")
    assert (lead.phone_normalized, lead.needs_action, lead.extra) == ("+13307793389", True, {"Fax": 1})
    assert Event.objects.get().data == {"id": lead.pk, "source": "human"}


def test_a_lead_is_not_added_to_another_workspace(browser, manager, stranger):
    answers = [
        browser.post(NEW_LEAD, filled(browser.get(NEW_LEAD), company="X", workspace=workspace))
        for workspace in (stranger.workspace_id, Workspace.objects.catalogue().pk, "", "abc")
    ]

    assert all(errors(answer).keys() == {"workspace"} for answer in answers)
    assert not Lead.objects.exists()


def test_the_operator_adds_leads_to_the_catalogue(operator, in_admin):
    catalogue = Workspace.objects.catalogue()
    browser = in_admin(operator)

    browser.post(NEW_LEAD, filled(browser.get(NEW_LEAD), company="X", workspace=catalogue.pk, external_id="id1"))
    twice = browser.post(
        NEW_LEAD, filled(browser.get(NEW_LEAD), company="Y", workspace=catalogue.pk, external_id="id1")
    )

    assert errors(twice).keys() == {"external_id"}
    assert Lead.objects.in_catalogue().get().company == "X"


def test_what_is_written_in_a_lead_is_text_and_no_markup(browser, manager):
    lead = make_lead(manager.workspace, company="<script>alert(1)</script>", city="<b>x", source="<i>y")

    pages = [browser.get(LEADS), browser.get(page_of(lead)), save(browser, lead, name="Ada"), browser.get(LEADS)]

    text = "".join(page.content.decode() for page in pages)
    assert "<script>alert(1)" not in text
    assert "<b>x" not in text
    assert "<i>y" not in text


# The list of leads


def test_the_search_finds_beginnings_of_words(browser, manager):
    found = make_lead(manager.workspace, company="Black River Clinic", city="Akron")
    make_lead(manager.workspace, company="White Hill")

    answers = [browser.get(LEADS, {"q": text}) for text in ("riv", "akr bla", "office", "'", "  ")]

    assert [[lead.pk for lead in answer.context["cl"].result_list] for answer in answers[:2]] == [[found.pk]] * 2
    assert len(answers[2].context["cl"].result_list) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"status__exact": "WON"},
        {"state": "oh"},
        {"needs_action": "no"},
        {"source": "Website"},
        {"email_status__exact": "risky"},
        {"assigned": "me"},
    ],
)
def test_the_list_is_narrowed(query, browser, manager):
    wanted = make_lead(
        manager.workspace, status="WON", state="OH", needs_action=False, source="website", email_status="risky",
        assigned_user=manager.user,
    )  # fmt: skip
    make_lead(manager.workspace)

    answer = browser.get(LEADS, query)

    assert [lead.pk for lead in answer.context["cl"].result_list] == [wanted.pk]


def test_the_list_is_narrowed_to_nobody_or_a_member(browser, manager, stranger):
    agent = make_member(Role.AGENT, manager.workspace)
    theirs, nobodys = make_lead(manager.workspace, assigned_user=agent.user), make_lead(manager.workspace)
    make_lead(stranger.workspace, assigned_user=stranger.user)

    found = {
        value: [lead.pk for lead in browser.get(LEADS, {"assigned": value}).context["cl"].result_list]
        for value in (str(agent.user_id), "none", str(stranger.user_id), "nosuch")
    }

    assert list(found.values()) == [[theirs.pk], [nobodys.pk], [], []]
    assert stranger.user.email not in browser.get(LEADS).content.decode()


def test_the_operator_tells_the_catalogue_from_the_workspaces(operator, manager, in_admin):
    stock, own = make_catalogue_lead(), make_lead(manager.workspace)
    browser = in_admin(operator)

    found = [
        [lead.pk for lead in browser.get(LEADS, query).context["cl"].result_list]
        for query in ({}, {"stock": "catalogue"}, {"stock": "workspaces"}, {"workspace__id__exact": own.workspace_id})
    ]

    assert found == [[own.pk, stock.pk], [stock.pk], [own.pk], [own.pk]]


def test_a_manager_sees_copies_but_not_the_catalogue(browser, manager, client_of):
    stock = make_catalogue_lead()
    client_of(manager).post("/zevix/export-lead", {"lead_id": stock.pk})

    shown = browser.get(LEADS).context["cl"].result_list

    assert [lead.catalogue_lead_id for lead in shown] == [stock.pk]
    assert browser.get(page_of(stock)).status_code == 302


# Acts on many leads


def test_leads_are_assigned_to_me(browser, manager):
    leads = [make_lead(manager.workspace), make_lead(manager.workspace, assigned_user=manager.user)]

    answer = choose(browser, "assign_to_me", *leads)

    assert said(answer) == ["1 lead changed."]
    assert set(Lead.objects.values_list("assigned_user", "version")) == {(manager.user_id, 2), (manager.user_id, 1)}
    change = BulkChange.objects.get()
    assert (change.user, change.matched_count, change.changed_count) == (manager.user, 2, 1)
    assert Event.objects.get(type="lead.updated").data == {
        "count": 1, "fields": ["assigned_user_id"], "bulk_id": change.pk,
    }  # fmt: skip


def test_leads_of_a_workspace_without_me_are_not_assigned_to_me(operator, manager, in_admin):
    mine = Membership.objects.create(user=operator, workspace=make_member().workspace, role=Role.AGENT).workspace
    leads = [make_lead(mine), make_lead(manager.workspace)]

    answer = choose(in_admin(operator), "assign_to_me", *leads)

    assert said(answer) == ["Leads of workspaces that you are no member of stay as they are.", "1 lead changed."]
    assert [Lead.objects.get(pk=lead.pk).assigned_user for lead in leads] == [operator, None]


def test_a_status_is_set_with_what_follows_from_it(browser, manager):
    leads = [make_lead(manager.workspace, last_contact=timezone.now()), make_lead(manager.workspace)]

    answer = choose(browser, "set_status_won", *leads)

    assert said(answer) == ["2 leads changed."]
    assert [
        Lead.objects.filter(pk=lead.pk).values_list("status", "needs_action", "version").get() for lead in leads
    ] == [
        ("WON", False, 2),
        ("WON", True, 2),
    ]


@pytest.mark.parametrize(("action", "needed"), [("mark_needing_action", True), ("mark_needing_no_action", False)])
def test_leads_are_marked(action, needed, browser, manager):
    lead = make_lead(manager.workspace, needs_action=not needed)

    choose(browser, action, lead)

    lead.refresh_from_db()
    assert lead.needs_action is needed


def test_an_act_on_all_that_a_search_found_reaches_just_these(browser, manager):
    found = [make_lead(manager.workspace, company="River One"), make_lead(manager.workspace, company="River Two")]
    other = make_lead(manager.workspace, company="Hill")
    chosen = {"action": "set_status_lost", "_selected_action": [found[0].pk], "select_across": "1"}

    browser.post(f"{LEADS}?q=river", chosen)

    assert set(Lead.objects.filter(status="LOST")) == set(found)
    assert Lead.objects.get(pk=other.pk).version == 1


def test_more_leads_than_one_handles_by_hand_are_left_alone(browser, manager, monkeypatch):
    monkeypatch.setattr("leads.admin.leads._AT_ONCE", 1)
    leads = [make_lead(manager.workspace), make_lead(manager.workspace)]

    answers = [choose(browser, "set_status_won", *leads), choose(browser, "delete_selected", *leads, post="yes")]

    assert [said(answer) for answer in answers] == [["At most 1 leads at a time: narrow the list."]] * 2
    assert Lead.objects.filter(status="NEW").count() == 2


@pytest.mark.parametrize("bulk", [False, True])
def test_leads_are_deleted(bulk, browser, manager):
    leads = [make_lead(manager.workspace) for _ in range(1 + bulk)]

    if bulk:
        asked = choose(browser, "delete_selected", *leads)
        choose(browser, "delete_selected", *leads, post="yes")
    else:
        asked = browser.get(page_of(leads[0], "delete"))
        browser.post(page_of(leads[0], "delete"), {"post": "yes"})

    assert asked.status_code == 200
    assert not Lead.objects.exists()
    told = {"count": 2, "bulk_id": BulkChange.objects.get().pk} if bulk else {"id": leads[0].pk}
    assert Event.objects.get().data == told


def test_a_lead_of_the_catalogue_that_was_sold_stays_so_that_its_copy_is_not_charged_again(
    operator, manager, in_admin, client_of
):
    sold, unsold = make_catalogue_lead(), make_catalogue_lead()
    client_of(manager).post("/zevix/export-lead", {"lead_id": sold.pk})
    browser = in_admin(operator)

    refused = choose(browser, "delete_selected", sold, unsold, post="yes")
    browser.post(page_of(unsold, "delete"), {"post": "yes"})

    assert said(refused) == ["Workspaces have exported 1 of these leads; the catalogue keeps what was paid for."]
    assert list(Lead.objects.in_catalogue()) == [sold]


# Imports, exports, quotas


def test_an_import_leads_to_its_leads_and_its_rejected_rows(browser, manager):
    table = CsvSource(io.BytesIO(b"company,email\nGood,\nBad,no address\n"))
    batch = importing.run(
        table, Options(), workspace=manager.workspace, by=Author.of(manager, "import"), file_name="a.csv"
    )

    shown = browser.get(page_of(ImportBatch.objects.get()))
    leads = browser.get(LEADS, {"import_batch__id__exact": batch.pk})
    rejected = browser.get(list_of("rejectedrow"), {"batch__id__exact": batch.pk})

    assert f"{LEADS}?import_batch__id__exact={batch.pk}" in shown.content.decode()
    assert [lead.company for lead in leads.context["cl"].result_list] == ["Good"]
    assert [(row.row, row.field) for row in rejected.context["cl"].result_list] == [(3, "email")]


def test_what_was_paid_stays_on_the_list_when_the_lead_is_gone(browser, manager, client_of):
    lead, gone = make_lead(manager.workspace, company="Here"), make_lead(manager.workspace, company="Gone")
    client_of(manager).post("/zevix/export-leads-batch", {"lead_ids": [lead.pk, gone.pk]})
    Lead.objects.filter(pk=gone.pk).delete()

    shown = browser.get(list_of("exportedlead")).context["cl"].result_list
    by_id = browser.get(list_of("exportedlead"), {"q": str(gone.pk)}).context["cl"].result_list
    by_word = browser.get(list_of("exportedlead"), {"q": "her"}).context["cl"].result_list

    assert {(charge.lead_id, charge.lead_title) for charge in shown} == {(lead.pk, "Here"), (gone.pk, None)}
    assert [charge.lead_id for charge in by_id] == [gone.pk]
    assert [charge.lead_id for charge in by_word] == [lead.pk]
    assert browser.get(page_of(ExportedLead.objects.get(lead=gone.pk))).status_code == 200


def test_a_workspace_shows_its_plan_and_what_it_exported_this_month(browser, manager, client_of):
    client_of(manager).post("/zevix/export-lead", {"lead_id": make_lead(manager.workspace).pk})

    listed = browser.get(reverse("admin:accounts_workspace_changelist")).content.decode()
    shown = browser.get(page_of(manager.workspace)).content.decode()

    assert "1 / 50" in listed and "Free" in listed
    assert "1 / 50" in shown and "Free" in shown


def test_the_operator_gives_a_workspace_another_plan_and_its_limit_follows_at_once(
    operator, member, in_admin, client_of
):
    pro, starter = Plan.objects.get(code="pro"), Plan.objects.get(code="starter")
    browser = in_admin(operator)
    limits = []

    for plan in (pro, starter):
        save(browser, member.workspace, **{"subscription-0-plan": plan.pk})
        limits.append(quotas.standing(member.workspace).limit)
    save(browser, member.workspace, **{"subscription-0-DELETE": "on"})
    limits.append(quotas.standing(member.workspace).limit)

    assert limits == [5_000, 500, 50]


def test_saving_a_workspace_without_choosing_a_plan_gives_none(operator, member, in_admin):
    answer = save(in_admin(operator), member.workspace, name="Renamed")

    assert answer.status_code == 302
    assert quotas.standing(member.workspace).plan == "free"


def test_an_admin_does_not_change_their_own_plan(member, in_admin):
    pro = Plan.objects.get(code="pro")
    forged = {
        "subscription-TOTAL_FORMS": "1", "subscription-INITIAL_FORMS": "0", "subscription-0-plan": pro.pk,
        "subscription-0-workspace": member.workspace_id,
    }  # fmt: skip

    answer = save(in_admin(member.user), member.workspace, **forged)

    assert answer.status_code == 302
    assert quotas.standing(member.workspace).plan == "free"


# Costs


@pytest.mark.parametrize(
    ("name", "who", "cost"),
    [
        ("lead", "operator", 4),
        ("lead", "manager", 7),
        ("importbatch", "operator", 4),
        ("importbatch", "manager", 6),
        ("rejectedrow", "operator", 4),
        ("rejectedrow", "manager", 6),
        ("export", "operator", 5),
        ("export", "manager", 7),
        ("exportedlead", "operator", 4),
        ("exportedlead", "manager", 6),
        ("usage", "operator", 5),
        ("usage", "manager", 7),
    ],
)
def test_a_list_costs_the_same_with_one_row_and_with_three(
    name, who, cost, operator, manager, in_admin, client_of, django_assert_num_queries
):
    browser = in_admin(operator if who == "operator" else manager.user)

    for rows in (1, 2):
        for member in [manager, *(make_member() for _ in range(rows - 1))]:
            lead = make_lead(member.workspace, assigned_user=member.user)
            client_of(member).post("/zevix/export-lead", {"lead_id": lead.pk})
            table = CsvSource(io.BytesIO(b"company,email\nBad,no address\n"))
            importing.run(table, Options(), workspace=member.workspace, by=Author.of(member, "import"))
        with django_assert_num_queries(cost):
            browser.get(list_of(name))
