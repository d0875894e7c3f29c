"""What goes into a turn: the talk so far, what is known of the lead or the visitor, and for visitors what the documents say."""

from typing import Any

from django.conf import settings
from django.db.models import Sum

from ai import usage
from ai.asking import Purpose
from ai.chat import history, questions, visitors
from ai.chat.claims import Turn
from ai.chat.questions import Talk
from ai.chat.runs import Run
from ai.errors import BudgetExceeded
from ai.knowledge import contexts, searching
from ai.models import AICall, ChatMessage
from ai.openai_gateway import Question
from ai.prompts import versions
from zevix.errors import NotFound

MEMBERS, VISITORS = "assistant", "visitor"
_PASSAGES = 6
_REMEMBERED = 50  # messages of the speaker's own
# what a visitor may hear of themselves; the rest is what the team thinks of them
_THEIR_OWN = ("name", "email", "phone", "company", "website", "address", "city", "state", "zip_code", "country")


def gather(turn: Turn) -> tuple[Run, Question, Purpose]:
    """The run of a turn, the first question, and for whom it is. Raises BudgetExceeded where visitors have had their share of the budget."""
    key = MEMBERS if turn.caller.member else VISITORS
    version = versions.current(key, turn.session.workspace)
    if not turn.caller.member:
        _require_share(turn)
    run, data = _begun(turn), _known(turn)
    # a lead's fields are strangers' words
    run.reads_untrusted = run.reads_untrusted or "lead" in data
    if not turn.caller.member:
        data["passages"] = _passages(turn, run)
    messages = history.window(turn.session, turn.asked.seq)
    talk = Talk(run.language, turn.session.workspace.name, messages, data, run.fence)
    return run, questions.question(version, talk), Purpose(run.workspace, run.user, key, version)


def _begun(turn: Turn) -> Run:
    session, caller = turn.session, turn.caller
    if caller.member:
        return Run(session, caller.member, None, session.language, [turn.asked.text], session.reads_untrusted)
    own = ChatMessage.objects.filter(session=session, role=ChatMessage.Role.USER, seq__lte=turn.asked.seq)
    said = list(own.order_by("-seq").values_list("text", flat=True)[:_REMEMBERED])[::-1]
    return Run(session, None, caller.identity, session.language, said, reads_untrusted=True)


def _known(turn: Turn) -> dict[str, Any]:
    session = turn.session
    data: dict[str, Any] = {"summary": session.summary, "visitor": session.visitor}
    if turn.caller.member and session.lead_id:
        data |= _context(session.lead_id, turn)
    elif turn.caller.identity:
        data |= _of_themselves(turn)
    return {name: value for name, value in data.items() if value}


def _of_themselves(turn: Turn) -> dict[str, Any]:
    """What a visitor whom their website has signed may be told: who they are, and what they talked about before."""
    identity = turn.caller.identity
    assert identity
    signed = {name: getattr(identity, name) for name in ("name", "email", "phone")}
    lead_id = visitors.lead_of(identity, turn.session.workspace)
    known = _context(lead_id, turn, visitor_id=identity.id) if lead_id else {}
    lead = {name: value for name, value in known.get("lead", {}).items() if name in _THEIR_OWN}
    return {**known, "lead": {name: value for name, value in signed.items() if value} | lead}


def _context(lead_id: int, turn: Turn, *, visitor_id: str = "") -> dict[str, Any]:
    """``lead`` and ``earlier_chats``; nothing of a lead that was deleted since."""
    session = turn.session
    try:
        known = contexts.retrieve_customer_context(
            lead_id, workspace=session.workspace, visitor_id=visitor_id, but=session
        )
    except NotFound:
        return {}
    return {"lead": known["lead"], "earlier_chats": known["chats"]}


def _passages(turn: Turn, run: Run) -> list[dict[str, Any]]:
    found = searching.search(
        turn.asked.text, workspace=run.workspace, user=None, limit=_PASSAGES, with_internal=False
    )  # fmt: skip
    return run.read(found)


def _require_share(turn: Turn) -> None:
    """Visitors can't use up the whole month's budget. Turns that come at once may go a little beyond their share."""
    budget = usage.budget(turn.session.workspace)
    share = budget.amount * settings.CHAT_VISITOR_SHARE // 100
    if budget.spent + budget.reserved < share:
        return
    theirs = AICall.objects.for_workspace(turn.session.workspace).filter(month=budget.month, action=VISITORS)
    taken = theirs.aggregate(cost=Sum("cost"), reserved=Sum("reserved"))
    if (taken["cost"] or 0) + (taken["reserved"] or 0) >= share:
        raise BudgetExceeded(budget=usage.dollars(share))
