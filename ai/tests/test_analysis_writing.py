"""What the AI's look at many leads may write, and what comes of an answer that is broken or missing."""

from datetime import datetime, timedelta

import orjson
import pytest
from django.utils import timezone

from accounts.tests.mailbox import run_jobs
from ai import openai_gateway
from ai.analysis import running, starting
from ai.models import AICall, LeadAnalysis
from ai.tests.analyses import (
    FOUND,
    SOON,
    analyze,
    facts,
    import_file,
    lead_of,
    member_with_ai,  # noqa: F401 (the fixture `member` of these tests)
    work,
)
from ai.tests.factories import give_budget
from leads import editing
from leads.history import Author
from leads.models import Activity, Lead, LeadVersion
from leads.selections import Selection
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

# Who has the say


def test_what_came_empty_with_a_lead_is_filled(member, openai_server):
    lead = make_lead(member.workspace)
    openai_server.reply(FOUND)

    analyze(member, lead)

    assert facts(lead) == {
        "status": "CONTACTED",
        "needs_action": True,
        "next_action_at": SOON,
        "next_action_description": "Call Anna about the offer.",
        "last_contact": None,
        "score": 70,
    }
    version = LeadVersion.objects.get(pgh_obj=lead.pk)
    assert (version.pgh_context["source"], version.pgh_context["user"]) == ("ai", member.user_id)


@pytest.mark.parametrize("source", ["human", "api", "crm", "import"])
def test_what_somebody_wrote_stays(member, openai_server, source):
    lead = make_lead(member.workspace)
    given = {"status": "QUALIFIED", "score": 1, "next_action_description": "Wait.", "needs_action": False}
    editing.update(lead.pk, given, workspace=member.workspace, by=Author(source))
    before = facts(lead)
    openai_server.reply(FOUND)

    analyze(member, lead)

    assert facts(lead) == before
    assert LeadAnalysis.objects.get().kept == [
        "needs_action", "next_action_at", "next_action_description", "score", "status",
    ]  # fmt: skip


def test_what_an_import_gave_stays_and_the_rest_of_its_leads_is_filled(api, member, openai_server, monkeypatch):
    openai_server.reply(FOUND)

    import_file(api, "company,email,status,score\nOne,one@x.example,QUALIFIED,\nTwo,two@x.example,,5\n")
    run_jobs(monkeypatch, "ai")

    assert list(Lead.objects.order_by("pk").values_list("status", "score", "next_action_description")) == [
        ("QUALIFIED", 70, "Call Anna about the offer."),
        ("CONTACTED", 5, "Call Anna about the offer."),
    ]


def test_what_a_person_emptied_stays_empty(member, openai_server):
    lead = make_lead(member.workspace)
    for fields in ({"score": 5, "status": "QUALIFIED"}, {"score": None, "status": "NEW"}):
        editing.update(lead.pk, fields, workspace=member.workspace, by=Author.of(member))
    openai_server.reply(FOUND)

    analyze(member, lead)

    assert (facts(lead)["score"], facts(lead)["status"]) == (None, "NEW")


def test_what_the_ai_wrote_it_may_write_again(member, openai_server):
    lead = make_lead(member.workspace)
    openai_server.reply(FOUND, times=1)
    openai_server.reply({**FOUND, "score": 20, "status": "QUALIFIED", "next_action_at": None, "needs_action": False})
    analyze(member, lead)

    analyze(member, lead)

    assert facts(lead) == {
        "status": "QUALIFIED",
        "needs_action": False,
        "next_action_at": None,
        "next_action_description": "Call Anna about the offer.",
        "last_contact": None,
        "score": 20,
    }


def test_the_time_and_the_words_of_a_next_action_are_one(member, openai_server):
    lead = make_lead(member.workspace)
    later = SOON + timedelta(days=9)
    editing.update(lead.pk, {"next_action_at": later}, workspace=member.workspace, by=Author.of(member))
    openai_server.reply(FOUND)

    analyze(member, lead)

    assert (facts(lead)["next_action_at"], facts(lead)["next_action_description"]) == (later, "")


def test_a_flag_that_somebody_took_down_stays_down(member, openai_server):
    lead = make_lead(member.workspace)
    editing.update(lead.pk, {"needs_action": False}, workspace=member.workspace, by=Author.of(member))
    openai_server.reply(FOUND)

    analyze(member, lead)

    assert facts(lead)["needs_action"] is False


def test_a_flag_that_came_down_against_the_rule_stays_down(member, openai_server):
    lead = make_lead(member.workspace, needs_action=False)
    openai_server.reply(FOUND)

    analyze(member, lead)

    assert facts(lead)["needs_action"] is False


def test_the_rules_flag_follows_what_the_ai_says(member, openai_server):
    lead = make_lead(member.workspace)
    openai_server.reply({**FOUND, "needs_action": False})

    analyze(member, lead)

    assert facts(lead)["needs_action"] is False


def test_the_need_for_action_stays_while_a_task_is_due(member, openai_server):
    lead = make_lead(member.workspace)
    Activity.objects.create(workspace=member.workspace, lead=lead, type="task", text="Call", due_at=timezone.now())
    openai_server.reply({**FOUND, "needs_action": False})

    analyze(member, lead)

    assert facts(lead)["needs_action"] is True


@pytest.mark.parametrize("status", ["WON", "LOST"])
def test_the_ai_closes_no_lead(member, openai_server, status):
    lead = make_lead(member.workspace)
    openai_server.reply({**FOUND, "status": status})

    analyze(member, lead)

    assert (facts(lead)["status"], LeadAnalysis.objects.get().kept) == ("NEW", ["status"])


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2031-01-01T00:00:00"])
def test_a_next_action_that_is_past_or_beyond_a_year_is_not_written(member, openai_server, moment):
    lead = make_lead(member.workspace)
    openai_server.reply({**FOUND, "next_action_at": moment})

    analyze(member, lead)

    assert (facts(lead)["next_action_at"], LeadAnalysis.objects.get().kept) == (None, ["next_action_at"])


@pytest.mark.parametrize(
    ("notes", "contact", "written"),
    [
        ("Called on 2026-03-04.", "2026-03-04T00:00:00Z", True),
        ("Anruf am 4.3.2026", "2026-03-04T10:00:00Z", True),
        ("called 3/4/2026, nobody there", "2026-03-04T00:00:00Z", True),
        ("met her March 4, 2026", "2026-03-04T00:00:00Z", True),
        ("Called on 2026-03-05.", "2026-03-04T00:00:00Z", False),
        ("", "2026-03-04T00:00:00Z", False),
        ("Call on 2031-03-04.", "2031-03-04T00:00:00Z", False),
    ],
)
def test_a_last_contact_is_written_only_of_a_past_day_that_the_data_names(
    member, openai_server, notes, contact, written
):
    lead = make_lead(member.workspace, notes=notes)
    openai_server.reply({**FOUND, "last_contact": contact})

    analyze(member, lead)

    expected = datetime.fromisoformat(contact) if written else None
    assert facts(lead)["last_contact"] == expected


def test_a_last_contact_may_be_the_day_of_a_call(member, openai_server):
    lead = make_lead(member.workspace)
    called = timezone.now() - timedelta(days=40)
    Activity.objects.create(workspace=member.workspace, lead=lead, type="call", text="", done_at=called)
    openai_server.reply({**FOUND, "last_contact": called.isoformat()})

    analyze(member, lead)

    assert facts(lead)["last_contact"] == called


# What comes back broken


@pytest.mark.parametrize(
    "answer",
    [
        orjson.dumps({**FOUND, "score": 1000}).decode(),
        orjson.dumps({**FOUND, "status": "SOLD"}).decode(),
        orjson.dumps({**FOUND, "next_action_at": "0001-01-01T00:00:00+14:00"}).decode(),
        orjson.dumps(FOUND).decode().replace("She asked", "\\ud800"),
        "[]",
        "null",
        "",
        "Sure!",
    ],
)
def test_an_answer_of_another_form_is_that_leads_failure_and_stops_nobody(member, openai_server, answer):
    leads = [make_lead(member.workspace) for _ in range(3)]
    openai_server.malformed(answer, when=lambda body: lead_of(body)["company"] == leads[1].company)
    openai_server.reply(FOUND)

    run = analyze(member, *leads)

    rows = LeadAnalysis.objects.order_by("lead")
    assert (run.status, run.analyzed_count, run.failed_count) == ("completed", 2, 1)
    assert list(rows.values_list("status", flat=True)) == ["done", "failed", "done"]
    assert rows[1].failure.startswith("OpenAI gave an answer of another form")
    assert run.cost == sum(AICall.objects.values_list("cost", flat=True))


def test_a_refusal_and_an_answer_that_is_broken_off_are_their_leads_failures(member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(3)]
    openai_server.refuse("I will not.", when=lambda body: lead_of(body)["company"] == leads[0].company)
    openai_server.incomplete(when=lambda body: lead_of(body)["company"] == leads[1].company)
    openai_server.reply(FOUND)

    run = analyze(member, *leads)

    failures = list(LeadAnalysis.objects.order_by("lead").values_list("failure", flat=True))
    assert (run.status, run.failed_count) == ("completed", 2)
    assert failures == [
        "OpenAI declined to answer: I will not.",
        "OpenAI broke its answer off (max_output_tokens). Try again.",
        "",
    ]


def test_long_notes_and_a_long_next_action_do_no_harm(member, openai_server):
    lead = make_lead(member.workspace, notes="1.2.2020 x" * 2_000)
    openai_server.reply({**FOUND, "next_action_description": "Call\x00 her. " * 2_000})

    run = analyze(member, lead)

    description = facts(lead)["next_action_description"]
    assert (run.status, len(description), description[-1]) == ("completed", 500, "…")


def test_a_dead_key_ends_the_run_with_the_sentence(member, openai_server, settings):
    settings.OPENAI_API_KEY = "sk-dead"

    run = analyze(member, *[make_lead(member.workspace) for _ in range(30)])

    assert (run.status, run.failure) == ("failed", "OpenAI could not do this: OPENAI_API_KEY is not accepted")
    assert len(openai_server.requests) <= 10
    assert set(LeadAnalysis.objects.values_list("status", flat=True)) == {"waiting"}


def test_a_budget_that_is_used_up_ends_the_run_with_the_sentence(member, openai_server, settings):
    settings.AI_ANALYSIS_PARALLEL = 1
    openai_server.reply(FOUND, tokens=(100_000, 0, 0))
    openai_server.slow(0.3)  # so long that the next has its share held back by then
    give_budget(member.workspace, 1)

    run = analyze(member, *[make_lead(member.workspace) for _ in range(5)])

    assert (run.status, run.failure) == (
        "failed",
        "This month's AI budget of 0.01 US dollars is used up, or would be by this.",
    )
    assert (run.analyzed_count, run.failed_count) == (2, 0)


def test_what_calls_hold_back_only_for_a_while_does_not_end_the_run(member, openai_server):
    openai_server.reply(FOUND, tokens=(100, 0, 10))
    openai_server.slow(0.05)
    give_budget(member.workspace, 1)  # less than ten calls hold back at once

    run = analyze(member, *[make_lead(member.workspace) for _ in range(12)])

    assert (run.status, run.analyzed_count) == ("completed", 12)


def test_a_server_that_is_down_is_tried_again_and_in_the_end_the_run_fails_with_words(
    member, openai_server, monkeypatch
):
    leads = [make_lead(member.workspace) for _ in range(2)]
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    openai_server.down()
    monkeypatch.setattr(openai_gateway.insisting.time, "sleep", lambda seconds: None)

    with pytest.raises(openai_gateway.insisting.Unreachable):
        running.work(run, is_last_try=False, leave_off=lambda: False)
    run.refresh_from_db()
    between = run.status
    with pytest.raises(openai_gateway.insisting.Unreachable):
        running.work(run, is_last_try=True, leave_off=lambda: False)

    run.refresh_from_db()
    assert (between, run.status) == ("running", "failed")
    assert run.failure.startswith("OpenAI can't be reached at the moment")
    assert set(LeadAnalysis.objects.values_list("status", flat=True)) == {"waiting"}


def test_a_server_that_comes_back_is_asked_about_the_rest(member, openai_server, monkeypatch, settings):
    settings.AI_ANALYSIS_PARALLEL = 1
    leads = [make_lead(member.workspace) for _ in range(4)]
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    openai_server.reply(FOUND, times=2)
    openai_server.fail(503, times=3)
    openai_server.reply(FOUND)
    monkeypatch.setattr(openai_gateway.insisting.time, "sleep", lambda seconds: None)

    assert running.work(run, is_last_try=False, leave_off=lambda: False) == 10
    work(run)

    assert (run.status, run.analyzed_count) == ("completed", 4)
    assert len({lead_of(body)["company"] for body in openai_server.requests}) == 4


def test_an_answer_that_never_came_is_not_asked_for_again(member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(2)]
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    openai_server.cut_after(0, when=lambda body: lead_of(body)["company"] == leads[0].company)
    openai_server.reply(FOUND)

    work(run)

    assert sorted(LeadAnalysis.objects.values_list("status", flat=True)) == ["done", "failed"]
    assert len(openai_server.requests) == 2
