"""An event of Stripe's, from its arrival to the answer that it is kept, beside a view that verifies and inserts."""

import hashlib
import hmac
import json
import time
from functools import partial
from itertools import count, islice

from script.benchmarks import load
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import Server

_REQUESTS, _SECONDS = 500, 2.0  # a round, whichever comes first
_PATHS = {"project": "/api/billing/webhook", "floor": "/floor/webhook"}


def measure(server: Server) -> list[Row]:
    """Of customers that nobody knows, so that the worker beside the server has little to do with them."""
    from billing.models import StripeEvent

    progress("webhook: one event …")
    numbers = count(1)

    def milliseconds(name: str) -> float:
        requests = [_request(_PATHS[name], number) for number in islice(numbers, _REQUESTS)]
        return 1000 / load.send(server.port, requests, connections=1, at_most_seconds=_SECONDS).rate

    for name in _PATHS:
        milliseconds(name)
    rounds = take_turns({name: partial(milliseconds, name) for name in _PATHS})
    StripeEvent.objects.filter(event_id__startswith=_ID).delete()
    return [
        Row("webhook", "", "ms", rounds["project"], at_most=50),
        Row("webhook", "verify and INSERT", "ms", rounds["project"], rounds["floor"], at_most=4),
    ]


_ID = "evt_bench_"
_BEGUN = time.time_ns()  # ids of an earlier run may be there still


def _request(path: str, number: int) -> bytes:
    from django.conf import settings

    now = int(time.time())
    customer = f"cus_bench_{number}"
    event = {
        "id": f"{_ID}{_BEGUN}_{number}", "object": "event", "type": "customer.subscription.updated", "created": now,
        "data": {"object": {"id": f"sub_bench_{number}", "object": "subscription", "customer": customer, "metadata": {"x": "y" * 2000}}},
    }  # fmt: skip
    body = json.dumps(event).encode()
    key = settings.STRIPE_WEBHOOK_SECRETS[0].encode()
    signature = hmac.new(key, b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    return load.post_signed(path, f"t={now},v1={signature}", body)
