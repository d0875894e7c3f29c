"""The page of 50 leads out of a million, beside one statement and beside a plain ``ModelSerializer`` page."""

import json
from datetime import datetime
from functools import partial
from typing import Any

from script.benchmarks import installation, load
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import Server

_ROUNDS = 9
_REQUESTS, _SECONDS = 5_000, 1.0  # a round, whichever comes first


def measure(server: Server) -> list[Row]:
    progress("page: 50 leads out of 1,000,000 …")
    token = installation.token_of(installation.large())
    paths = {
        "project": "/api/v1/leads",
        "thin": "/floor/page",
        "serializer": "/floor/model-serializer",
    }
    requests = {name: load.get(path, token) for name, path in paths.items()}
    _same_leads([load.ask(server.port, request) for request in requests.values()])

    def rate(name: str) -> float:
        return load.send(server.port, [requests[name]] * _REQUESTS, at_most_seconds=_SECONDS).rate

    for name in paths:  # every thread's connection to the database, every plan, every byte into memory
        rate(name)
    rounds = take_turns({name: partial(rate, name) for name in paths}, rounds=_ROUNDS)
    return [
        Row("page", "thin view", "/s", rounds["project"], rounds["thin"], at_least=0.65),
        Row("page", "ModelSerializer page", "/s", rounds["project"], rounds["serializer"], at_least=1.5),
    ]


def _same_leads(bodies: list[bytes]) -> None:
    """A floor that answers something else is none."""
    first, *others = [[_plain(lead) for lead in json.loads(body)["results"]] for body in bodies]
    if len(first) != 50 or any(other != first for other in others):
        raise RuntimeError("The floors of the page do not answer what the project answers.")


def _plain(lead: dict[str, Any]) -> dict[str, Any]:
    """The lead with its moments as such: PostgreSQL writes +00:00 where the project writes Z."""
    moments = {name for name in lead if name.endswith("_at") or name == "last_contact"}
    return {name: datetime.fromisoformat(value) if name in moments and value else value for name, value in lead.items()}
