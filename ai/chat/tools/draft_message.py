"""A message to a lead, to be looked at and sent by a person; for members."""

from typing import Any, Literal

from ai.actions import acting
from ai.chat.runs import Run
from ai.chat.tools.offering import Arguments, LeadId, Offer, Text, Told

_LONGEST = 2_000  # characters of a purpose


class Wish(Arguments):
    lead_id: LeadId
    channel: Literal["email", "phone", "linkedin", "whatsapp", "sms", "social", "letter"] | None
    purpose: Text | None


def draft(wish: Wish, run: Run) -> Told:
    data: dict[str, Any] = {"lead_id": wish.lead_id}
    if wish.channel:
        data["channel"] = wish.channel
    if wish.purpose:
        data["messages"] = [{"role": "user", "content": wish.purpose[:_LONGEST]}]
    assert run.user  # offered to members alone
    reply = acting.act("generate_message", data, workspace=run.workspace, user=run.user)
    # made of a lead's fields: whatever stands in these may stand in it
    return Told({"is_sent": False}, {"message": reply.reply})


OFFER = Offer(
    "draft_message",
    "Draft a message to a lead. Nothing is sent: show the draft to the person you talk with. "
    "channel null means the lead's own; purpose says what the message is to achieve.",
    Wish,
    draft,
)
