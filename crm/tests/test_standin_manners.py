"""How the Pipedrive of the tests lists, searches, slows callers down, and fails."""

import json
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import Any

import pytest

from crm.tests.asking import Ask, answer_of
from crm.tests.pipedrive_server import PipedriveServer


@pytest.fixture
def server(pipedrive_server: PipedriveServer) -> PipedriveServer:
    return pipedrive_server


class TestLists:
    def test_pages_follow_each_other_by_id(self, server: PipedriveServer) -> None:
        for number in range(7):
            server.people.create(name=f"Person {number}")

        seen, cursor, pages = [], "", 0
        while pages == 0 or cursor:
            answer = _json(server, f"/api/v2/persons?limit=3{cursor and f'&cursor={cursor}'}")
            seen += [person["id"] for person in answer["data"]]
            cursor, pages = answer["additional_data"]["next_cursor"], pages + 1

        assert (seen, pages) == ([1, 2, 3, 4, 5, 6, 7], 3)

    def test_updated_since_means_from_that_second_on(self, server: PipedriveServer, ask: Ask) -> None:
        server.clock.advance((datetime(2030, 1, 1, 12, tzinfo=UTC) - server.clock.now()).total_seconds())
        server.people.create(name="Before")
        server.clock.advance(60)
        server.people.create(name="At")
        at = ask("GET", "/api/v2/persons/2")[1]["update_time"]

        names = [person["name"] for person in ask("GET", f"/api/v2/persons?updated_since={at}")[1]]

        assert (names, at[:16]) == (["At"], "2030-01-01T12:01")

    def test_the_search_finds_in_any_case_and_knows_only_what_its_index_does(
        self, server: PipedriveServer, ask: Ask
    ) -> None:
        path = "/api/v2/persons/search?term=ADA@x.example&fields=email&exact_match=true"
        server.search_lags(30)
        server.people.create(name="Ada", email="Ada@X.example")

        at_once = ask("GET", path)[1]
        server.clock.advance(31)
        later = ask("GET", path)[1]

        assert at_once == {"items": []}
        assert [(found["item"]["id"], found["item"]["emails"]) for found in later["items"]] == [(1, ["Ada@X.example"])]


class TestLimits:
    def test_tokens_are_counted_by_what_is_asked(self, server: PipedriveServer, ask: Ask) -> None:
        ask("POST", "/api/v2/persons", {"name": "Ada"})
        ask("GET", "/api/v2/persons/1")
        ask("GET", "/api/v2/persons")
        ask("GET", "/api/v2/persons/search?term=ada")

        assert server.tokens_spent == 5 + 1 + 10 + 20
        assert server.requests[0] == ("POST", "/api/v2/persons", 5)

    def test_a_burst_beyond_the_limit_is_refused_until_two_seconds_are_over(
        self, server: PipedriveServer, ask: Ask
    ) -> None:
        server.limits.burst = 3

        in_one_burst = [ask("GET", "/api/v2/persons")[0] for _ in range(4)]
        server.clock.advance(2)

        assert in_one_burst == [200, 200, 200, 429]
        assert ask("GET", "/api/v2/persons")[0] == 200

    def test_searches_have_a_limit_of_their_own(self, server: PipedriveServer, ask: Ask) -> None:
        statuses = [ask("GET", "/api/v2/persons/search?term=ada")[0] for _ in range(11)]

        assert statuses == [200] * 10 + [429]
        assert ask("GET", "/api/v2/persons")[0] == 200

    def test_a_spent_day_is_over_at_midnight(self, server: PipedriveServer, ask: Ask) -> None:
        server.limits.daily = 10

        assert [ask("GET", "/api/v2/persons")[0] for _ in range(2)] == [200, 429]
        server.clock.advance(86_400)
        assert ask("GET", "/api/v2/persons")[0] == 200

    def test_who_hammers_on_gets_a_page_for_browsers(self, server: PipedriveServer, ask: Ask) -> None:
        server.limits.burst, server.limits.most_refusals = 1, 3
        for _ in range(5):
            ask("GET", "/api/v2/persons")

        status, kind, _body = answer_of(server, "/api/v2/persons")

        assert (status, kind) == (403, "text/html; charset=UTF-8")


class TestFaults:
    @pytest.mark.parametrize("how", ["timeout_after", "cut"])
    def test_what_was_never_heard_was_done(self, server: PipedriveServer, ask: Ask, how: str) -> None:
        server.hang_for(0.01)
        server.fail(how=how, on="POST /api/v2/persons")

        with pytest.raises((OSError, HTTPException)):
            ask("POST", "/api/v2/persons", {"name": "Ada"})

        assert [person["name"] for person in server.people.all()] == ["Ada"]

    def test_a_late_request_has_its_effect_when_time_has_passed(self, server: PipedriveServer, ask: Ask) -> None:
        server.hang_for(0.01)
        server.fail(how="late", on="POST /api/v2/persons")

        with pytest.raises(OSError):
            ask("POST", "/api/v2/persons", {"name": "Ada"})

        assert server.people.all() == []
        server.age(5)
        assert [person["name"] for person in server.people.all()] == ["Ada"]

    @pytest.mark.parametrize(("how", "status"), [("500", 500), ("503", 503), ("429", 429), ("402", 402), ("401", 401)])
    def test_what_is_refused_was_not_done(self, server: PipedriveServer, ask: Ask, how: str, status: int) -> None:
        server.fail(how=how, on="POST /api/v2/*", skip=1)

        statuses = [ask("POST", "/api/v2/persons", {"name": name})[0] for name in ("Ada", "Eve", "Ida")]

        assert statuses == [200, status, 200]
        assert [person["name"] for person in server.people.all()] == ["Ada", "Ida"]

    def test_a_429_may_come_without_a_word(self, server: PipedriveServer) -> None:
        server.fail(how="429_bare")

        status, _kind, body = answer_of(server, "/api/v2/persons")

        assert (status, body) == (429, b"")

    def test_a_killed_caller_has_been_heard(self, server: PipedriveServer, ask: Ask) -> None:
        killed: list[int] = []
        server.kills(lambda: killed.append(len(server.people.all())))
        server.hang_for(0.01)
        server.fail(how="kill", on="POST /api/v2/persons")

        with pytest.raises(OSError):
            ask("POST", "/api/v2/persons", {"name": "Ada"})

        assert killed == [1]


def _json(server: PipedriveServer, path: str) -> Any:
    return json.loads(answer_of(server, path)[2])


def test_time_passes_for_all_that_happened_while_the_clock_stays_right(server: PipedriveServer, ask: Ask) -> None:
    server.search_lags(600)
    server.people.create(name="Ada")
    before = server.clock.now()

    server.age(3600)

    updated = datetime.fromisoformat(ask("GET", "/api/v2/persons/1")[1]["update_time"])
    assert timedelta(minutes=59) < before - updated < timedelta(minutes=61)
    assert [found["item"]["id"] for found in ask("GET", "/api/v2/persons/search?term=ada")[1]["items"]] == [1]
    assert abs(server.clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
