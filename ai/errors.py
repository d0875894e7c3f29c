"""How AI refuses."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from ai.prices import Tokens
from zevix.errors import Conflict, Forbidden, Refusal, Rejected, UpstreamError


class BudgetExceeded(Refusal):
    code, status = "ai_budget_exceeded", 403
    message = _("This month's AI budget of {budget} US dollars is used up, or would be by this.")


class Worked(UpstreamError):
    """The AI did something, and it came to nothing; ``tokens`` is what that took, None where it did not say."""

    def __init__(self, *, tokens: Tokens | None = None, **details: Any) -> None:
        super().__init__(**details)
        self.tokens = tokens


class Unfinished(Worked):
    """It began, and did not come to an end."""

    message = _("{vendor} broke its answer off ({reason}). Try again.")


class AnswerRefused(Worked, Rejected):
    """The model declined; ``reason`` are its words."""

    message = _("{vendor} declined to answer: {reason}")


class AnswerUnusable(Worked, Rejected):
    """The answer is not of the form asked for."""

    message = _("{vendor} gave an answer of another form than asked for ({reason}).")


class NotYourPrompt(Forbidden):
    message = _("This is everybody's prompt. Make one of your own for this key, and change that.")


class PromptExists(Conflict):
    message = _("There is a prompt of your own for {key} already.")


class VersionIsFixed(Conflict):
    message = _("Version {number} was published or has a label, and stays as it is. Make a new one.")


class NothingBefore(Conflict):
    message = _("No other version had the label {label} before.")


class TooManyCases(Conflict):
    message = _("A prompt has at most {limit} cases.")


class CaseExists(Conflict):
    message = _("There is a case of this name already.")


class NothingToTry(Conflict):
    message = _("This prompt has no cases to be tried on.")


class LeadKnown(Conflict):
    message = _("There is a lead with this e-mail address already: {lead_id}.")


class TooManyProposals(Conflict):
    message = _("At most {limit} proposals can be open in a chat. Somebody has to decide on these first.")


class ProposalDecided(Conflict):
    message = _("Somebody has decided on this proposal already: {status}.")


class ProposalExpired(Conflict):
    message = _("This proposal has expired.")


class AnalysisIsOver(Conflict):
    message = _("This analysis is over already.")


class ChatBusy(Conflict):
    message = _("The message before is still being answered. Send this one after it.")

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class ChatFull(Conflict):
    message = _("This chat has had its {limit} messages. Begin a new one.")


class ChatUnpaid(Refusal):
    """To a visitor, whom the amounts are no business of."""

    code, status = "ai_budget_exceeded", 403
    message = _("The chat can't answer any more this month.")


class IdentityInvalid(Refusal):
    code, status = "identity_invalid", 400
    message = _("The visitor's identity is not signed as it has to be.")


class IdentityExpired(IdentityInvalid):
    code = "identity_expired"
    message = _("The visitor's identity has expired.")


class DocumentExists(Conflict):
    message = _("This file is there already, in this category: document {document_id}, “{title}”.")


class KnowledgeFull(Conflict):
    message = _("A workspace's documents have at most {limit}. Delete some first.")


class TooManyPassages(Conflict):
    message = _("This document has more than {limit} passages. Divide it.")
