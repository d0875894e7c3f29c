"""The AI's look at many leads: after an import, going on and ending, how many and how fast."""

import threading
import time

import pytest
from django.db import connection

from accounts.tests.mailbox import run_jobs
from ai.actions.analysis import Analysis
from ai.analysis import running, starting, writing
from ai.analysis.writing import Verdict
from ai.models import AICall, AnalysisRun, LeadAnalysis
from ai.tests.analyses import (
    FILE,
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
from leads.models import Activity, Lead
from leads.selections import Selection
from leads.tests.factories import make_lead
from zevix.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

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
