"""Saved views: filters and an order that members keep for themselves, or share with the workspace."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import Membership
from leads import filters
from leads.errors import ViewExists
from leads.filters import Asked, Asker
from leads.models import Lead, SavedView
from zevix.errors import Forbidden, NotFound, ValidationFailed
from zevix.tenancy import TenantQuerySet


def seen_by(member: Membership) -> TenantQuerySet[SavedView]:
    """A member's own views, and those that others share."""
    views = SavedView.objects.for_workspace(member.workspace_id)
    return views.filter(Q(user=member.user_id) | Q(is_shared=True))


def find(view_id: int, *, by: Membership) -> SavedView:
    """Raises NotFound, also for what somebody else keeps for themselves."""
    view = seen_by(by).filter(pk=view_id).first()
    if view is None:
        raise NotFound
    return view


def create(fields: dict[str, Any], *, by: Membership) -> SavedView:
    """Raises ViewExists, ValidationFailed for filters or an order that can't be."""
    _check(fields, by)
    view = SavedView(workspace=by.workspace, user_id=by.user_id, **fields)
    _save(view)
    return view


def change(view: SavedView, changes: dict[str, Any], *, by: Membership) -> None:
    """Raises Forbidden to who may not, ViewExists, ValidationFailed."""
    _refuse_others(view, by)
    _check(changes, by)
    for name, value in changes.items():
        setattr(view, name, value)
    _save(view)


def delete(view: SavedView, *, by: Membership) -> None:
    """Raises Forbidden."""
    _refuse_others(view, by)
    view.delete()


def applied(view_id: str | None, asked: Asked, ordering: str | None, *, by: Membership) -> tuple[Asked, str | None]:
    """The filters and the order of a query, with those of a saved view where the query has none. Raises NotFound."""
    if not view_id:
        return asked, ordering
    if not (view_id.isascii() and view_id.isdigit() and len(view_id) < 19):
        raise ValidationFailed(fields={"view": [_("The id of a saved view.")]})
    view = find(int(view_id), by=by)
    return {**filters.asked_as(view.filters), **asked}, ordering or view.ordering


def _check(fields: dict[str, Any], by: Membership) -> None:
    """The filters are tried as they will be: what they find is not looked at."""
    problems: dict[str, list[Any]] = {}
    try:
        asked = filters.asked_as(fields.get("filters", {}))
        filters.find(Lead.objects.for_workspace(by.workspace_id), asked, Asker(by.workspace, by.user_id))
    except ValidationFailed as error:
        problems = {f"filters.{name}".rstrip("."): said for name, said in (error.fields or {}).items()}
    try:
        filters.order(fields.get("ordering"), {})
    except ValidationFailed as error:
        problems |= error.fields or {}
    if problems:
        raise ValidationFailed(fields=problems)


def _save(view: SavedView) -> None:
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError:
        raise ViewExists


def _refuse_others(view: SavedView, by: Membership) -> None:
    if view.user_id != by.user_id and not by.manages:
        raise Forbidden
