"""Turns of a chat for the tests of its tools, without the chat around them."""

import re
from typing import Any

import orjson

from accounts.models import Membership, Workspace
from ai.chat import tools
from ai.chat.runs import Run
from ai.chat.visitors import Identity
from ai.models import ChatSession
from ai.openai_gateway import ToolCall


def run_of(member: Membership, *said: str, reads_untrusted: bool = False) -> Run:
    """A member's turn."""
    session = ChatSession.objects.create(workspace=member.workspace, user=member.user)
    return Run(session, member, None, "en", said, reads_untrusted)


def run_of_visitor(workspace: Workspace, *said: str, identity: Identity | None = None) -> Run:
    session = ChatSession.objects.create(workspace=workspace)
    return Run(session, None, identity, "en", said, reads_untrusted=True)


def use(run: Run, name: str, /, **arguments: Any) -> Any:
    """What the model is told when it wants a tool used; arguments that are not given are null."""
    wanted = {tool.name: dict.fromkeys(tool.parameters["properties"]) for tool in tools.offered(run)}
    return use_as_written(run, name, orjson.dumps(wanted.get(name, {}) | arguments).decode())


def use_as_written(run: Run, name: str, arguments: str) -> Any:
    return orjson.loads(tools.use(ToolCall("call_1", name, arguments), run))


def fenced(told: dict[str, Any], run: Run) -> dict[str, Any]:
    """The data in what a tool tells, by name; nothing may stand outside the run's fence."""
    found = re.findall(rf'<data-{run.fence} name="(\w+)">\n(.*?)\n</data-{run.fence}>', told["data"], re.DOTALL)
    assert (
        "\n\n".join(f'<data-{run.fence} name="{name}">\n{text}\n</data-{run.fence}>' for name, text in found)
        == told["data"]
    )
    return {name: orjson.loads(text) for name, text in found}
