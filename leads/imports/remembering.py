"""What somebody said about the columns of a file, kept for the next file with the same ones."""

import hashlib
from collections.abc import Sequence

from accounts.models import Workspace
from leads.imports.headings import normal
from leads.models import RememberedMapping


def recall(workspace: Workspace, header: Sequence[str]) -> dict[str, str]:
    """Column → field, as it was given for a file with these headings, in whatever order and however written; else nothing."""
    kept = RememberedMapping.objects.for_workspace(workspace).filter(header_key=_key(header)).first()
    if kept is None:
        return {}
    loosely = {normal(column): field for column, field in kept.mapping.items()}
    found = {heading: kept.mapping.get(heading, loosely.get(normal(heading))) for heading in header}
    return {heading: field for heading, field in found.items() if field is not None}


def remember(workspace: Workspace, header: Sequence[str], mapping: dict[str, str]) -> None:
    """An empty mapping forgets."""
    if not mapping:
        RememberedMapping.objects.for_workspace(workspace).filter(header_key=_key(header)).delete()
        return
    RememberedMapping.objects.update_or_create(
        workspace=workspace, header_key=_key(header), defaults={"mapping": mapping}
    )


def _key(header: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(map(normal, header))).encode()).hexdigest()
