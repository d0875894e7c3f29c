"""Whoever makes something in Pipedrive by the API that was there already, is caught in the act."""

from typing import Any

from crm.tests.pipedrive_server import PipedriveServer
from crm.tests.pipedrive_server.contacts import values
from crm.tests.pipedrive_server.world import Change


class Twins:
    def __init__(self, server: PipedriveServer) -> None:
        self._server = server
        self.found: list[str] = []

    def __call__(self, change: Change) -> None:
        if change.action != "create" or change.by.source != "api" or change.after is None:
            return
        for one in self._server.world.living(change.kind):
            if one["id"] != change.id and self._are_twins(change.kind, one, change.after):
                self.found.append(
                    f"{change.kind} {one['id']} was there, and {change.id} was made: {_key(change.kind, one)}"
                )

    def _are_twins(self, kind: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
        return bool(_key(kind, one) & _key(kind, other))


def _key(kind: str, thing: dict[str, Any]) -> set[str]:
    match kind:
        case "person":
            return {address.lower() for address in values(thing["emails"])} or {f"name {thing['name']}"}
        case "organization":
            return {" ".join(thing["name"].split()).casefold()}
        case "deal":
            return {thing["title"]}
        case "note":
            return {f"{thing['deal_id']} {thing['person_id']} {thing['content']}"}
    return set()
