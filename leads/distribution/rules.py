"""Writing the rules, and who is there to get leads. Whoever waits is tried again afterwards."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import User, Workspace
from leads.distribution import distributing, rulebook
from leads.errors import RuleNameTaken
from leads.models import Availability, DistributionRule, RuleMember
from zevix.errors import NotFound, ValidationFailed


@transaction.atomic
def create(fields: dict[str, Any], *, workspace: Workspace) -> int:
    """Add a rule of checked ``fields``, behind the others unless they say where; returns its id. Raises RuleNameTaken."""
    rulebook.lock(workspace.pk)
    own, members = _parted(fields)
    _refuse_taken_name(own, workspace.pk)
    rule = DistributionRule.objects.create(**{"workspace": workspace, "position": _behind(workspace.pk), **own})
    _write_members(rule, members or [])
    distributing.retry(workspace.pk)
    return rule.pk


@transaction.atomic
def update(rule_id: int, changes: dict[str, Any], *, workspace: Workspace) -> None:
    """Change checked fields of a rule; ``members`` are those that it has afterwards. Raises NotFound, RuleNameTaken.

    With other members, weights or another strategy it begins a new round.
    """
    rulebook.lock(workspace.pk)
    rule = DistributionRule.objects.for_workspace(workspace).filter(pk=rule_id).first()
    if rule is None:
        raise NotFound
    own, members = _parted(changes)
    _refuse_taken_name(own, workspace.pk, but=rule_id)
    begins_anew = own.get("strategy", rule.strategy) != rule.strategy
    for name, value in own.items():
        setattr(rule, name, value)
    rule.save()
    if members is not None:
        begins_anew |= _write_members(rule, members)
    if begins_anew:
        begin_anew(rule)
    distributing.retry(workspace.pk)


@transaction.atomic
def delete(rule_id: int, *, workspace: Workspace) -> None:
    """Leads stay with whom they were given to. Raises NotFound."""
    rulebook.lock(workspace.pk)
    deleted, _each = DistributionRule.objects.for_workspace(workspace).filter(pk=rule_id).delete()
    if not deleted:
        raise NotFound


@transaction.atomic
def set_availability(user: User, changes: dict[str, Any], *, workspace: Workspace) -> None:
    """Change how many leads a day a member takes, or when they are away; what ``changes`` leave out stays.

    Raises ValidationFailed for an absence that ends before it begins.
    """
    rulebook.lock(workspace.pk)
    availability, _new = Availability.objects.get_or_create(workspace=workspace, user=user)
    for name, value in changes.items():
        setattr(availability, name, value)
    first, last = availability.absent_from, availability.absent_until
    if first and last and last < first:
        raise ValidationFailed(fields={"absent_until": [_("This is before the first day away.")]})
    availability.save()
    distributing.retry(workspace.pk)


def begin_anew(rule: DistributionRule) -> None:
    """Nobody is owed a turn."""
    rule.members.update(credit=0)


def distinct(texts: Iterable[str]) -> list[str]:
    """The texts without repeats, in whatever case."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(text.casefold(), text)
    return list(found.values())


def is_free(name: str, *, workspace_id: int, but: int | None = None) -> bool:
    """Whether no other rule of the workspace has this name."""
    others = DistributionRule.objects.for_workspace(workspace_id).exclude(pk=but or 0)
    return not others.filter(name=name).exists()


def _parted(fields: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """What is the rule's own, and its members."""
    return {name: value for name, value in fields.items() if name != "members"}, fields.get("members")


def _refuse_taken_name(fields: dict[str, Any], workspace_id: int, but: int | None = None) -> None:
    if "name" in fields and not is_free(fields["name"], workspace_id=workspace_id, but=but):
        raise RuleNameTaken


def _behind(workspace_id: int) -> int:
    last = DistributionRule.objects.for_workspace(workspace_id).order_by("-position").values_list("position", flat=True)
    return min((last.first() or 0) + 1, 1_000_000)


def _write_members(rule: DistributionRule, members: list[dict[str, Any]]) -> bool:
    """Returns whether others are members now, or weigh differently. Who stays keeps their place and credit."""
    before = dict(rule.members.values_list("user", "weight"))
    after = {member["user_id"]: member["weight"] for member in members}
    rule.members.exclude(user__in=after).delete()
    RuleMember.objects.bulk_create(
        (RuleMember(rule=rule, **member) for member in members),
        update_conflicts=True,
        unique_fields=["rule", "user"],
        update_fields=["weight", "states", "zip_prefixes", "specialties", "tags"],
    )
    return before != after
