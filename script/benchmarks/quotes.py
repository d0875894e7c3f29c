"""What an export would cost, in a workspace that has exported a million leads: of 10,000 ids, and of all that a filter finds."""

import json
from functools import partial

from script.benchmarks import installation, load
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import Server

_IDS = 10_000
_REQUESTS, _SECONDS = 20, 5.0  # a round, whichever comes first
_PATH = "/api/v1/exports/quote"
_NAMED, _FILTERED = f"quote of {_IDS:,} ids", "quote of a filter"


def measure(server: Server) -> list[Row]:
    from leads.models import ExportQuote, Lead

    progress(f"quote: {_IDS:,} ids, and a filter …")
    member = installation.large()
    token = installation.token_of(member)
    ids = list(Lead.objects.in_catalogue().order_by("id").values_list("id", flat=True)[:_IDS])
    asked = {
        _NAMED: {"lead_ids": ids},
        _FILTERED: {"filter": {"status": "NEW"}, "from": "catalogue"},
    }
    requests = {name: load.post(_PATH, token, json.dumps(body).encode()) for name, body in asked.items()}
    quoted = {name: json.loads(load.ask(server.port, request))["new"] for name, request in requests.items()}
    if min(quoted.values()) < _IDS:
        raise RuntimeError(f"The quotes do not count the leads that there are: {quoted}.")

    def milliseconds(name: str) -> float:
        answered = load.send(server.port, [requests[name]] * _REQUESTS, connections=1, at_most_seconds=_SECONDS)
        return 1000 / answered.rate

    rounds = take_turns({name: partial(milliseconds, name) for name in requests})
    ExportQuote.objects.for_workspace(member.workspace).delete()
    # a filter finds as many as there are, so only the ids have a bound
    return [Row(_NAMED, "", "ms", rounds[_NAMED], at_most=500), Row(_FILTERED, "", "ms", rounds[_FILTERED])]
