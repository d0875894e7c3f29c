"""Signed visitors: whom the website vouches for, and what that opens."""

import base64
import time

import jwt
import orjson
import pytest

from accounts.models import Role
from accounts.tests.factories import make_member
from ai.chat import visitors
from ai.models import ChatSession
from ai.tests.chats import blocks, say
from leads.models import Activity
from leads.tests.factories import make_lead

pytestmark = pytest.mark.django_db

ANNA = "anna@x.example"


def signed(workspace, key=None, algorithm="HS256", **claims):
    claims = {"sub": "customer-7", "email": ANNA, "name": "Anna Lee", "exp": int(time.time()) + 600} | claims
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, visitors.secret_of(workspace) if key is None else key, algorithm=algorithm)


@pytest.fixture
def workspace(member):
    return member.workspace


@pytest.fixture
def lead(workspace):
    found = make_lead(workspace, name="Anna Lee", email="Anna@X.example", city="Bremen", notes="pays late", score=3)
    Activity.objects.create(workspace=workspace, lead=found, type="note", text="difficult customer")
    return found


def test_a_signed_visitor_is_known(anonymous, workspace, lead, openai_server):
    answer = say(anonymous, identity=signed(workspace))

    session = ChatSession.objects.get()
    told = blocks(openai_server.requests[0])["lead"]
    assert answer.status_code == 200
    assert (session.visitor_id, session.lead, session.reads_untrusted) == ("customer-7", lead, True)
    assert (told["name"], told["email"], told["city"]) == ("Anna Lee", "Anna@X.example", "Bremen")


def test_what_the_team_thinks_of_a_visitor_is_not_told(anonymous, api, workspace, lead, openai_server):
    say(api, "Is she worth it?", lead_id=lead.pk)

    say(anonymous, identity=signed(workspace))

    body = str(openai_server.requests[-1])
    assert ("pays late" in body, "difficult customer" in body, "worth it" in body) == (False, False, False)


def test_a_signed_visitors_earlier_chats_go_along(anonymous, workspace, lead, openai_server):
    openai_server.reply("Noted.")
    say(anonymous, "I like rye bread.", identity=signed(workspace))
    say(anonymous, "I am somebody else.", identity=signed(workspace, sub="customer-8"))

    say(anonymous, "What do I like?", identity=signed(workspace))

    (earlier,) = blocks(openai_server.requests[-1])["earlier_chats"]
    assert [message["content"] for message in earlier["messages"]] == ["I like rye bread.", "Noted."]


def test_a_signed_visitor_who_is_no_lead_is_known_by_what_is_signed(anonymous, workspace, openai_server):
    say(anonymous, identity=signed(workspace, phone=None))

    assert blocks(openai_server.requests[0])["lead"] == {"name": "Anna Lee", "email": ANNA}


def test_nothing_of_a_lead_is_told_where_nobody_has_signed(anonymous, workspace, lead, openai_server):
    first = say(anonymous, identity=signed(workspace)).json()

    say(anonymous, "What is my city?", session_id=first["session_id"])
    say(anonymous, f"I am {ANNA}, what is my city?", contact={"email": ANNA})

    assert ["Bremen" in str(body) for body in openai_server.requests] == [True, False, False]


def test_a_chat_begun_by_nobody_becomes_the_signed_visitors(anonymous, workspace, lead, openai_server):
    session_id = say(anonymous).json()["session_id"]

    say(anonymous, session_id=session_id, identity=signed(workspace))

    assert ChatSession.objects.values_list("visitor_id", "lead_id").get() == ("customer-7", lead.pk)


def test_a_signed_visitors_chat_is_not_another_signed_visitors(anonymous, workspace, openai_server):
    session_id = say(anonymous, identity=signed(workspace)).json()["session_id"]

    answer = say(anonymous, session_id=session_id, identity=signed(workspace, sub="customer-8"))

    assert answer.status_code == 404


def test_a_session_may_begin_with_an_identity(anonymous, workspace, lead):
    answer = anonymous.post("/api/session", {"identity": signed(workspace)})

    session = ChatSession.objects.get()
    assert (answer.status_code, session.visitor_id, session.lead) == (201, "customer-7", lead)


def test_an_expired_identity_is_refused_by_its_name(anonymous, workspace, openai_server):
    answer = say(anonymous, identity=signed(workspace, exp=int(time.time()) - 120))

    assert (answer.status_code, answer.json()["error"]) == (400, "identity_expired")


def broken(workspace, stranger):
    header, claims, signature = signed(workspace).split(".")
    other = base64.urlsafe_b64encode(orjson.dumps({"sub": "customer-8", "exp": 2**40})).decode().rstrip("=")
    nested = base64.urlsafe_b64encode(b"[" * 2_000).decode().rstrip("=")
    now = int(time.time())
    return {
        "no token": "nonsense",
        "three empty parts": "..",
        "other claims": f"{header}.{other}.{signature}",
        "a nested header": f"{nested}.{claims}.{signature}",
        "no signature": f"{header}.{claims}.",
        "another workspace's": signed(stranger.workspace),
        "the public key": signed(workspace, key=workspace.public_key.ljust(32, "x")),
        "alg none": jwt.encode({"sub": "customer-7", "exp": now + 600}, None, algorithm="none"),
        "another algorithm": signed(workspace, algorithm="HS512"),
        "too long": signed(workspace, exp=now + 2 * 24 * 3600),
        "endless": signed(workspace, exp=2**70),
        "infinite": signed(workspace, exp=float("inf")),
        "no end": signed(workspace, exp=None),
        "an end in words": signed(workspace, exp="tomorrow"),
        "no name": signed(workspace, sub=None),
        "a blank name": signed(workspace, sub=" "),
        "a number for a name": signed(workspace, sub=7),
        "a name without end": signed(workspace, sub="x" * 201),
        "NUL": signed(workspace, name="a\x00"),
        "half a letter": signed(workspace, name="\ud800"),
        "a list for an address": signed(workspace, email=[ANNA]),
        "no address": signed(workspace, email="anna"),
    }


KINDS = [
    "no token", "three empty parts", "other claims", "a nested header", "no signature", "another workspace's", "the public key",
    "alg none", "another algorithm", "too long", "endless", "infinite", "no end", "an end in words", "no name", "a blank name",
    "a number for a name", "a name without end", "NUL", "half a letter", "a list for an address", "no address",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_identity_that_is_not_signed_as_it_has_to_be_is_refused(anonymous, workspace, stranger, openai_server, kind):
    answer = say(anonymous, workspace=workspace.public_key, identity=broken(workspace, stranger)[kind])

    assert (answer.status_code, answer.json()["error"]) == (400, "identity_invalid")
    assert (openai_server.requests, ChatSession.objects.count()) == ([], 0)


def test_managers_get_what_their_website_needs(client_of, member, workspace):
    manager = client_of(make_member(Role.MANAGER, workspace))

    settings = manager.get("/api/v1/chat/settings").json()

    token = jwt.encode({"sub": "7", "exp": int(time.time()) + 60}, settings["secret"], algorithm=settings["algorithm"])
    assert settings["public_key"] == workspace.public_key
    assert visitors.read(token, workspace).id == "7"
    assert settings["secret"] in settings["snippet"]


def test_nobody_else_gets_the_secret(client_of, anonymous, workspace):
    agent = client_of(make_member(Role.AGENT, workspace))

    answers = [client.get("/api/v1/chat/settings").status_code for client in (agent, anonymous)]

    assert answers == [403, 401]


def test_each_workspace_has_a_secret_of_its_own(workspace, stranger):
    assert visitors.secret_of(workspace) == visitors.secret_of(workspace)
    assert visitors.secret_of(workspace) != visitors.secret_of(stranger.workspace)
