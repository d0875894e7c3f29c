"""Analyses of many leads in the admin."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from accounts.models import Role
from accounts.tests.factories import make_member
from ai.analysis import starting
from ai.models import AnalysisRun, LeadAnalysis
from ai.tests.factories import give_budget
from leads.models import ImportBatch
from leads.selections import Selection
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

RUNS = reverse("admin:ai_analysisrun_changelist")
ROWS = reverse("admin:ai_leadanalysis_changelist")
LEADS = reverse("admin:leads_lead_changelist")


@pytest.fixture
def manager():
    manager = make_member(Role.MANAGER)
    give_budget(manager.workspace, 100)
    return manager


@pytest.fixture
def browser(manager, in_admin):
    return in_admin(manager.user)


@pytest.fixture
def run(manager, openai_server):
    lead = make_lead(manager.workspace)
    return starting.start(Selection([lead.pk]), workspace=manager.workspace, by=manager.user)


def act(browser, page, action, *rows):
    answer = browser.post(page, {"action": action, "_selected_action": [row.pk for row in rows]})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_an_analysis_is_shown_with_its_import_its_rows_and_its_cost(browser, run, manager):
    batch = ImportBatch.objects.create(workspace=manager.workspace, file_name="fair.csv")
    AnalysisRun.objects.update(batch=batch, cost=1_234, progress=40)
    found = {"score": 70, "reason": "She asked for a price."}
    LeadAnalysis.objects.update(status="done", found=found, written=["score"], kept=["status"])

    shown = browser.get(reverse("admin:ai_analysisrun_change", args=[run.pk])).content.decode()
    rows = browser.get(ROWS, {"run__id__exact": run.pk}).content.decode()

    assert all(text in shown for text in ("fair.csv", "0.001234", "40 %", f"?run__id__exact={run.pk}"))
    assert all(text in rows for text in ("She asked for a price.", "score", "status"))


def test_an_analysis_is_cancelled_once(browser, run):
    assert act(browser, RUNS, "cancel", run) == ["1 analysis cancelled."]
    assert f"#{run.pk}: This analysis is over already." in act(browser, RUNS, "cancel", run)
    assert AnalysisRun.objects.get().status == "cancelled"


def test_an_analysis_is_undone(browser, run):
    AnalysisRun.objects.update(status="completed")

    assert act(browser, RUNS, "undo", run) == [f"analysis:{run.pk}: 0 removed, 0 changed back, 0 brought back, 0 kept."]


def test_chosen_leads_are_analyzed(browser, manager, openai_server):
    leads = [make_lead(manager.workspace) for _ in range(2)]

    said = act(browser, LEADS, "analyze_with_ai", *leads)

    assert said == ["2 leads are being analyzed."]
    assert list(LeadAnalysis.objects.order_by("lead").values_list("lead", "run__user")) == [
        (lead.pk, manager.user_id) for lead in leads
    ]


def test_without_a_key_the_leads_list_says_so(browser, manager, settings):
    settings.OPENAI_API_KEY = ""

    said = act(browser, LEADS, "analyze_with_ai", make_lead(manager.workspace))

    assert said == [f"{manager.workspace}: This needs the setting OPENAI_API_KEY, which is not set up."]


@pytest.mark.parametrize("origin", ["import", "person", "nonsense"])
def test_analyses_are_found_by_who_asked(browser, run, origin):
    answer = browser.get(RUNS, {"origin": origin})

    assert len(answer.context["cl"].result_list) == (0 if origin == "import" else 1)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("page", "queries"), [(RUNS, 6), (ROWS, 6)])
def test_the_lists_cost_the_same_whatever_their_length(
    browser, manager, openai_server, django_assert_num_queries, size, page, queries
):
    for _ in range(size):
        lead = make_lead(manager.workspace)
        starting.start(Selection([lead.pk]), workspace=manager.workspace, by=manager.user)
    browser.get(page)

    with django_assert_num_queries(queries):
        answer = browser.get(page)

    assert len(answer.context["cl"].result_list) == size
