"""Filter and search pages of 50: beside one statement, and beside the same page of a workspace of 10,000 leads."""

import json
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from script.benchmarks import installation, load
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import Server

_ROUNDS = 7
_REQUESTS, _SECONDS = 2_000, 0.7  # a round, whichever comes first

# what people ask for; each must find leads in either workspace
_FILTERS: dict[str, dict[str, Any]] = {
    "status": {"status": "WON"},
    "place": {"state": "OH", "city": "Akron"},
    "ZIP area": {"zip_code": "4430"},
    "tag": {"tag": "priority"},
    "needs action": {"needs_action": "true"},
    "custom field": {"extra.region": "7"},
    "status and tag": {"status": "QUALIFIED", "tag": "q1"},
}
_SEARCHES: dict[str, dict[str, Any]] = {
    "one word": {"search": "harbor"},
    "two words": {"search": "grace cardiology"},
    "beginnings": {"search": "gar ped"},
    "a number": {"search": "(201) 207"},
}


def measure_filters(server: Server) -> list[Row]:
    progress("filter: 50 of 1,000,000 and of 10,000 leads …")
    return [_beside_thin(server, "filter page", {"status": "WON"}), *_beside_few(server, "filter", _FILTERS)]


def measure_searches(server: Server) -> list[Row]:
    progress("search: 50 of 1,000,000 and of 10,000 leads …")
    return [_beside_thin(server, "search page", {"search": "harbor"}), *_beside_few(server, "search", _SEARCHES)]


def _beside_thin(server: Server, job: str, query: dict[str, Any]) -> Row:
    token, asked = installation.token_of(installation.large()), urlencode(query, quote_via=quote)
    paths = {"project": f"/api/v1/leads?{asked}", "thin": f"/floor/page?{asked}"}
    requests = {name: load.get(path, token) for name, path in paths.items()}
    project, thin = ([lead["id"] for lead in _results(server, request)] for request in requests.values())
    if len(project) != 50 or project != thin:
        raise RuntimeError(f"The floor of {query} does not answer what the project answers.")

    def rate(name: str) -> float:
        return load.send(server.port, [requests[name]] * _REQUESTS, at_most_seconds=_SECONDS).rate

    for name in paths:
        rate(name)
    rounds = take_turns({name: partial(rate, name) for name in paths}, rounds=_ROUNDS)
    return Row(job, "thin view", "/s", rounds["project"], rounds["thin"], at_least=0.6)


def _beside_few(server: Server, job: str, queries: dict[str, dict[str, Any]]) -> list[Row]:
    tokens = {
        "many": installation.token_of(installation.large()),
        "few": installation.token_of(installation.middling()),
    }
    return [_one_query(server, f"{job}: {name}", query, tokens) for name, query in queries.items()]


def _one_query(server: Server, job: str, query: dict[str, Any], tokens: dict[str, str]) -> Row:
    """Milliseconds for a page, in the workspace of a million and in that of ten thousand."""
    path = f"/api/v1/leads?{urlencode(query, quote_via=quote)}"
    requests = {name: load.get(path, token) for name, token in tokens.items()}
    if not all(_results(server, request) for request in requests.values()):
        raise RuntimeError(f"{query} finds nothing.")

    def milliseconds(name: str) -> float:
        return 1000 / load.send(server.port, [requests[name]] * _REQUESTS, at_most_seconds=_SECONDS, connections=1).rate

    rounds = take_turns({name: partial(milliseconds, name) for name in tokens}, rounds=5)
    return Row(job, "10,000 leads", "ms", rounds["many"], rounds["few"], at_most=2)


def _results(server: Server, request: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(load.ask(server.port, request))["results"]
    return found
