"""The change of one lead, with history, roles, conflict check and event, beside REST framework's bare view without any of these."""

from functools import partial
from itertools import count, cycle, islice

from script.benchmarks import installation, load
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import Server

_ROUNDS = 9
_REQUESTS, _SECONDS = 3_000, 1.0  # a round, whichever comes first
_LEADS = 5_000


def measure(server: Server) -> list[Row]:
    from leads.models import Lead

    progress("change: one lead of 1,000,000 …")
    member = installation.large()
    token = installation.token_of(member)
    ids = cycle(Lead.objects.for_workspace(member.workspace).order_by("id").values_list("id", flat=True)[:_LEADS])
    numbers = count(1)
    paths = {"project": "/api/v1/leads/{}", "floor": "/floor/lead/{}"}

    def rate(name: str) -> float:
        requests = [
            load.patch(paths[name].format(lead_id), token, b'{"next_action_description": "Call %d", "score": %d}' % (n, n % 101))
            for lead_id, n in islice(zip(ids, numbers, strict=False), _REQUESTS)
        ]  # fmt: skip
        return load.send(server.port, requests, at_most_seconds=_SECONDS).rate

    for name in paths:
        rate(name)
    rounds = take_turns({name: partial(rate, name) for name in paths}, rounds=_ROUNDS)
    installation.vacuum()
    return [Row("change", "bare RetrieveUpdateAPIView", "/s", rounds["project"], rounds["floor"], at_least=0.6)]
