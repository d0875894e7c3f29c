"""The stand-in as tests hold it: Stripe's API on loopback, and the hands of customers, of the operator and of time."""

import json
import threading
import time
from typing import Any

import stripe

from billing.tests.stripe_server import checkout, clock, completing, customers, subscriptions
from billing.tests.stripe_server.transport import Answer, Api, Handler, Request, Server
from billing.tests.stripe_server.world import DAY, Object, World


class StripeServer:
    secret_key = "sk_test_stand_in"
    webhook_secret = "whsec_stand_in"

    def __init__(self) -> None:
        self._api = Api(self.secret_key)
        self._warned: set[str] = set()
        self._server: Server | None = None
        self._port = 0
        self.up()

    # the wire

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """All requests with a good key: (method, path, params as sent, idempotency_key)."""
        return self._api.requests

    @property
    def faults(self) -> list[str]:
        """Tracebacks of the stand-in itself; there must be none."""
        return self._api.faults

    def up(self) -> None:
        if self._server is not None:
            return
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._server.api = self._api
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections until `up`."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def slow(self, seconds: float) -> None:
        """Wait so long before each answer; 0 ends it, also for those who wait."""
        self._api.delay = seconds
        self._api.waking.set()
        self._api.waking = threading.Event()

    def answer_next(self, status: int, body: Object | None = None) -> None:
        """Answer the next request so, and do nothing. Several are taken in order."""
        told = {"error": {"type": "api_error", "message": "An unknown error occurred"}} if body is None else body
        self._api.planned.append(Answer(status, told, is_saved=status not in (401, 409, 429, 503)))

    def lose_next_answer(self) -> None:
        """Do what is asked next, and hang up without an answer."""
        self._api.answers_to_lose += 1

    def reset(self) -> None:
        """A new account, with nothing in it."""
        self._api.waking.set()
        self.up()
        with self._api.lock:
            self._api.reset()
            self._warned.clear()

    def stop(self) -> None:
        self._api.waking.set()
        self.down()

    # what it knows

    @property
    def world(self) -> World:
        return self._api.world

    @property
    def now(self) -> int:
        return self.world.now

    @property
    def events(self) -> list[Object]:
        return self.world.events

    @property
    def customers(self) -> dict[str, Object]:
        return self.world.customers

    @property
    def products(self) -> dict[str, Object]:
        return self.world.products

    @property
    def prices(self) -> dict[str, Object]:
        return self.world.prices

    @property
    def sessions(self) -> dict[str, Object]:
        return self.world.sessions

    @property
    def subscriptions(self) -> dict[str, Object]:
        return self.world.subscriptions

    @property
    def schedules(self) -> dict[str, Object]:
        return self.world.schedules

    @property
    def invoices(self) -> dict[str, Object]:
        return self.world.invoices

    # time

    def begin_at(self, moment: int) -> None:
        """Have an account whose time is another than ours, before anything is in it."""
        if self.events:
            raise ValueError("The clock only goes on.")
        self.world.now = moment

    def advance(self, *, days: float = 0, seconds: int = 0, to: int | None = None) -> None:
        """Let time pass: trials end, subscriptions renew or fail, are tried again or end, sessions expire."""
        with self._api.lock:
            clock.advance(self.world, self.now + round(days * DAY) + seconds if to is None else to, self._warned)

    def retry(self, days: tuple[int, ...], *, after_last: str = "canceled") -> None:
        """How unpaid invoices are tried again, and what becomes of their subscription then: `canceled` or `unpaid`."""
        self.world.retry_days, self.world.after_last_retry = days, after_last

    # customers

    def complete(self, session_id: str, payment: str = "ok", *, promotion_code: str | None = None) -> Object:
        """The customer fills in Checkout's page. The payment is `ok`, `declined`, or `delayed` until `settle`."""
        with self._api.lock:
            return completing.complete(self.world, session_id, payment, promotion_code)

    def settle(self, session_id: str, *, succeeds: bool = True) -> Object:
        """A delayed payment arrives, or does not."""
        with self._api.lock:
            return completing.settle(self.world, session_id, succeeds=succeeds)

    def expire(self, session_id: str) -> Object:
        with self._api.lock:
            return checkout.expire(self.world, {}, session_id)

    def decline(self, customer_id: str) -> None:
        """The customer's card is declined from now on."""
        self.world.declining.add(customer_id)

    def accept(self, customer_id: str) -> None:
        self.world.declining.discard(customer_id)

    def pay_open_invoices(self, customer_id: str) -> None:
        """The customer puts in a good card and pays what is open."""
        with self._api.lock:
            self.accept(customer_id)
            clock.pay_open_invoices(self.world, customer_id)

    def cancel_in_portal(self, subscription_id: str) -> None:
        """Stripe's portal sets a date for a flexible subscription, not `cancel_at_period_end`."""
        with self._api.lock:
            end = subscriptions.current_period_end(self.subscriptions[subscription_id])
            subscriptions.update(self.world, {"cancel_at": end}, subscription_id)

    # the operator, in Stripe's dashboard

    def cancel_now(self, subscription_id: str) -> None:
        with self._api.lock:
            subscriptions.cancel(self.world, {}, subscription_id)

    def delete_customer(self, customer_id: str) -> None:
        with self._api.lock:
            customers.delete(self.world, {}, customer_id)

    def add_item(self, subscription_id: str, price_id: str, quantity: int = 1) -> None:
        self._change(subscription_id, {"price": price_id, "quantity": quantity})

    def set_price(self, subscription_id: str, price_id: str) -> None:
        item = self.subscriptions[subscription_id]["items"]["data"][0]
        self._change(subscription_id, {"id": item["id"], "price": price_id})

    def _change(self, subscription_id: str, item: Object) -> None:
        with self._api.lock:
            subscriptions.update(self.world, {"items": [item], "proration_behavior": "none"}, subscription_id)

    # events

    def signed(self, event: Object, timestamp: int | None = None, secret: str | None = None) -> tuple[bytes, str]:
        """The body and the `Stripe-Signature` that the endpoint gets, signed now unless told when."""
        body = json.dumps(event, indent=2)
        moment = int(time.time()) if timestamp is None else timestamp
        header = stripe.WebhookSignature.generate_signature_header(body, secret or self.webhook_secret, moment)
        return body.encode(), header

    def deliver(self, client: Any, events: list[Object] | None = None) -> list[Any]:
        """Post events (all, unless given) to our endpoint by Django's or REST framework's test client: the answers."""
        return [self._deliver(client, event) for event in list(self.events if events is None else events)]

    def _deliver(self, client: Any, event: Object) -> Any:
        body, header = self.signed(event)
        return client.generic(
            "POST", "/api/billing/webhook", body, content_type="application/json", HTTP_STRIPE_SIGNATURE=header
        )
