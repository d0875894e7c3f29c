"""What the AI can use in a chat. A tool never reaches beyond the workspace, nor beyond what the speaker may do by the API."""

from typing import Any

import orjson
from django.utils import translation
from pydantic import ValidationError

from ai import fences
from ai.chat.runs import Run
from ai.chat.tools import create_deal, create_lead, draft_message, find_lead, search_knowledge
from ai.chat.tools.offering import Arguments, Offer, Told
from ai.openai_gateway import Tool, ToolCall
from zevix.errors import Refusal

_FOR_VISITORS = (search_knowledge.OFFER, create_lead.FOR_VISITORS)
_FOR_MEMBERS = (
    search_knowledge.OFFER, find_lead.OFFER, draft_message.OFFER, create_lead.FOR_MEMBERS, create_deal.OFFER,
)  # fmt: skip
_KEPT = 500  # characters of arguments that could not be read


def offered(run: Run) -> list[Tool]:
    """The tools for whoever speaks."""
    return [offer.tool for offer in _offers(run)]


def use(call: ToolCall, run: Run) -> str:
    """Do what the model wants, as far as the speaker may; returns the text that it gets for it, JSON with others' words in the run's fence.

    What the model got wrong, and what we refuse, is told in it as ``error``. The run keeps what was used, and whether strangers' words were read.
    """
    with translation.override(run.language):
        arguments, told = _done(call, run)
    data = fences.around(told.data, run.fence)
    run.reads_untrusted = run.reads_untrusted or bool(data)
    run.used.append({"name": call.name, "arguments": arguments, "result": {**told.said, **told.kept}})
    return orjson.dumps({**told.said, **({"data": data} if data else {})}).decode()


def _done(call: ToolCall, run: Run) -> tuple[Any, Told]:
    """The arguments as far as they could be read, and what came of it."""
    arguments: Any = call.arguments[:_KEPT]
    try:
        offer = _find(call.name, run)
        read = _read(offer, call.arguments)
        arguments = read.model_dump(mode="json", exclude_none=True)
        return arguments, offer.act(read, run)
    except _Unusable as error:
        return arguments, Told({"error": str(error)})
    except Refusal as refusal:
        return arguments, Told(_as_error(refusal))


class _Unusable(Exception):
    """The model asked for something that there is not, or in a form that is none."""


def _offers(run: Run) -> tuple[Offer, ...]:
    return _FOR_MEMBERS if run.member else _FOR_VISITORS


def _find(name: str, run: Run) -> Offer:
    for offer in _offers(run):
        if offer.name == name:
            return offer
    names = ", ".join(offer.name for offer in _offers(run))
    raise _Unusable(f"There is no such tool. There are: {names}.")


def _read(offer: Offer, arguments: str) -> Arguments:
    try:
        return offer.arguments.model_validate_json(arguments)
    except ValidationError as error:
        # without what was sent: it may be anybody's words
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        told = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5]]
        raise _Unusable("The arguments are not of the tool's form. " + "; ".join(told)) from None


def _as_error(refusal: Refusal) -> dict[str, Any]:
    fields = {name: [str(sentence) for sentence in said] for name, said in (refusal.fields or {}).items()}
    return {"error": str(refusal)} | ({"fields": fields} if fields else {})
