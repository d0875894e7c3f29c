"""``/zevix/refresh-token`` reads an old plan anew, and waits for Stripe no longer than a person would."""

import socket
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.tests.factories import make_workspace
from billing.models import BillingAccount
from billing.stripe_gateway import hurrying
from billing.tests.selling import make_account, price_in_stripe, sell, subscribe
from zevix.errors import Unreachable

pytestmark = pytest.mark.django_db

PATH = "/zevix/refresh-token"


@pytest.fixture
def account(stripe_server, member):
    return make_account(member.workspace)


@pytest.fixture
def bought(stripe_server, account):
    """A plan that the customer paid for, and that we have not read yet."""
    return subscribe(stripe_server, account, sell("starter").stripe_price_id)


def refresh(api):
    """The plan, whether it is stale (None: not said), and how long the answer took."""
    began = time.monotonic()
    answer = api.post(PATH)
    assert answer.status_code == 200
    return answer.json()["plan"], answer.json().get("stale"), time.monotonic() - began


def questions(stripe_server):
    return [request.path for request in stripe_server.requests if request.path == "/v1/subscriptions"]


def test_a_plan_that_was_never_read_is_read(api, bought):
    plan, is_stale, _ = refresh(api)

    assert (plan, is_stale) == ("starter", None)


def test_one_that_was_read_within_a_quarter_of_an_hour_is_not_read_again(api, bought, stripe_server):
    for _ in range(3):
        assert refresh(api)[:2] == ("starter", None)

    assert len(questions(stripe_server)) == 1


def test_one_that_was_read_longer_ago_is_read_anew(api, bought, stripe_server):
    refresh(api)
    BillingAccount.objects.update(synced_at=timezone.now() - timedelta(minutes=16))
    stripe_server.cancel_now(bought)

    plan, is_stale, _ = refresh(api)

    assert (plan, is_stale) == ("free", None)


@pytest.fixture
def old_plan(api, bought):
    """The plan was read some time ago."""
    refresh(api)
    BillingAccount.objects.update(synced_at=timezone.now() - timedelta(minutes=16))


def test_stripe_down_leaves_the_last_known_plan_and_says_so(api, old_plan, stripe_server):
    stripe_server.down()

    plan, is_stale, took = refresh(api)

    assert (plan, is_stale) == ("starter", True)
    assert took < 2


def test_stripe_slow_keeps_nobody_waiting(api, old_plan, stripe_server):
    stripe_server.slow(5)

    plan, is_stale, took = refresh(api)

    assert (plan, is_stale) == ("starter", True)
    assert took < 2


@pytest.mark.parametrize("status", [401, 429, 500])
def test_stripe_in_trouble_leaves_the_last_known_plan(status, api, old_plan, stripe_server):
    stripe_server.answer_next(status)

    assert refresh(api)[:2] == ("starter", True)


def test_after_a_failure_nobody_waits_for_half_a_minute(api, old_plan, stripe_server):
    stripe_server.slow(5)
    refresh(api)
    asked = len(questions(stripe_server))

    answers = [refresh(api) for _ in range(3)]
    stripe_server.slow(0)
    BillingAccount.objects.update(failed_at=timezone.now() - timedelta(seconds=31))
    later = refresh(api)

    assert [answer[:2] for answer in answers] == [("starter", True)] * 3
    assert sum(answer[2] for answer in answers) < 1
    assert later[:2] == ("starter", None)
    assert len(questions(stripe_server)) == asked + 1


class Mute:
    """A server that takes connections and never answers; or drips, so that no timeout of a socket ever comes."""

    def __init__(self, drips):
        self.drips = drips
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.is_open = True
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def _serve(self):
        taken, _address = self.listening.accept()
        with taken:
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" if self.drips else b"")
            while self.is_open:
                time.sleep(0.1)
                if self.drips:
                    taken.sendall(b" ")

    def close(self):
        self.is_open = False
        self.listening.close()


@pytest.mark.parametrize("drips", [False, True])
def test_a_server_that_never_finishes_keeps_nobody_waiting(drips, api, old_plan, settings):
    mute = Mute(drips)
    settings.STRIPE_API_BASE = mute.url

    plan, is_stale, took = refresh(api)
    mute.close()

    assert (plan, is_stale) == ("starter", True)
    assert took < 2


def test_questions_that_never_end_do_not_pile_up():
    over = threading.Event()
    began = threading.active_count()
    for _ in range(20):
        with pytest.raises(Unreachable):
            hurrying.in_time(lambda: over.wait(10), seconds=0.01)

    pending = threading.active_count() - began
    over.set()

    assert pending <= 8


def test_a_price_that_no_plan_has_is_no_reason_to_call_the_plan_stale(api, account, stripe_server):
    subscribe(stripe_server, account, price_in_stripe())

    assert refresh(api)[:2] == ("free", None)


def test_a_customer_deleted_in_stripe_has_the_free_plan(api, old_plan, account, stripe_server):
    stripe_server.delete_customer(account.customer_id)

    assert refresh(api)[:2] == ("free", None)
    assert refresh(api)[:2] == ("free", None)


def test_a_workspace_that_is_no_customer_asks_stripe_nothing(api, member, stripe_server):
    make_account(make_workspace())
    BillingAccount.objects.create(workspace=member.workspace)
    before = len(stripe_server.requests)

    assert refresh(api)[:2] == ("free", None)
    assert len(stripe_server.requests) == before


def test_without_a_key_stripe_is_not_asked_and_nothing_is_stale(api, old_plan, stripe_server, settings):
    settings.STRIPE_SECRET_KEY = ""
    stripe_server.down()

    assert refresh(api)[:2] == ("starter", None)
