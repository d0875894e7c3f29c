"""``manage.py stripe_replay``, and Stripe's events in the admin."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from billing.models import StripeEvent
from billing.tests.events import Status, event_of, work_off
from billing.tests.selling import code_of, plan, price_in_stripe, subscribe

pytestmark = pytest.mark.django_db


def replay(capsys, *arguments):
    """What it printed, what it complained of, and how it exited."""
    code = 0
    try:
        call_command("stripe_replay", *arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return said.out.splitlines(), said.err.splitlines(), code


@pytest.fixture
def failed(stripe_server, account, anonymous):
    """Events that failed for an unknown price; which is known by now."""
    unknown = price_in_stripe()
    subscribe(stripe_server, account, unknown)
    stripe_server.deliver(anonymous)
    work_off()
    plan("pro").prices.filter(interval="month").update(stripe_price_id=unknown)
    return list(StripeEvent.objects.failed())


def test_failed_events_are_worked_off_again(failed, account, capsys):
    out, err, code = replay(capsys)

    assert (out, err, code) == ([f"{len(failed)} events worked off again, 0 failed"], [], 0)
    assert not StripeEvent.objects.failed().exists()
    assert code_of(account) == "pro"


def test_named_events_are_worked_off_whatever_became_of_them(failed, capsys):
    ids = [failed[0].event_id, StripeEvent.objects.exclude(status=Status.FAILED)[0].event_id]

    out, _err, code = replay(capsys, *ids)

    assert (out, code) == (["2 events worked off again, 0 failed"], 0)
    assert StripeEvent.objects.failed().count() == len(failed) - 1


def test_those_that_fail_again_are_told_and_count(failed, capsys):
    plan("pro").prices.update(stripe_price_id="")

    out, err, code = replay(capsys, "--failed")

    assert out == [f"{len(failed)} events worked off again, {len(failed)} failed"]
    said = "Stripe charges by the price"
    assert sorted(line[: line.index(said)] for line in err) == sorted(f"{one.event_id} {one.type}: " for one in failed)
    assert code == 1


def test_only_those_since_a_day(failed, capsys):
    out, _err, code = replay(capsys, "--failed", "--since", "2999-01-01")

    assert (out, code) == (["0 events worked off again, 0 failed"], 0)


def test_those_that_never_came_are_fetched_from_stripe(stripe_server, bought, account, capsys, anonymous):
    stripe_server.deliver(anonymous, stripe_server.events[:1])

    first, _err, code = replay(capsys, "--missing")
    again, _err, _code = replay(capsys, "--missing")

    assert StripeEvent.objects.count() == len(stripe_server.events)
    assert (first, code) == ([f"{len(stripe_server.events) - 1} events worked off again, 0 failed"], 0)
    assert again == ["0 events worked off again, 0 failed"]
    assert code_of(account) == "starter"


def test_an_event_that_is_not_there_is_named():
    with pytest.raises(CommandError, match="There are no such events: evt_none"):
        call_command("stripe_replay", "evt_none")


@pytest.mark.parametrize("since", ["soon", "2026-13-45", "2026-02-30T25:00"])
def test_a_day_that_is_none_is_refused(since):
    with pytest.raises(CommandError, match="A date or a time"):
        call_command("stripe_replay", "--since", since)


# In the admin


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_costs_the_same_with_one_row_and_with_three(
    number, stripe_server, bought, anonymous, operator, in_admin, django_assert_num_queries
):
    stripe_server.deliver(anonymous, stripe_server.events[:number])
    browser = in_admin(operator)
    browser.get("/admin/")

    with django_assert_num_queries(4):
        page = browser.get(reverse("admin:billing_stripeevent_changelist"))

    assert page.context["cl"].result_count == number


def test_an_event_shows_its_content(stripe_server, bought, anonymous, operator, in_admin):
    stripe_server.deliver(anonymous, [event_of(stripe_server, "customer.subscription.created", description="<b>")])

    page = in_admin(operator).get(reverse("admin:billing_stripeevent_change", args=[StripeEvent.objects.get().pk]))

    assert "&quot;description&quot;: &quot;&lt;b&gt;&quot;" in page.content.decode()
