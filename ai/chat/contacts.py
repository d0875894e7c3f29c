"""The contact details that visitors give of themselves, on purpose: they become a lead at once, without anybody's agreement."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from ai import new_leads
from ai.chat.runs import Run
from ai.models import ChatSession
from leads import activities, addresses, editing
from leads.history import Author
from leads.models import Activity
from leads.values import normalized_phone
from zevix.errors import NotFound

FIELDS = ("name", "email", "phone", "company")
_REACHED_BY = ("email", "phone")
_BY = Author("api")  # the visitor themselves, by the website
_PHONE = re.compile(r"\+?\(?[0-9][0-9 \u00a0()./-]+[0-9]")


@transaction.atomic
def take(session: ChatSession, contact: Mapping[str, Any]) -> None:
    """Make a lead of a visitor's contact details, once in a chat.

    Where a lead has the e-mail address already, nothing of it is changed: the chat becomes one with it, and a note says so.
    The visitor must not be told which it was. Raises ValidationFailed, and NotFound for a chat that is no more.
    """
    fields = checked(contact)
    kept = ChatSession.objects.select_for_update().filter(pk=session.pk).first()
    if kept is None:
        raise NotFound
    if kept.lead_id is None:
        kept.lead_id = _lead(fields, kept)
        kept.save(update_fields=["lead"])
    session.lead_id = kept.lead_id


def checked(contact: Mapping[str, Any]) -> dict[str, str]:
    """What is kept of contact details; blank ones are left out. Raises ValidationFailed, also where nobody can be reached by them."""
    return new_leads.checked(contact, FIELDS, needed=_REACHED_BY)


def were_given(contact: Mapping[str, str], run: Run) -> bool:
    """Whether a visitor said all of the checked details themselves, in this chat or by their website's signature."""
    said = [_plain(text) for text in run.said]
    numbers = {normalized_phone(number) for text in run.said for number in _PHONE.findall(text)}
    return all(
        _is_signed(name, value, run)
        or (normalized_phone(value) in numbers if name == "phone" else _stands(value, said))
        for name, value in contact.items()
    )


def _lead(fields: Mapping[str, str], session: ChatSession) -> int:
    workspace = session.workspace
    lead_id = addresses.hold(fields.get("email", ""), workspace)
    if lead_id is None:
        lead_id = editing.create({**fields, "source": new_leads.SOURCE}, workspace=workspace, by=_BY)
    # not by its whole id: whoever has that can read the chat
    note = {"type": Activity.Type.NOTE.value, "text": f"Chat {str(session.pk)[:8]}: {', '.join(fields.values())}"}
    activities.add(lead_id, note, workspace=workspace, by=_BY)
    return lead_id


def _is_signed(name: str, value: str, run: Run) -> bool:
    signed = getattr(run.identity, name, "")
    if name == "phone":
        return bool(signed) and normalized_phone(signed) == normalized_phone(value)
    return bool(signed) and _plain(signed) == _plain(value)


def _stands(value: str, said: Sequence[str]) -> bool:
    """Whether a value stands in what was said as it is, and not as a part of something longer."""
    whole = re.compile(rf"(?<![\w.+@-]){re.escape(_plain(value))}(?![\w@-])(?![.+]\w)")
    return any(whole.search(text) for text in said)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
