"""How the Pipedrive of the tests posts its webhooks."""

import json
from random import Random
from typing import Any

import pytest

from crm.tests.asking import Ask
from crm.tests.pipedrive_server import PipedriveServer

HOOK = {"subscription_url": "http://127.0.0.1:9/hook", "event_action": "*", "event_object": "*", "name": "Ours"}


@pytest.fixture
def server(pipedrive_server: PipedriveServer) -> PipedriveServer:
    return pipedrive_server


def test_a_webhook_tells_who_changed_what_and_how_it_was(server: PipedriveServer, ask: Ask) -> None:
    posted = _Posted()
    ask("POST", "/api/v1/webhooks", {**HOOK, "http_auth_user": "us", "http_auth_password": "secret"})
    server.people.create(name="Ada", custom_fields={"Nickname": "Countess"})
    ask("PATCH", "/api/v2/persons/1", {"name": "Eve"})
    server.people.delete(1)

    server.deliver(post=posted)

    created, changed, deleted = posted.bodies
    assert posted.headers[0]["Authorization"] == "Basic dXM6c2VjcmV0"
    assert [body["meta"]["action"] for body in posted.bodies] == ["create", "change", "delete"]
    assert [body["meta"]["change_source"] for body in posted.bodies] == ["app", "api", "app"]
    assert [body["meta"]["entity_id"] for body in posted.bodies] == ["1", "1", "1"]
    assert (created["previous"], changed["previous"]["name"], deleted["data"]) == (None, "Ada", None)
    assert deleted["previous"]["name"] == "Eve"
    assert created["data"]["custom_fields"][server.key("person", "Nickname")] == {
        "type": "varchar",
        "value": "Countess",
    }


def test_a_merge_tells_of_a_deletion_and_of_a_change(server: PipedriveServer, ask: Ask) -> None:
    posted = _Posted()
    server.people.create(name="Ada")
    server.people.create(name="Eve")
    ask("POST", "/api/v1/webhooks", HOOK)
    server.people.merge(2, into=1)

    server.deliver(post=posted)

    told = [(body["meta"]["action"], body["meta"]["entity_id"]) for body in posted.bodies]
    assert told == [("delete", "2"), ("change", "1")]
    assert posted.bodies[0]["meta"]["merged_to_id"] == "1"
    assert posted.bodies[1]["meta"]["merged_from_id"] == "2"


def test_a_failed_delivery_comes_again_three_times_with_the_same_id(server: PipedriveServer, ask: Ask) -> None:
    posted = _Posted(status=500)
    ask("POST", "/api/v1/webhooks", HOOK)
    server.people.create(name="Ada")

    for seconds in (0, 2, 1, 30, 150, 1000):
        server.clock.advance(seconds)
        server.deliver(post=posted)

    assert [body["meta"]["attempt"] for body in posted.bodies] == [1, 2, 3, 4]
    assert len({body["meta"]["id"] for body in posted.bodies}) == 1


def test_ten_first_tries_that_fail_are_followed_by_half_an_hour_of_silence(server: PipedriveServer, ask: Ask) -> None:
    ask("POST", "/api/v1/webhooks", HOOK)
    for number in range(10):
        server.people.create(name=f"Person {number}")
    server.deliver(post=_Posted(status=404))
    server.people.create(name="Never told")
    server.clock.advance(1801)
    server.people.create(name="Told")
    posted = _Posted()

    server.deliver(post=posted)

    told = {body["data"]["name"] for body in posted.bodies if body["meta"]["attempt"] == 1}
    assert told == {"Told"}


def test_deliveries_may_be_lost_doubled_and_mixed(server: PipedriveServer, ask: Ask) -> None:
    posted = _Posted()
    ask("POST", "/api/v1/webhooks", HOOK)
    for number in range(6):
        server.people.create(name=str(number))

    server.deliver(
        post=posted,
        lose=lambda delivery: delivery.meta["entity_id"] == "2",
        double=lambda delivery: delivery.meta["entity_id"] == "5",
        shuffle=Random(1),
    )

    ids = [body["meta"]["entity_id"] for body in posted.bodies]
    assert sorted(ids) == ["1", "3", "4", "5", "5", "6"]
    assert ids != sorted(ids)
    assert server.waiting == []


def test_a_webhook_hears_of_what_it_was_made_for(server: PipedriveServer, ask: Ask) -> None:
    ask("POST", "/api/v1/webhooks", {**HOOK, "event_action": "delete", "event_object": "deal"})
    server.people.create(name="Ada")
    server.people.deals.create(title="D")
    server.people.deals.delete(1)

    assert [delivery.meta["entity"] for delivery in server.waiting] == ["deal"]


class _Posted:
    """Where deliveries go."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        assert url == HOOK["subscription_url"]
        self.bodies.append(json.loads(body))
        self.headers.append(headers)
        return self.status
