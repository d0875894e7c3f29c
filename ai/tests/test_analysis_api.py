"""The AI's look at many leads, over the API: asking for one, and taking back what it wrote."""

import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.mailbox import run_jobs
from ai.analysis import starting
from ai.models import AnalysisRun
from ai.tests.analyses import (
    FOUND,
    analyze,
    facts,
    import_file,
    member_with_ai,  # noqa: F401 (the fixture `member` of these tests)
    work,
)
from ai.tests.factories import give_budget
from leads import editing
from leads.history import Author
from leads.models import Lead
from leads.selections import Selection
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

# Taking back


def test_undoing_an_import_takes_its_leads_whatever_the_ai_wrote_to_them(api, member, openai_server, monkeypatch):
    openai_server.reply(FOUND)
    batch = import_file(api)["import_batch_id"]
    run_jobs(monkeypatch, "ai")

    answer = api.post(f"/api/v1/imports/{batch}/undo").json()

    assert (answer["removed_count"], answer["kept_count"], Lead.objects.count()) == (2, 0, 0)


def test_undoing_an_import_that_updated_leads_takes_back_what_the_ai_made_of_it(
    api, member, openai_server, monkeypatch
):
    lead = make_lead(member.workspace, company="Clinic One", email="one@x.example")
    before = facts(lead) | {"notes": ""}
    openai_server.reply({**FOUND, "needs_action": False})
    batch = import_file(api)["import_batch_id"]
    run_jobs(monkeypatch, "ai")
    assert facts(lead)["score"] == 70

    answer = api.post(f"/api/v1/imports/{batch}/undo").json()

    lead.refresh_from_db()
    assert facts(lead) | {"notes": lead.notes} == before
    assert (answer["kept_count"], Lead.objects.count()) == (0, 1)


def test_undoing_an_import_ends_its_analysis(api, member, openai_server):
    batch = import_file(api)["import_batch_id"]

    api.post(f"/api/v1/imports/{batch}/undo")

    run = work(AnalysisRun.objects.get())
    assert (run.status, openai_server.requests) == ("cancelled", [])


def test_an_analysis_is_undone_but_for_what_somebody_changed_since(api, member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(2)]
    before = [facts(lead) for lead in leads]
    openai_server.reply(FOUND)
    run = analyze(member, *leads)
    editing.update(leads[1].pk, {"score": 1}, workspace=member.workspace, by=Author.of(member))

    answer = api.post(f"/api/v1/analyses/{run.pk}/undo")

    assert answer.status_code == 200
    assert answer.json()["kept"] == [{"lead_id": leads[1].pk, "reason": "changed", "fields": ["score"]}]
    assert [facts(lead) for lead in leads] == [before[0], before[1] | {"score": 1}]


def test_an_analysis_under_way_is_not_undone(api, member, openai_server):
    run = starting.start(Selection([make_lead(member.workspace).pk]), workspace=member.workspace, by=member.user)

    assert api.post(f"/api/v1/analyses/{run.pk}/undo").status_code == 409


# Asking for one


def test_a_manager_has_chosen_leads_analyzed(api, member, stranger, openai_server, monkeypatch):
    chosen, other = make_lead(member.workspace, city="Akron"), make_lead(member.workspace)
    theirs = make_lead(stranger.workspace, city="Akron")
    openai_server.reply(FOUND)

    by_id = api.post("/api/v1/analyses", {"ids": [chosen.pk, theirs.pk]})
    by_filter = api.post("/api/v1/analyses", {"filter": {"city": "Akron"}})
    run_jobs(monkeypatch, "ai")

    assert [(answer.status_code, answer.json()["matched_count"]) for answer in (by_id, by_filter)] == [(202, 1)] * 2
    assert by_id.json()["status"] == "queued"
    assert [facts(lead)["score"] for lead in (chosen, other, theirs)] == [70, None, None]


def test_a_filter_that_can_find_nothing_begins_an_analysis_of_none(api, member, openai_server):
    answer = api.post("/api/v1/analyses", {"filter": {"search": "!"}})

    assert (answer.status_code, answer.json()["matched_count"]) == (202, 0)


def test_an_agent_may_look_at_analyses_and_begin_or_end_none(client_of, member, openai_server):
    run = analyze(member)
    agent = client_of(make_member(Role.AGENT, workspace=member.workspace))

    answers = [
        agent.post("/api/v1/analyses", {"ids": [1]}),
        agent.post(f"/api/v1/analyses/{run.pk}/cancel"),
        agent.post(f"/api/v1/analyses/{run.pk}/undo"),
        agent.get("/api/v1/analyses"),
        agent.get(f"/api/v1/analyses/{run.pk}/leads"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 200, 200]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"ids": []}, {"ids": "x"}, {"ids": [2**70]}, {"ids": [1], "filter": {}}, {"filter": {}}, {"filter": {"city": "\x00"}},
        {"filter": {"nope": 1}}, {"ids": [1], "more": 1}, [], {"filter": ["a"]},
    ],
)  # fmt: skip
def test_a_request_that_names_no_leads_is_refused(api, member, openai_server, body):
    answer = api.post("/api/v1/analyses", body)

    assert (answer.status_code, AnalysisRun.objects.count()) == (400, 0)


def test_without_a_key_or_a_budget_there_is_no_analysis(api, member, openai_server, settings):
    give_budget(member.workspace, 0)
    without_budget = api.post("/api/v1/analyses", {"ids": [1]})
    settings.OPENAI_API_KEY = ""
    without_key = api.post("/api/v1/analyses", {"ids": [1]})

    assert [(answer.status_code, answer.json()["error"]) for answer in (without_budget, without_key)] == [
        (403, "ai_budget_exceeded"),
        (503, "not_configured"),
    ]


def test_the_same_key_begins_one_analysis(api, member, openai_server):
    lead = make_lead(member.workspace)

    answers = [api.post("/api/v1/analyses", {"ids": [lead.pk]}, headers={"Idempotency-Key": "once"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert AnalysisRun.objects.count() == 1


def test_another_workspaces_analysis_is_not_there(client_of, member, stranger, openai_server):
    run = analyze(member)
    theirs = client_of(stranger)

    answers = [
        theirs.get(f"/api/v1/analyses/{run.pk}"),
        theirs.get(f"/api/v1/analyses/{run.pk}/leads"),
        theirs.post(f"/api/v1/analyses/{run.pk}/cancel"),
        theirs.post(f"/api/v1/analyses/{run.pk}/undo"),
        theirs.get(f"/api/v1/analyses/{2**70}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert theirs.get("/api/v1/analyses").json()["results"] == []


@pytest.mark.parametrize("size", [1, 3])
def test_the_lists_cost_the_same_whatever_their_length(api, member, openai_server, django_assert_num_queries, size):
    openai_server.reply(FOUND)
    run = analyze(member, *[make_lead(member.workspace) for _ in range(size)])
    for _ in range(size - 1):
        analyze(member)

    with django_assert_num_queries(2):
        runs = api.get("/api/v1/analyses").json()["results"]
    with django_assert_num_queries(3):
        leads = api.get(f"/api/v1/analyses/{run.pk}/leads").json()["results"]

    assert (len(runs), len(leads)) == (size, size)
