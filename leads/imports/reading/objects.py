"""JSON arrays as tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _

from leads.errors import UnreadableFile
from leads.imports.reading.tables import MAX_COLUMNS, Record
from zevix.errors import ValidationFailed


class ObjectSource:
    """A JSON array of objects; ``row`` counts them from 1."""

    found: dict[str, str] = {}

    def __init__(self, objects: Sequence[Any]) -> None:
        if not objects:
            raise ValidationFailed(fields={"non_field_errors": [_("The list is empty.")]})
        self.objects = objects
        self.header = list(dict.fromkeys(str(key) for item in objects if isinstance(item, dict) for key in item))
        self._read = 0
        if len(self.header) > MAX_COLUMNS:
            raise UnreadableFile(reason=_("it has more than {limit} columns.").format(limit=MAX_COLUMNS))
        if any("\x00" in name for name in self.header):
            raise UnreadableFile(reason=_("it is a binary file."))

    @property
    def fraction(self) -> float:
        return self._read / len(self.objects)

    def records(self) -> Iterator[Record]:
        for number, item in enumerate(self.objects, start=1):
            self._read = number
            if isinstance(item, dict):
                yield Record(number, [item.get(name) for name in self.header])
            else:
                yield Record(number, [], _("This is no object."))
