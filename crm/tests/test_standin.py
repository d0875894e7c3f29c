"""The Pipedrive of the tests refuses what Pipedrive refuses, and keeps things as it does."""

from typing import Any

import pytest

from crm.tests.asking import Ask
from crm.tests.pipedrive_server import PipedriveServer

HOOK = {"subscription_url": "http://127.0.0.1:9/hook", "event_action": "*", "event_object": "*", "name": "Ours"}


@pytest.fixture
def server(pipedrive_server: PipedriveServer) -> PipedriveServer:
    return pipedrive_server


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "body", "sentence"),
        [
            ("/api/v2/persons", {}, "Validation failed: name: Required"),
            ("/api/v2/persons", [], "Validation failed: body: Expected object"),
            ("/api/v2/persons", {"name": 5}, "Validation failed: name: Expected string, received number"),
            ("/api/v2/persons", {"name": "A", "owner_id": "1"}, "Validation failed: owner_id: Expected number, received string"),
            ("/api/v2/persons", {"name": "A", "owner_id": 77}, "Validation failed: owner_id: user 77 does not exist"),
            ("/api/v2/persons", {"name": "A", "org_id": 77}, "Validation failed: org_id: organization 77 does not exist"),
            ("/api/v2/persons", {"name": "A", "email": "a@b.de"}, "Validation failed: Unrecognized key(s) in body: 'email'"),
            ("/api/v2/persons", {"name": "A", "emails": ["a@b.de"]}, "Validation failed: emails.0: Expected object, received string"),
            (
                "/api/v2/persons",
                {"name": "A", "emails": [{"value": "a@b.de", "type": "work"}]},
                "Validation failed: Unrecognized key(s) in emails.0: 'type'",
            ),
            ("/api/v2/organizations", {"name": " "}, "Validation failed: name: String must contain at least 1 character(s)"),
            ("/api/v2/deals", {"person_id": 1}, "Validation failed: title: Required"),
            ("/api/v2/deals", {"title": "D", "person_id": 77}, "Validation failed: person_id: person 77 does not exist"),
            ("/api/v2/deals", {"title": "D", "stage_id": 77}, "Validation failed: stage_id: stage 77 does not exist"),
            ("/api/v2/deals", {"title": "D", "value": "10"}, "Validation failed: value: Expected number, received string"),
            ("/api/v2/deals", {"title": "D", "lost_reason": "dear"}, "Validation failed: lost_reason: the deal is not lost"),
            ("/api/v1/leads", {"title": "L"}, "A lead must be linked to a person or an organization."),
            ("/api/v1/webhooks", {**HOOK, "name": None}, "Validation failed: name: Required"),
            (
                "/api/v1/webhooks",
                {**HOOK, "event_action": "added"},
                "Validation failed: event_action: Invalid enum value. Expected create | change | delete | *",
            ),
        ],
    )  # fmt: skip
    def test_a_body_that_does_not_fit_is_refused_in_words(self, ask: Ask, path: str, body: Any, sentence: str) -> None:
        status, error = ask("POST", path, body)

        assert (status, error) == (400, sentence)

    def test_a_custom_field_goes_into_custom_fields_and_nowhere_else(self, server: PipedriveServer, ask: Ask) -> None:
        key = server.key("person", "Nickname")

        beside = ask("POST", "/api/v2/persons", {"name": "Ada", key: "Countess"})
        nested = ask("POST", "/api/v2/persons", {"name": "Ada", "custom_fields": {"custom_fields": {key: "Countess"}}})
        right = ask("POST", "/api/v2/persons", {"name": "Ada", "custom_fields": {key: "Countess"}})

        assert beside == (400, f"Validation failed: Unrecognized key(s) in body: '{key}'")
        assert nested == (400, "Validation failed: custom_fields: 'custom_fields' is no custom field of persons")
        assert right[1]["custom_fields"][key] == "Countess"

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("Nickname", "Countess", 5),
            ("Background", "a\nlong\ntext", ["a"]),
            ("Lead score", 4.5, "4.5"),
            ("Second phone", "+49 30 1", 4930),
            ("Met on", "2026-02-28", "28.02.2026"),
            ("Budget", {"value": 10, "currency": "EUR"}, 10),
            ("Home address", {"value": "Hauptstr. 1"}, "Hauptstr. 1"),
            ("Best time", {"value": "10:30:00"}, "10:30"),
            ("Adviser", 2, 77),
            ("On holiday", {"value": "2026-01-01", "until": "2026-01-05"}, {"value": "2026-01-01"}),
            ("Office hours", {"value": "09:00:00", "until": "17:00:00"}, "9-5"),
        ],
    )
    def test_a_custom_field_takes_its_own_form_alone(
        self, server: PipedriveServer, ask: Ask, name: str, good: Any, bad: Any
    ) -> None:
        key = server.key("deal", name)

        taken = ask("POST", "/api/v2/deals", {"title": "D", "custom_fields": {key: good}})
        refused = ask("POST", "/api/v2/deals", {"title": "D", "custom_fields": {key: bad}})

        assert (taken[0], taken[1]["custom_fields"][key], refused[0]) == (200, good, 400)

    def test_options_are_numbers_of_the_fields_own(self, server: PipedriveServer, ask: Ask) -> None:
        channel, interests = server.key("person", "Channel"), server.key("person", "Interests")
        web, surgery = server.option("person", "Channel", "Web"), server.option("person", "Interests", "Surgery")

        right = ask("POST", "/api/v2/persons", {"name": "A", "custom_fields": {channel: web, interests: [surgery]}})
        by_label = ask("POST", "/api/v2/persons", {"name": "A", "custom_fields": {channel: "Web"}})
        of_another = ask("POST", "/api/v2/persons", {"name": "A", "custom_fields": {channel: surgery}})

        assert (right[1]["custom_fields"][channel], right[1]["custom_fields"][interests]) == (web, [surgery])
        assert (by_label[0], of_another[0]) == (400, 400)

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/api/v1/persons", 410),
            ("GET", "/v1/deals/5", 410),
            ("GET", "/api/v2/person", 404),
            ("GET", "/api/v2/persons/77", 404),
            ("PUT", "/api/v2/persons/77", 405),
            ("GET", "/api/v2/persons/ada", 400),
            ("GET", "/api/v2/persons?lmit=5", 400),
            ("GET", "/api/v2/persons?limit=501", 400),
            ("GET", "/api/v2/persons?cursor=page2", 400),
            ("GET", "/api/v2/persons?updated_since=2026-01-01", 400),
            ("GET", "/api/v2/persons/search?term=a", 400),
            ("GET", "/api/v2/persons/search?term=ada&fields=surname", 400),
            ("DELETE", "/api/v1/webhooks/77", 404),
        ],
    )
    def test_a_path_or_a_query_that_is_unknown_is_refused(self, ask: Ask, method: str, path: str, status: int) -> None:
        assert ask(method, path, {} if method == "PUT" else None)[0] == status

    def test_another_token_opens_nothing(self, server: PipedriveServer, ask: Ask) -> None:
        old = server.token
        server.token = "another-token"

        assert ask("GET", "/api/v1/users/me", token=old) == (401, "unauthorized access")
        assert ask("GET", "/api/v1/users/me")[1]["company_name"] == "Stand-in Ltd"

    def test_half_a_character_is_no_text(self, ask: Ask) -> None:
        assert ask("POST", "/api/v2/persons", {"name": "\ud83d"}) == (400, "Request body is not valid JSON")


class TestThings:
    def test_the_same_person_twice_is_two(self, ask: Ask) -> None:
        body = {"name": " Ada Lovelace ", "emails": [{"value": "ada@x.example"}]}

        first, second = ask("POST", "/api/v2/persons", body)[1], ask("POST", "/api/v2/persons", body)[1]

        assert (first["id"], second["id"]) == (1, 2)
        assert (first["name"], first["first_name"], first["last_name"]) == ("Ada Lovelace", "Ada", "Lovelace")
        assert first["emails"] == [{"value": "ada@x.example", "primary": True, "label": "other"}]

    def test_a_change_keeps_what_it_does_not_name(self, server: PipedriveServer, ask: Ask) -> None:
        server.people.create(name="Ada", email="ada@x.example", custom_fields={"Nickname": "Countess"})
        key = server.key("person", "Met on")

        changed = ask("PATCH", "/api/v2/persons/1", {"custom_fields": {key: "2026-01-01"}})[1]

        told = changed["custom_fields"]
        assert (told[server.key("person", "Nickname")], told[key]) == ("Countess", "2026-01-01")
        assert (told[server.key("person", "Budget")], changed["emails"][0]["value"]) == (None, "ada@x.example")

    def test_who_is_deleted_is_found_no_more(self, server: PipedriveServer, ask: Ask) -> None:
        server.people.create(name="Ada", email="ada@x.example")
        server.people.delete(1)

        assert ask("GET", "/api/v2/persons/1")[0] == 404
        assert ask("PATCH", "/api/v2/persons/1", {"name": "Eve"})[0] == 404
        assert ask("GET", "/api/v2/persons")[1] == []
        assert ask("GET", "/api/v2/persons/search?term=ada")[1] == {"items": []}

    def test_a_deal_begins_in_the_first_stage_and_the_stage_decides_the_pipeline(
        self, server: PipedriveServer, ask: Ask
    ) -> None:
        other = server.people.pipelines.create("Other", ["One", "Two"])
        two = server.people.stages.all(other["id"])[1]["id"]

        begun = ask("POST", "/api/v2/deals", {"title": "D"})[1]
        moved = ask("PATCH", "/api/v2/deals/1", {"stage_id": two})[1]
        torn = ask("PATCH", "/api/v2/deals/1", {"stage_id": 1, "pipeline_id": other["id"]})

        assert (begun["pipeline_id"], begun["stage_id"], begun["currency"]) == (1, 1, "EUR")
        assert (moved["pipeline_id"], moved["stage_id"], torn[0]) == (other["id"], two, 400)

    def test_a_deleted_deal_shows_in_the_list_of_those(self, server: PipedriveServer, ask: Ask) -> None:
        server.people.deals.create(title="Kept")
        server.people.deals.create(title="Gone", status="won")
        server.people.deals.delete(2)

        assert [deal["title"] for deal in ask("GET", "/api/v2/deals")[1]] == ["Kept"]
        assert [deal["title"] for deal in ask("GET", "/api/v2/deals?status=deleted")[1]] == ["Gone"]
        assert ask("GET", "/api/v2/deals/2")[1]["is_deleted"] is True

    def test_merged_persons_share_their_addresses_and_deals(self, server: PipedriveServer, ask: Ask) -> None:
        server.people.create(name="Ada", email="ada@x.example")
        server.people.create(name="A. Lovelace", email="lovelace@x.example", custom_fields={"Nickname": "Countess"})
        server.people.deals.create(title="D", person_id=2)

        merged = ask("PUT", "/api/v1/persons/2/merge", {"merge_with_id": 1})[1]

        kept = server.people.get(1)
        assert (merged["id"], merged["merge_what_id"]) == (1, 2)
        assert kept and [(each["value"], each["primary"]) for each in kept["emails"]] == [
            ("ada@x.example", True),
            ("lovelace@x.example", False),
        ]
        assert kept["custom_fields"][server.key("person", "Nickname")] == "Countess"
        assert (server.people.get(2), server.people.deals.all()[0]["person_id"]) == (None, 1)

    def test_a_field_that_is_deleted_is_no_longer_answered(self, server: PipedriveServer, ask: Ask) -> None:
        key = server.key("person", "Nickname")
        server.people.create(name="Ada", custom_fields={"Nickname": "Countess"})
        server.people.fields.delete("person", "Nickname")

        assert key not in ask("GET", "/api/v2/persons/1")[1]["custom_fields"]
        assert ask("PATCH", "/api/v2/persons/1", {"custom_fields": {key: "C"}})[0] == 400
