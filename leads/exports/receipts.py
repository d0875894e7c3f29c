"""What an export answers: what became of each id, and how the quota stands afterwards."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from django.utils.translation import gettext as _

from leads.exports.naming import Named
from leads.quotas import Standing


@dataclass(frozen=True, kw_only=True)
class Lists:
    """What became of each id, as it was given: every one is in exactly one of the lists."""

    new_ids: list[str] = field(default_factory=list)
    duplicate_ids: list[str] = field(default_factory=list)
    not_exported: list[str] = field(default_factory=list)
    unknown_ids: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, named: Iterable[Named], charged: Collection[int]) -> Self:
        """``charged`` are the leads charged now. A second id of one is a duplicate."""
        lists, told = cls(), set()
        for given, root, owned in named:
            if root is None:
                lists.unknown_ids.append(given)
            elif owned or root in told:
                lists.duplicate_ids.append(given)
            elif root in charged:
                lists.new_ids.append(given)
                told.add(root)
            else:
                lists.not_exported.append(given)
        return lists

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Lists.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True)
class Receipt(Lists):
    """The lists, the number of the export, and how the quota stands after it; of one that ``is_queued``, before it."""

    export_id: int
    standing: Standing
    is_queued: bool = False


def message(receipt: Receipt) -> str:
    if receipt.is_queued:
        return _("The leads are being exported in the background.")
    return _("Successfully exported {count} lead(s). {remaining} leads remaining").format(
        count=len(receipt.new_ids), remaining=receipt.standing.remaining
    )
