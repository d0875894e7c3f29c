"""Having a deal made with a lead; for members."""

from ai.chat.runs import Run
from ai.chat.tools.offering import Arguments, LeadId, Offer, Text, Told
from ai.chat.tools.writing import write
from ai.models import Proposal


class NewDeal(Arguments):
    lead_id: LeadId
    title: Text
    value: float
    currency: Text
    reason: Text | None


def create(new: NewDeal, run: Run) -> Told:
    payload = new.model_dump(include={"title", "value", "currency"})
    return write(Proposal.Kind.CREATE_DEAL, payload, run, reason=new.reason, lead_id=new.lead_id)


OFFER = Offer(
    "create_deal",
    "Note a deal with a lead: the lead's status becomes PROPOSAL and it gets a task. lead_id comes from find_lead or from the person you "
    "talk with; value is an amount in currency, three letters such as EUR. reason says in one sentence why.",
    NewDeal,
    create,
)
