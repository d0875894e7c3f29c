"""Adding a lead: for a member any, for a visitor themselves."""

from collections.abc import Mapping
from typing import Any

from ai.chat import contacts
from ai.chat.runs import Run
from ai.chat.tools.offering import Arguments, Offer, Text, Told
from ai.chat.tools.writing import write
from ai.models import Proposal


class Contact(Arguments):
    name: Text | None
    email: Text | None
    phone: Text | None
    company: Text | None


class NewLead(Contact):
    website: Text | None
    address: Text | None
    city: Text | None
    state: Text | None
    zip_code: Text | None
    country: Text | None
    notes: Text | None
    reason: Text | None


def create(new: NewLead, run: Run) -> Told:
    return write(Proposal.Kind.CREATE_LEAD, new.model_dump(exclude={"reason"}), run, reason=new.reason)


def take(contact: Contact, run: Run) -> Told:
    """The visitor's own details at once; what they did not say themselves is proposed."""
    fields = contacts.checked(contact.model_dump())
    kept: Mapping[str, Any] = {}
    if contacts.were_given(fields, run):
        contacts.take(run.session, fields)
    else:
        kept = write(Proposal.Kind.CREATE_LEAD, fields, run, reason=None).said
    # the same either way, so that nobody learns from it who is known here
    return Told({"note": "The details went to the team; a person will look at them and get in touch."}, kept=kept)


FOR_MEMBERS = Offer(
    "create_lead",
    "Add a lead to the workspace, with what the person you talk with says of it. Nothing else: what is not known is null. "
    "reason says in one sentence why.",
    NewLead,
    create,
)
FOR_VISITORS = Offer(
    "create_lead",
    "Hand over the visitor's own contact details to the team, when they give them to be contacted: exactly as the visitor wrote them, "
    "with an e-mail address or a phone number at least; what they did not say is null.",
    Contact,
    take,
)
