"""Chats as clients see them, for the tests of the chat."""

import re

import orjson
import pytest

STREAM = {"Accept": "text/event-stream"}


def say(client, message="Hello", headers=None, **body):
    return client.post("/api/chat", {"message": message, **body}, headers=headers)


def events(answer):
    """The stream's events, each as its name and its data."""
    assert answer["Content-Type"] == "text/event-stream", answer.content
    text = b"".join(answer.streaming_content).decode()
    return [
        (name, orjson.loads(data)) for name, data in re.findall(r"^event: (\w+)\ndata: (.*)\n\n", text, re.MULTILINE)
    ]


def blocks(body):
    """The fenced data of a question, by name."""
    contents = "\n".join(item["content"] for item in body["input"] if "content" in item)
    found = re.findall(r'<data-([0-9a-f]{16}) name="(\w+)">\n(.*?)\n</data-\1>', contents, re.DOTALL)
    return {name: orjson.loads(text) for _fence, name, text in found}


def spoken(body):
    """What was said, without the data."""
    return [(item["role"], item["content"]) for item in body["input"] if not item["content"].startswith("<data-")]


@pytest.fixture(name="workspace")
def fixture_workspace(member):
    return member.workspace


@pytest.fixture(name="session_id")
def fixture_session_id(anonymous, workspace):
    return anonymous.post("/api/session", {"workspace": workspace.public_key}).json()["session_id"]
