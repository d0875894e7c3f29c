"""Asking Pipedrive: what comes back, what goes wrong on the way, and whether it may have been done."""

import gzip
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.errors import BudgetSpent, TokenRefused
from crm.models import Connection, TokenMeter
from crm.pipedrive.client import Pipedrive
from crm.pipedrive.limits import Gate, Lane
from zevix.errors import NotConfigured, Rejected, Unanswered, Unreachable

pytestmark = pytest.mark.django_db

ADA = {"name": "Ada Lovelace", "emails": [{"value": "Ada@Engines.example", "primary": True, "label": "work"}]}


@pytest.fixture
def account(member):
    found = Connection.objects.create(workspace=member.workspace)
    TokenMeter.objects.create(
        connection=found, workspace=member.workspace, burst_limit=1000, search_limit=1000, daily_limit=100_000
    )
    return found


@pytest.fixture
def ask(account, pipedrive_server):
    """Makes clients of the stand-in, or of another address."""

    def client(url=None, *, token=None, lane=Lane.INTERACTIVE, patience=None):
        gate = Gate(account.pk, account.workspace_id, lane, None)
        return Pipedrive(url or pipedrive_server.url, token or pipedrive_server.token, gate, patience=patience)

    return client


@pytest.fixture
def pipedrive(ask):
    return ask()


def asked(server):
    return [(method, path) for method, path, _ in server.requests]


# What comes back ------------------------------------------------------------------------------------------------------------


def test_the_account_and_its_furniture_are_read(pipedrive, pipedrive_server):
    me = pipedrive.me()

    assert (me["id"], me["email"]) == (1, "ada@standin.example")
    assert [user["email"] for user in pipedrive.users()] == ["ada@standin.example", "ben@standin.example"]
    assert len(pipedrive.pipelines()) == 1
    assert len(pipedrive.stages()) == 5
    assert pipedrive_server.key("person", "Nickname") in [field["field_code"] for field in pipedrive.fields("person")]


@pytest.mark.parametrize("entity", ["person", "organization", "deal"])
def test_what_is_made_can_be_read_changed_and_found_gone(pipedrive, pipedrive_server, entity):
    create, read, update = (getattr(pipedrive, name) for name in (f"create_{entity}", entity, f"update_{entity}"))
    name = "title" if entity == "deal" else "name"

    made = create({name: "One"})
    changed = update(made["id"], {name: "Two"})

    assert (made[name], changed[name], read(made["id"])[name]) == ("One", "Two", "Two")
    getattr(pipedrive_server.people, f"{entity}s").delete(made["id"])
    assert read(made["id"]) is None
    assert update(made["id"], {name: "Three"}) is None
    assert read(123_456) is None


def test_persons_are_found_by_an_address_that_is_theirs(pipedrive, pipedrive_server):
    ada = pipedrive_server.people.persons.create(**ADA)
    pipedrive_server.people.persons.create(name="Ada's sister", emails=[{"value": "not-ada@engines.example"}])

    assert pipedrive.persons_with_email(" ada@engines.EXAMPLE ") == [ada["id"]]
    assert pipedrive.persons_with_email("nobody@engines.example") == []
    assert pipedrive.persons_with_email("") == []


def test_organizations_are_found_by_their_name_whatever_its_capitals(pipedrive, pipedrive_server):
    works = pipedrive_server.people.organizations.create(name="Engine Works")
    pipedrive_server.people.organizations.create(name="Engine Works East")

    assert pipedrive.organizations_named("engine works") == [works["id"]]


def test_a_list_goes_through_all_its_pages(pipedrive, pipedrive_server):
    made = [pipedrive_server.people.persons.create(name=f"Person {number}")["id"] for number in range(501)]
    pipedrive_server.requests.clear()

    assert [person["id"] for person in pipedrive.listed("person")] == made
    assert asked(pipedrive_server) == [("GET", "/api/v2/persons")] * 2


def test_a_list_by_ids_asks_for_a_hundred_at_once(pipedrive, pipedrive_server):
    made = [pipedrive_server.people.persons.create(name=f"Person {number}")["id"] for number in range(120)]
    pipedrive_server.requests.clear()

    assert [person["id"] for person in pipedrive.listed("person", ids=[*made[::-1], 99_999])] == [
        *made[20:],
        *made[:20],
    ]
    assert asked(pipedrive_server) == [("GET", "/api/v2/persons")] * 2
    assert list(pipedrive.listed("person", ids=[])) == []


def test_a_list_tells_what_changed_since(pipedrive, pipedrive_server):
    person = pipedrive_server.people.persons.create(name="One")
    now = timezone.now()

    assert [row["id"] for row in pipedrive.listed("person", updated_since=now - timedelta(hours=1))] == [person["id"]]
    assert list(pipedrive.listed("person", updated_since=now + timedelta(hours=1))) == []


def test_a_persons_deals_are_listed_and_the_deleted_ones_apart(pipedrive, pipedrive_server):
    people = pipedrive_server.people
    ada = people.persons.create(**ADA)["id"]
    first, second = (people.deals.create(title=title, person_id=ada)["id"] for title in ("One", "Two"))
    people.deals.create(title="Somebody else's")
    people.deals.delete(second)

    assert [deal["id"] for deal in pipedrive.listed("deal", person_id=ada)] == [first]
    assert [deal["id"] for deal in pipedrive.listed("deal", person_id=ada, status="deleted")] == [second]


def test_a_webhook_is_made_listed_and_deleted_even_twice(pipedrive):
    made = pipedrive.create_webhook("https://zevix.example/hook", user="zevix", password="s3cret", name="Zevix")

    assert [hook["id"] for hook in pipedrive.webhooks()] == [made["id"]]
    pipedrive.delete_webhook(made["id"])
    pipedrive.delete_webhook(made["id"])
    assert pipedrive.webhooks() == []


def test_notes_are_written_and_read_page_by_page(pipedrive, pipedrive_server):
    deal = pipedrive_server.people.deals.create(title="One")["id"]
    other = pipedrive_server.people.deals.create(title="Two")["id"]
    for number in range(101):
        pipedrive.create_note(f"Note {number}", deal_id=deal)
    pipedrive.create_note("Another", deal_id=other)

    assert [note["content"] for note in pipedrive.notes(deal_id=deal)] == [f"Note {number}" for number in range(101)]


def test_leads_are_written_and_read(pipedrive, pipedrive_server):
    ada = pipedrive_server.people.persons.create(**ADA)["id"]

    lead = pipedrive.create_lead({"title": "One", "person_id": ada})

    assert pipedrive.update_lead(lead["id"], {"title": "Two"})["title"] == "Two"
    assert pipedrive.lead(lead["id"])["title"] == "Two"
    assert [row["id"] for row in pipedrive.leads(person_id=ada)] == [lead["id"]]
    assert pipedrive.lead("00000000-0000-4000-8000-000000000000") is None


def test_each_request_is_paid_for_as_pipedrive_counts(pipedrive, pipedrive_server):
    deal = pipedrive.create_deal({"title": "One"})
    pipedrive.update_deal(deal["id"], {"title": "Two"})
    pipedrive.deal(deal["id"])
    pipedrive.me()
    pipedrive.users()
    pipedrive.fields("deal")
    pipedrive.stages()
    pipedrive.persons_with_email("ada@engines.example")
    list(pipedrive.listed("deal"))
    hook = pipedrive.create_webhook("https://zevix.example/hook", user="zevix", password="s3cret", name="Zevix")
    pipedrive.webhooks()
    pipedrive.delete_webhook(hook["id"])
    pipedrive.create_note("Note", deal_id=deal["id"])
    list(pipedrive.notes(deal_id=deal["id"]))

    assert TokenMeter.objects.get().spent == pipedrive_server.tokens_spent


# What goes wrong ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", ["timeout_before", "cut_before", "500", "503", "503_html", "garbage", "no_json", "wrong_form"]
)
def test_a_question_that_failed_is_asked_again(pipedrive, pipedrive_server, how):
    pipedrive_server.fail(how=how, on="GET /api/v1/users/me", times=2)

    assert pipedrive.me()["id"] == 1


@pytest.mark.parametrize(
    "how", ["timeout_before", "cut_before", "500", "503", "503_html", "garbage", "no_json", "wrong_form"]
)
def test_a_question_that_fails_three_times_is_for_later(pipedrive, pipedrive_server, how):
    pipedrive_server.fail(how=how, on="GET /api/v1/users/me", times=3)

    with pytest.raises(Unreachable) as failed:
        pipedrive.me()

    assert type(failed.value) is Unreachable
    assert len(pipedrive_server.requests) == 3


@pytest.mark.parametrize(
    "how",
    [
        "timeout_after", "timeout_before", "cut", "cut_before", "500", "500_after", "504_after", "503", "503_html", "garbage",
        "no_json", "wrong_form",
    ],
)  # fmt: skip
def test_a_change_that_may_have_been_made_is_asked_for_once(pipedrive, pipedrive_server, how):
    pipedrive_server.fail(how=how, on="POST /api/v2/persons")

    with pytest.raises(Unanswered):
        pipedrive.create_person(ADA)

    assert len(pipedrive_server.requests) == 1


@pytest.mark.parametrize("how", ["429", "429_bare"])
def test_a_change_that_came_too_early_is_asked_for_again_in_time(pipedrive, pipedrive_server, how):
    pipedrive_server.fail(how=how, on="POST /api/v2/persons")
    began = time.monotonic()

    made = pipedrive.create_person(ADA)

    assert [person["id"] for person in pipedrive_server.people.persons.all()] == [made["id"]]
    assert time.monotonic() - began >= 1


def test_without_a_connection_nothing_can_have_been_done(pipedrive, pipedrive_server):
    pipedrive_server.down()

    try:
        with pytest.raises(Unreachable) as failed:
            pipedrive.create_person(ADA)
    finally:
        pipedrive_server.up()

    assert type(failed.value) is Unreachable


def test_hammered_on_it_is_left_alone_by_all(pipedrive, ask, pipedrive_server):
    pipedrive_server.fail(how="403_html")

    with pytest.raises(Unreachable):
        pipedrive.me()
    with pytest.raises(Unreachable):
        ask().me()

    assert len(pipedrive_server.requests) == 1


def test_without_tokens_for_today_nothing_more_is_asked(pipedrive, pipedrive_server):
    pipedrive_server.limits.daily = 0

    with pytest.raises(BudgetSpent):
        pipedrive.me()

    assert len(pipedrive_server.requests) == 1


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("401", "token", "the API token is not valid"),
        ("402", "account_closed", "the account is closed or not paid for"),
    ],
)
def test_an_account_that_can_not_be_used_says_why(pipedrive, pipedrive_server, how, kind, reason):
    pipedrive_server.fail(how=how)

    with pytest.raises(TokenRefused) as refused:
        pipedrive.me()

    assert (refused.value.details["kind"], refused.value.details["reason"]) == (kind, reason)


@pytest.mark.parametrize("token", ["wrong", "schlüssel", "a\r\nhost: b", " ", "\0", "\ud800"])
def test_a_token_that_can_be_none_is_refused(ask, token):
    with pytest.raises(TokenRefused):
        ask(token=token).me()


@pytest.mark.parametrize(("how", "kind"), [("403", "forbidden"), ("feature_capping", "feature_capping")])
def test_what_may_not_be_done_is_said_in_pipedrives_words(pipedrive, pipedrive_server, how, kind):
    pipedrive_server.fail(how=how)

    with pytest.raises(Rejected) as refused:
        pipedrive.create_deal({"title": "One"})

    assert type(refused.value) is Rejected
    assert refused.value.details["kind"] == kind
    assert refused.value.details["reason"] in (
        "You do not have permissions to do this",
        "You have reached the limit of your plan",
    )


def test_what_pipedrive_does_not_take_is_refused_for_good(pipedrive, pipedrive_server):
    with pytest.raises(Rejected) as refused:
        pipedrive.create_deal({"title": "One", "stage_id": "10"})

    assert refused.value.details["kind"] == "bad_request"
    assert len(pipedrive_server.requests) == 1


@pytest.mark.parametrize("value", ["\ud800", 2**70, float, object()])
def test_what_can_not_be_written_as_json_is_not_sent(pipedrive, pipedrive_server, value):
    with pytest.raises(Rejected) as refused:
        pipedrive.create_deal({"title": value})

    assert refused.value.details["kind"] == "bad_request"
    assert pipedrive_server.requests == []


def test_half_a_character_is_not_searched_for(pipedrive, pipedrive_server):
    with pytest.raises(Rejected):
        pipedrive.persons_with_email("\ud800")

    assert pipedrive_server.requests == []


# In time --------------------------------------------------------------------------------------------------------------------


def test_an_answer_that_takes_too_long_is_not_waited_for(ask, pipedrive_server, settings):
    settings.PIPEDRIVE_TIMEOUT = 0.4
    pipedrive_server.slow(5)
    began = time.monotonic()

    with pytest.raises(Unanswered):
        ask().create_person(ADA)

    assert time.monotonic() - began < 1


def test_with_little_patience_an_answer_may_take_what_is_left_of_it(ask, pipedrive_server):
    pipedrive_server.slow(5)
    began = time.monotonic()

    with pytest.raises(Unreachable):
        ask(patience=0.6).me()

    assert time.monotonic() - began < 1


def test_what_can_not_end_in_time_is_not_begun(ask, pipedrive_server):
    with pytest.raises(Unreachable) as failed:
        ask(patience=0.1).create_person(ADA)

    assert type(failed.value) is Unreachable
    assert ("POST", "/api/v2/persons") not in asked(pipedrive_server)


def test_a_deadline_that_comes_later_changes_nothing(ask, pipedrive_server):
    pipedrive = ask(patience=0.1).until(time.monotonic() + 60)

    with pytest.raises(Unreachable):
        pipedrive.me()


# Answers of no Pipedrive ----------------------------------------------------------------------------------------------------


@contextmanager
def answering(*answers, pause=0.0):
    """The address of a server that gives these bytes for one request each, and how many asked."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        for answer in answers:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            with caller:
                asked.append(caller.recv(65_536))
                try:
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        caller.sendall(piece)
                        time.sleep(pause)
                except OSError:  # the caller has had enough
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    finally:
        listening.close()
        thread.join(5)


def http(body, *, status="200 OK", length=None, **headers):
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_an_answer_that_is_far_too_large_is_not_held(ask):
    huge = http(b'{"data": "' + b"x" * 11_000_000 + b'"}')

    with answering(huge) as (url, asked), pytest.raises(Rejected) as refused:
        ask(url).me()

    assert refused.value.details["kind"] == "too_large"
    assert len(asked) == 1


def test_a_small_answer_that_unpacks_to_a_large_one_is_not_held(ask):
    bomb = http(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")

    with answering(bomb) as (url, _), pytest.raises(Rejected):
        ask(url).me()


def test_a_change_answered_far_too_largely_may_have_been_made(ask):
    huge = http(b" " * 11_000_000)

    with answering(huge) as (url, _), pytest.raises(Unanswered):
        ask(url).create_person(ADA)


def test_a_list_whose_pages_are_too_large_is_asked_for_by_smaller_ones(ask):
    huge = http(b" " * 11_000_000)
    small = http(b'{"success": true, "data": [{"id": 1}]}')

    with answering(huge, small) as (url, asked):
        assert list(ask(url).listed("person")) == [{"id": 1}]

    assert [b"limit=500" in asked[0], b"limit=100" in asked[1]] == [True, True]


def test_a_list_without_an_end_is_broken_off(ask):
    again = http(b'{"data": [{"id": 1}], "additional_data": {"next_cursor": "same"}}')

    with answering(*[again] * 4) as (url, _), pytest.raises(Unreachable):
        list(ask(url).listed("person"))


def test_an_answer_that_drips_is_broken_off(ask, settings):
    settings.PIPEDRIVE_TIMEOUT = 0.5
    dripping = [http(b"", length=1000), *[b"x"] * 100]
    began = time.monotonic()

    with answering(dripping, pause=0.1) as (url, _), pytest.raises(Unanswered):
        ask(url).create_person(ADA)

    assert time.monotonic() - began < 5


def test_what_is_left_of_the_time_is_for_the_rest_of_the_answer(ask, settings):
    settings.PIPEDRIVE_TIMEOUT = 1.0
    # it begins after 0.8 seconds, and never ends
    stalling = [b"", b"", http(b"x" * 10, length=1000), b"", b""]
    began = time.monotonic()

    with answering(stalling, pause=0.4) as (url, _):
        with pytest.raises(Unanswered):
            ask(url).create_person(ADA)
        took = time.monotonic() - began

    assert took < 1.5


def test_redirects_are_not_followed(ask, pipedrive_server):
    elsewhere = http(b"", status="302 Found", Location=f"{pipedrive_server.url}/api/v1/users/me")

    with answering(elsewhere) as (url, _), pytest.raises(Rejected) as refused:
        ask(url).me()

    assert refused.value.details["kind"] == "redirect"
    assert pipedrive_server.requests == []


def test_somebody_elses_not_found_deletes_nothing(ask):
    lost = http(b"<html>404</html>", status="404 Not Found", Content_Type="text/html")

    with answering(lost, lost, lost) as (url, _), pytest.raises(Unreachable):
        ask(url).person(1)


@pytest.mark.parametrize(
    "body",
    [
        b"null", b"[]", b'"text"', b"{}", b'{"data": null}', b'{"data": []}', b'{"data": {}}', b'{"data": {"id": null}}',
        b'{"data": {"id": "1"}}', b'{"data": {"id": true}}', b'{"data": {"id": 0}}', b'{"data": {"id": -1}}',
        b'{"data": {"id": 1.5}}', b'{"data": {"id": 18446744073709551616}}', b'{"data": {"id": 9223372036854775808}}',
        b'{"data": {"id": NaN}}', b'{"data": {"id": 1, "name": "\\ud800"}}', b"\xff", b"[" * 5000, b"",
        b'{"a": "\\u0000", "data": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    ],
)  # fmt: skip
def test_an_answer_of_another_form_leaves_it_open_whether_it_was_done(ask, body):
    with answering(http(body)) as (url, _), pytest.raises(Unanswered):
        ask(url).create_person(ADA)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {}}', b'{"data": [1]}', b'{"data": [null]}', b'{"data": [{}]}', b'{"data": {"items": 5}}', b'{"data": "text"}',
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "list_them", [lambda it: it.users(), lambda it: list(it.listed("deal")), lambda it: it.fields("deal")]
)
def test_a_list_of_another_form_is_for_later(ask, body, list_them):
    with answering(*[http(body)] * 3) as (url, _), pytest.raises(Unreachable):
        list_them(ask(url))


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"items": 5}}', b'{"data": {"items": [5]}}', b'{"data": {"items": [{}]}}',
        b'{"data": {"items": [{"item": {"id": "1"}}]}}',
    ],
)  # fmt: skip
def test_a_search_of_another_form_is_for_later(ask, body):
    with answering(*[http(body)] * 3) as (url, _), pytest.raises(Unreachable):
        ask(url).persons_with_email("ada@engines.example")


def test_characters_that_no_database_holds_are_taken_out(ask):
    with answering(http(b'{"data": {"id": 1, "name": "A\\u0000da", "x\\u0000": ["\\u0000"]}}')) as (url, _):
        assert ask(url).person(1) == {"id": 1, "name": "Ada", "x": [""]}


@pytest.mark.parametrize("name", ["error", "error_info", "message"])
def test_why_it_refuses_is_told_briefly_and_without_secrets(ask, name):
    said = f'{{"{name}": "No \\u0000 token abc123 and s3cret\\n{"x" * 500}"}}'.encode()

    with answering(http(said, status="400 Bad Request")) as (url, _), pytest.raises(Rejected) as refused:
        ask(url, token="abc123").create_webhook(
            "https://zevix.example/hook", user="zevix", password="s3cret", name="Zevix"
        )

    reason = refused.value.details["reason"]
    assert reason.startswith("No   token … and … xxx")
    assert len(reason) == 300


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b'{"error": 5}', b'{"error": {"a": 1}}', b"\xff"])
def test_a_refusal_without_words_names_its_number(ask, body):
    with answering(http(body, status="418 Teapot")) as (url, _), pytest.raises(Rejected) as refused:
        ask(url).me()

    assert refused.value.details["reason"] == "HTTP 418"


@pytest.mark.parametrize(
    "url",
    [
        "http://pipedrive.example",
        "ftp://127.0.0.1",
        "pipedrive.example",
        "",
        "https://",
        "http://10.0.0.1",
        "http://[::1",
    ],
)
def test_a_token_does_not_travel_in_the_open(ask, account, url):
    gate = Gate(account.pk, account.workspace_id, Lane.INTERACTIVE, None)

    with pytest.raises(NotConfigured):
        Pipedrive(url, "abc123", gate)


@pytest.mark.parametrize("url", ["https://a.example:99999999", "https://a.example:port", "https://ä..example"])
def test_an_address_that_is_none_is_a_matter_of_the_settings(ask, url):
    with pytest.raises((NotConfigured, Unreachable)):
        ask(url).me()


def test_one_accounts_cookies_are_not_sent_with_anothers(ask, pipedrive_server):
    first = http(b'{"data": {"id": 1}}', Set_Cookie="session=mine; Path=/")
    second = http(b'{"data": {"id": 1}}')

    with answering(first, second) as (url, asked):
        ask(url).me()
        ask(url, token="another").me()

    assert [b"cookie" in request.lower() for request in asked] == [False, False]
