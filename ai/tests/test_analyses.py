"""The AI's look at many leads: after an import, or when somebody asks for it."""

import re
import threading
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from accounts.tests.mailbox import run_jobs
from ai import openai_gateway
from ai.actions.analysis import Analysis
from ai.analysis import running, starting, writing
from ai.analysis.writing import Verdict
from ai.models import AICall, AnalysisRun, LeadAnalysis
from ai.tests.factories import give_budget
from leads import editing
from leads.history import Author
from leads.models import Activity, Lead, LeadVersion
from leads.selections import Selection
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

SOON = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
FOUND = {
    "status": "CONTACTED",
    "needs_action": True,
    "next_action_at": SOON.isoformat(),
    "next_action_description": "Call Anna about the offer.",
    "last_contact": None,
    "score": 70,
    "reason": "She asked for a price.",
}
FIELDS = ("status", "needs_action", "next_action_at", "next_action_description", "last_contact", "score")
FILE = "company,email,notes\nClinic One,one@x.example,asked for a price\nClinic Two,two@x.example,\n"


@pytest.fixture
def member(member, settings):
    """The admin of a workspace that may use AI."""
    settings.AI_ANALYSIS_PER_MINUTE = 0
    give_budget(member.workspace, 10_000)
    return member


def work(run):
    """Do a run to its end, as its job does."""
    while running.work(run, is_last_try=True, leave_off=lambda: False) is not None:
        pass
    run.refresh_from_db()
    return run


def analyze(member, *leads):
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    return work(run)


def lead_of(body):
    """The lead that a question is about."""
    (text,) = re.findall(r'name="lead">\n(.*?)\n</data-', body["input"][0]["content"], re.DOTALL)
    return orjson.loads(text)


def import_file(api, text=FILE, **options):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return api.post(f"/import/leads?{query}", text, content_type="text/csv").json()


def facts(lead):
    return Lead.objects.filter(pk=lead.pk).values(*FIELDS).get()


# From the file to the message


def test_an_import_is_analyzed_and_the_most_urgent_lead_gets_its_message(api, member, openai_server, monkeypatch):
    openai_server.reply(FOUND, when=lambda body: "text" in body)
    openai_server.reply("Dear Anna, …", when=lambda body: "text" not in body)

    answer = import_file(api)
    run_jobs(monkeypatch, "ai")

    (run,) = api.get("/api/v1/analyses").json()["results"]
    urgent = api.get("/leads/needs-action").json()["leads"]
    message = api.post("/ai", {"action": "generate_message", "data": {"lead_id": urgent[0]["id"]}}).json()
    cost = sum(AICall.objects.filter(action="analyze_lead").values_list("cost", flat=True))
    assert answer["ai_analysis"] == "queued"
    assert {name: run[name] for name in ("import_batch_id", "status", "progress", "failure", "cost")} == {
        "import_batch_id": answer["import_batch_id"],
        "status": "completed",
        "progress": 100,
        "failure": "",
        "cost": f"0.{cost:06d}",
    }
    assert [run[f"{name}_count"] for name in ("matched", "analyzed", "changed", "skipped", "failed")] == [2, 2, 2, 0, 0]
    assert [(row["status"], row["next_action_at"], row["next_action_description"]) for row in urgent] == [
        ("CONTACTED", SOON.isoformat().replace("+00:00", "Z"), "Call Anna about the offer.")
    ] * 2
    assert message["reply"] == "Dear Anna, …"
    assert sorted(lead_of(body)["company"] for body in openai_server.requests[:2]) == ["Clinic One", "Clinic Two"]


def test_what_was_found_written_and_kept_is_told_of_each_lead(api, member, openai_server):
    lead = make_lead(member.workspace)
    editing.update(lead.pk, {"score": 5}, workspace=member.workspace, by=Author.of(member))
    openai_server.reply(FOUND)

    run = analyze(member, lead)

    (row,) = api.get(f"/api/v1/analyses/{run.pk}/leads").json()["results"]
    assert row.pop("finished_at")
    assert row == {
        "lead_id": lead.pk,
        "status": "done",
        "found": {**FOUND, "next_action_at": SOON.isoformat().replace("+00:00", "Z")},
        "written": ["next_action_at", "next_action_description", "status"],
        "kept": ["score"],
        "failure": "",
    }
    assert LeadAnalysis.objects.get().call == AICall.objects.get()


def test_an_import_without_a_key_says_so_and_the_rules_stand(api, member, settings):
    settings.OPENAI_API_KEY = ""

    answer = import_file(api)

    assert (answer["ai_analysis"], answer["needs_action_count"]) == ("not_configured", 2)
    assert AnalysisRun.objects.count() == 0


def test_an_import_of_a_plan_without_ai_is_not_analyzed(api, member, openai_server):
    give_budget(member.workspace, 0)

    answer = import_file(api)

    assert (answer["ai_analysis"], AnalysisRun.objects.count()) == ("not_configured", 0)


def test_a_dry_run_is_not_analyzed(api, member, openai_server):
    answer = import_file(api, dry_run="true")

    assert (answer["ai_analysis"], AnalysisRun.objects.count()) == ("not_configured", 0)


def test_an_import_that_is_rolled_back_leaves_no_analysis(member, openai_server):
    from django.db import transaction

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        starting.start(Selection(filter={}), workspace=member.workspace, by=member.user)
        raise ZeroDivisionError

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'ai'")
        assert (AnalysisRun.objects.count(), cursor.fetchone()) == (0, (0,))


def test_of_an_import_that_updates_only_the_leads_that_it_changed_are_analyzed(api, member, openai_server, monkeypatch):
    openai_server.reply(FOUND)
    import_file(api)
    run_jobs(monkeypatch, "ai")

    import_file(api, FILE.replace("asked for a price", "wants to buy"))
    run_jobs(monkeypatch, "ai")

    assert [lead_of(body)["company"] for body in openai_server.requests[2:]] == ["Clinic One"]


def test_closed_leads_are_not_asked_about(member, openai_server):
    leads = [make_lead(member.workspace, status=status) for status in ("WON", "LOST", "QUALIFIED")]
    openai_server.reply(FOUND)

    run = analyze(member, *leads)

    assert (run.matched_count, len(openai_server.requests)) == (1, 1)


def test_leads_that_went_or_were_closed_meanwhile_are_left_out(member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(3)]
    run = starting.start(
        Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user
    )  # fmt: skip
    openai_server.reply(FOUND)
    editing.delete(Lead.objects.filter(pk=leads[0].pk), by=Author.of(member))
    editing.update(leads[1].pk, {"status": "WON"}, workspace=member.workspace, by=Author.of(member))

    work(run)

    assert (run.status, run.analyzed_count, run.skipped_count, len(openai_server.requests)) == ("completed", 1, 2, 1)


def test_a_run_without_a_lead_is_completed(member, openai_server):
    assert (analyze(member).status, AnalysisRun.objects.get().progress) == ("completed", 100)


def test_an_analysis_tells_how_far_it_is(member, openai_server):
    openai_server.reply(FOUND)

    run = analyze(member, make_lead(member.workspace))

    told = list(Event.objects.filter(type="analysis.progress").order_by("pk").values_list("data", flat=True))
    assert told[-1] == {
        "analysis_id": run.pk, "import_batch_id": None, "status": "completed", "progress": 100,
        "matched": 1, "analyzed": 1, "changed": 1, "skipped": 0, "failed": 0,
    }  # fmt: skip
    assert [data["status"] for data in told] == ["running", "completed"]


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


# Going on and ending


def test_a_run_that_was_killed_goes_on_with_those_that_wait(member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(3)]
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    openai_server.reply(FOUND)
    starting.begin(run)
    LeadAnalysis.objects.filter(lead=leads[0]).update(status="done")

    work(run)

    assert sorted(lead_of(body)["company"] for body in openai_server.requests) == [lead.company for lead in leads[1:]]
    assert run.status == "completed"


def test_a_worker_that_ends_leaves_the_rest_to_the_next(member, openai_server, settings):
    settings.AI_ANALYSIS_PARALLEL = 1
    leads = [make_lead(member.workspace) for _ in range(30)]
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    openai_server.reply(FOUND)
    openai_server.slow(0.1)

    seconds = running.work(run, is_last_try=False, leave_off=lambda: True)
    done_by_then = run.analyzed_count
    openai_server.slow(0)
    work(run)

    assert (seconds, 1 <= done_by_then < 30) == (0, True)
    assert (run.status, run.analyzed_count, len(openai_server.requests)) == ("completed", 30, 30)


def test_a_cancelled_run_asks_and_writes_no_more_within_a_second(api, member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(60)]
    run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
    openai_server.reply(FOUND)
    openai_server.slow(0.3)
    thread = threading.Thread(target=lambda: (work(AnalysisRun.objects.get(pk=run.pk)), connection.close()))
    thread.start()
    while not Lead.objects.filter(score=70).exists():
        time.sleep(0.02)

    answer = api.post(f"/api/v1/analyses/{run.pk}/cancel")
    written = Lead.objects.filter(score=70).count()
    time.sleep(1)
    asked = len(openai_server.requests)
    thread.join()

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert Lead.objects.filter(score=70).count() == written
    assert len(openai_server.requests) == asked < 60
    assert LeadAnalysis.objects.exclude(status="waiting").count() == asked
    run.refresh_from_db()
    assert (run.status, run.cost) == ("cancelled", sum(AICall.objects.values_list("cost", flat=True)))


def test_what_is_over_can_not_be_cancelled(api, member, openai_server):
    run = analyze(member)

    answer = api.post(f"/api/v1/analyses/{run.pk}/cancel")

    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


def test_a_change_by_a_person_between_the_reading_and_the_writing_is_never_lost(member, openai_server):
    leads = [make_lead(member.workspace) for _ in range(20)]

    def answer(body):
        """While the AI thinks, somebody changes the lead."""
        lead = Lead.objects.get(company=lead_of(body)["company"])
        changes = {"status": "QUALIFIED", "score": lead.pk % 50, "next_action_description": f"Mine {lead.pk}"}
        editing.update(lead.pk, changes, workspace=member.workspace, by=Author.of(member))
        connection.close()
        return FOUND

    openai_server.reply(answer)

    run = analyze(member, *leads)

    assert run.analyzed_count == 20
    assert list(Lead.objects.order_by("pk").values_list("status", "score", "next_action_description")) == [
        ("QUALIFIED", lead.pk % 50, f"Mine {lead.pk}") for lead in leads
    ]


def test_of_a_change_by_a_person_and_the_writing_at_the_same_moment_the_person_has_the_say(member, openai_server):
    for _round in range(5):
        leads = [make_lead(member.workspace) for _ in range(20)]
        run = starting.start(Selection([lead.pk for lead in leads]), workspace=member.workspace, by=member.user)
        starting.begin(run)
        rows = LeadAnalysis.objects.filter(run=run).order_by("pk")
        verdicts = [Verdict(row.pk, None, Analysis.model_validate(FOUND)) for row in rows]
        ready = threading.Barrier(2)

        def settle(run=run, verdicts=verdicts, ready=ready):
            ready.wait()
            writing.settle(run.pk, verdicts)
            connection.close()

        thread = threading.Thread(target=settle)
        thread.start()
        ready.wait()
        for lead in leads[::-1]:
            editing.update(lead.pk, {"score": 7}, workspace=member.workspace, by=Author.of(member))
        thread.join()

        assert {facts(lead)["score"] for lead in leads} == {7}
        assert {facts(lead)["next_action_description"] for lead in leads} == {"Call Anna about the offer."}


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


# How many, how fast


def test_many_leads_are_read_by_few_queries(member, openai_server, django_assert_max_num_queries):
    leads = [make_lead(member.workspace) for _ in range(40)]
    for lead in leads:
        for number in range(12):
            Activity.objects.create(workspace=member.workspace, lead=lead, type="note", text=str(number))
    from ai.actions import tasks

    with django_assert_max_num_queries(2):
        found = tasks.read_many([lead.pk for lead in leads], member.workspace)

    assert [done["text"] for done in found[leads[7].pk]["activities"]] == [str(number) for number in range(2, 12)]
    assert found[leads[7].pk] == tasks.read(leads[7].pk, member.workspace)


def test_no_more_are_asked_about_at_once_than_allowed(member, openai_server, settings):
    settings.AI_ANALYSIS_PARALLEL = 3
    now, most, lock = 0, 0, threading.Lock()

    def answer(body):
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.02)
        with lock:
            now -= 1
        return FOUND

    openai_server.reply(answer)

    analyze(member, *[make_lead(member.workspace) for _ in range(20)])

    assert most == 3


def test_no_more_are_asked_about_in_a_minute_than_allowed(member, openai_server, settings):
    settings.AI_ANALYSIS_PER_MINUTE = 600
    openai_server.reply(FOUND)
    begun = time.monotonic()

    analyze(member, *[make_lead(member.workspace) for _ in range(11)])

    assert time.monotonic() - begun >= 1.0


def test_a_server_with_too_much_to_do_slows_all_of_them_down(member, openai_server, settings):
    settings.AI_ANALYSIS_PARALLEL = 8
    openai_server.fail(429, retry_after=0.1, times=8)
    now, most, lock = 0, 0, threading.Lock()

    def answer(body):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now) if len(openai_server.requests) > 24 else most
        time.sleep(0.03)
        with lock:
            now -= 1
        return FOUND

    openai_server.reply(answer)

    run = analyze(member, *[make_lead(member.workspace) for _ in range(24)])

    assert run.analyzed_count == 24
    assert most < 8
