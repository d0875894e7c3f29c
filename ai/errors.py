"""How AI refuses."""

from django.utils.translation import gettext_lazy as _

from zevix.errors import Refusal, Rejected, UpstreamError


class BudgetExceeded(Refusal):
    code, status = "ai_budget_exceeded", 403
    message = _("This month's AI budget of {budget} US dollars is used up, or would be by this.")


class Unfinished(UpstreamError):
    """The AI began, and did not come to an end; what it took is in ``tokens``, where it said so."""

    message = _("{vendor} broke its answer off ({reason}). Try again.")


class AnswerRefused(Rejected):
    """The model declined; ``reason`` are its words."""

    message = _("{vendor} declined to answer: {reason}")


class AnswerUnusable(Rejected):
    """The answer is not of the form asked for."""

    message = _("{vendor} gave an answer of another form than asked for ({reason}).")
