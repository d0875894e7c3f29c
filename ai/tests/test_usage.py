"""What AI did and cost: the sums are those of the calls."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from accounts.tests.factories import make_member
from ai.models import AICall
from leads.quotas import current_month

pytestmark = pytest.mark.django_db

PATH = "/api/v1/ai/usage"


def call(workspace, *, at=None, user=None, **fields):
    """A call that was answered."""
    at = at or timezone.now()
    made = AICall.objects.create(
        workspace=workspace,
        user=user,
        **{
            "action": "chat", "model": "gpt-4o-mini", "input_hash": "0" * 64, "month": f"{at:%Y-%m}",
            "outcome": "completed", "input_tokens": 10, "cached_tokens": 4, "output_tokens": 5, "cost": 1_500, **fields,
        },
    )  # fmt: skip
    AICall.objects.filter(pk=made.pk).update(created_at=at)
    return made


def figures(calls, cost, failed=0):
    return {
        "calls": calls,
        "failed_calls": failed,
        "input_tokens": 10 * calls,
        "cached_tokens": 4 * calls,
        "output_tokens": 5 * calls,
        "cost": cost,
    }


def test_a_workspace_that_asked_nothing_has_its_whole_budget(api):
    body = api.get(PATH).json()

    assert {name: body[name] for name in figures(0, "")} == figures(0, "0.000000")
    assert [body[name] for name in ("by_day", "by_action", "by_model", "by_user")] == [[], [], [], []]
    assert body["budget"] == {
        "month": current_month(),
        "amount": "0.500000",
        "spent": "0.000000",
        "reserved": "0.000000",
        "remaining": "0.500000",
    }


def test_the_calls_are_summed_by_day_action_model_and_user(api, member, stranger):
    first, second = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    call(member.workspace, at=first, user=member.user)
    call(member.workspace, at=second, user=member.user, action="summarize", model="gpt-4o", cost=2_000_001)
    call(member.workspace, at=second, outcome="failed", cost=0)
    for outside in (first - timedelta(microseconds=1), second + timedelta(seconds=1)):
        call(member.workspace, at=outside)
    call(stranger.workspace, at=first, cost=99)

    body = api.get(PATH, {"from": "2026-02-01", "to": "2026-02-28"}).json()

    assert (body["from"], body["to"], body["currency"]) == ("2026-02-01", "2026-02-28", "usd")
    assert {name: body[name] for name in figures(0, "")} == figures(3, "2.001501", failed=1)
    assert body["by_day"] == [
        {"day": "2026-02-01", **figures(1, "0.001500")},
        {"day": "2026-02-28", **figures(2, "2.000001", failed=1)},
    ]
    assert body["by_action"] == [
        {"action": "summarize", **figures(1, "2.000001")},
        {"action": "chat", **figures(2, "0.001500", failed=1)},
    ]
    assert body["by_model"] == [
        {"model": "gpt-4o", **figures(1, "2.000001")},
        {"model": "gpt-4o-mini", **figures(2, "0.001500", failed=1)},
    ]
    assert body["by_user"] == [
        {"user_id": member.user_id, "email": member.user.email, **figures(2, "2.001501")},
        {"user_id": None, "email": None, **figures(1, "0.000000", failed=1)},
    ]


def test_the_budget_is_this_months(api, member):
    call(member.workspace, cost=100_000)
    call(member.workspace, cost=0, outcome="running", reserved=150_000)
    call(member.workspace, at=datetime(2020, 1, 1, tzinfo=UTC), cost=9_000_000)

    body = api.get(PATH).json()

    assert body["budget"] == {
        "month": current_month(),
        "amount": "0.500000",
        "spent": "0.100000",
        "reserved": "0.150000",
        "remaining": "0.250000",
    }
    assert (body["calls"], body["failed_calls"]) == (2, 0)


def test_what_was_asked_over_http_is_in_it(api, member, openai_server):
    openai_server.reply("Fine.", tokens=(1_000, 0, 100))

    api.post("/ai", {"action": "chat", "data": {"messages": [{"role": "user", "content": "Hi"}]}})

    body = api.get(PATH).json()
    assert (body["calls"], body["cost"], body["budget"]["spent"]) == (1, "0.000210", "0.000210")
    assert [(row["action"], row["calls"]) for row in body["by_action"]] == [("chat", 1)]


def test_it_costs_the_same_to_read_however_many_calls(api, member, django_assert_num_queries):
    call(member.workspace, user=member.user)
    with django_assert_num_queries(4):
        one = api.get(PATH).json()
    for action in ("summarize", "follow_up"):
        call(member.workspace, action=action, user=make_member(workspace=member.workspace).user)

    with django_assert_num_queries(4):
        three = api.get(PATH).json()

    assert (one["calls"], three["calls"], len(three["by_user"])) == (1, 3, 3)


def test_every_member_may_read_it(client_of, member):
    agent = client_of(make_member(Role.AGENT, workspace=member.workspace))

    assert agent.get(PATH).status_code == 200


def test_a_year_is_asked_for_at_once(api):
    answer = api.get(PATH, {"from": "2024-01-01", "to": "2024-12-31"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"to": "0001-01-01"}, "to"),
        ({"to": "9999-12-31"}, "to"),
        ({"since": "2026-01-01"}, "since"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "to"),
        ({"from": "2024-01-01", "to": "2025-01-01"}, "to"),
    ],
)
def test_days_that_there_are_not_are_a_validation_error(api, query, field):
    answer = api.get(PATH, query)

    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert set(answer.json()["fields"]) == {field}
