"""Talks: begun, found again, left. A visitor's is reached by its id, a member's by that member in that workspace."""

import uuid

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from accounts.models import Membership, Workspace
from ai.chat import contacts, visitors
from ai.chat.callers import Caller
from ai.chat.visitors import Identity
from ai.models import ChatSession
from leads.models import Lead
from zevix.errors import Forbidden, NotFound, ValidationFailed


def begin(caller: Caller, *, language: str = "", lead_id: int | None = None) -> ChatSession:
    """A new talk, for members about one of the workspace's leads if they like. Raises NotFound for a lead that is not theirs."""
    session: ChatSession = ChatSession.objects.create(
        workspace=caller.workspace, user=caller.user, language=language or _of_request()
    )
    if caller.identity:
        be_of(session, caller.identity)
    if lead_id is not None:
        be_about(session, lead_id)
    return session


def be_of(session: ChatSession, identity: Identity) -> None:
    """The talk is a signed visitor's, and with the lead that they are, if any. Raises NotFound where it is another visitor's already."""
    if session.visitor_id not in ("", identity.id):
        raise NotFound
    session.visitor_id = identity.id
    session.lead_id = session.lead_id or visitors.lead_of(identity, session.workspace)
    session.save(update_fields=["visitor_id", "lead"])


def be_about(session: ChatSession, lead_id: int) -> None:
    """From now on the talk is about a lead of the workspace. Raises NotFound."""
    if not Lead.objects.for_workspace(session.workspace).filter(pk=lead_id).exists():
        raise NotFound
    session.lead_id = lead_id
    session.save(update_fields=["lead"])


def take_contact(session: ChatSession, contact: dict[str, str]) -> None:
    """Keep what a visitor has told of themselves; the first time it becomes a lead. Raises ValidationFailed."""
    try:
        if session.lead_id is None:
            contacts.take(session, contact)
    except ValidationFailed as refusal:
        raise ValidationFailed(fields={f"contact.{name}": said for name, said in (refusal.fields or {}).items()})
    session.visitor = session.visitor | contact
    session.save(update_fields=["visitor"])


# Finding --------------------------------------------------------------------------------------------------------------------


def of_member(session_id: str, member: Membership) -> ChatSession:
    """One of the member's own talks. Raises NotFound."""
    return _one(session_id, ChatSession.objects.for_workspace(member.workspace).filter(user=member.user))


def of_visitor(session_id: str, *, public_key: str = "") -> ChatSession:
    """A visitor's talk. Raises NotFound, also where it is another workspace's than the one named."""
    session = _one(session_id, ChatSession.objects.filter(user=None))
    if public_key and session.workspace.public_key != public_key:
        raise NotFound
    return session


def readable(session_id: str, member: Membership | None) -> ChatSession:
    """A talk to be read: a visitor's by its id, and by the workspace's members; a member's own. Raises NotFound."""
    if member is None:
        return of_visitor(session_id)
    theirs = ChatSession.objects.for_workspace(member.workspace)
    return _one(session_id, theirs.filter(Q(user=None) | Q(user=member.user)))


def visitors_of(workspace: Workspace) -> QuerySet[ChatSession]:
    found: QuerySet[ChatSession] = ChatSession.objects.for_workspace(workspace).filter(user=None)
    return found


def delete(session_id: str, member: Membership | None) -> None:
    """For whom it belongs to, and a visitor's for managers too. Raises NotFound, Forbidden."""
    session = readable(session_id, member)
    if member and session.user_id is None and not member.manages:
        raise Forbidden
    session.delete()


def _one(session_id: str, among: QuerySet[ChatSession]) -> ChatSession:
    try:
        number = uuid.UUID(session_id)
    except ValueError:
        raise NotFound
    found = among.select_related("workspace").filter(pk=number).first()
    if found is None or str(number) != session_id.lower():  # what else names a UUID is no id of ours
        raise NotFound
    return found


def _of_request() -> str:
    language = (get_language() or settings.LANGUAGE_CODE)[:2]
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
