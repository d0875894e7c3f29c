"""The export of 100 leads of the catalogue that were never exported before, beside one statement; and after a million others."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from script.benchmarks import installation, load
from script.benchmarks.report import Row, progress, take_turns
from script.benchmarks.server import Server

if TYPE_CHECKING:
    from accounts.models import Membership

_BATCH = 100  # ids
_ROUNDS = 9
_EXPORTS, _SECONDS = 100, 3.0  # a round, whichever comes first
_CONNECTIONS = 2  # exports of one workspace go one after the other, so more would only wait
_PATH, _FLOOR = "/zevix/export-leads-batch", "/floor/export"


def measure(server: Server) -> list[Row]:
    progress("export: 100 ids …")
    ids = _catalogue_ids()

    def rate(path: str) -> float:
        member = installation.passing_workspace()
        return _rate(server, member, path, ids[: _BATCH * _EXPORTS])

    turns: dict[str, Callable[[], float]] = {"project": lambda: rate(_PATH), "floor": lambda: rate(_FLOOR)}
    for turn in turns.values():
        turn()
    rounds = take_turns(turns, rounds=_ROUNDS)
    _clear_away()
    return [Row("export", "thin view", "/s", rounds["project"], rounds["floor"], at_least=0.5)]


def measure_history(server: Server) -> list[Row]:
    """Milliseconds for each export, one after the other, in a workspace that has exported a million leads and in a new one."""
    progress("export-history: 100 ids, with 1,000,000 leads exported before and with none …")
    ids, large, count = _catalogue_ids(), installation.large(), _BATCH * _EXPORTS // 2
    slices = iter([ids[start : start + count] for start in range(0, count * (_ROUNDS + 1), count)])

    def time(member: "Membership", chosen: list[int]) -> float:
        return 1000 / _rate(server, member, _PATH, chosen, connections=1)

    def none_before() -> float:
        return time(installation.passing_workspace(), ids[:count])

    def many_before() -> float:
        return time(large, next(slices))

    none_before(), many_before()
    rounds = take_turns({"many": many_before, "none": none_before}, rounds=_ROUNDS)
    _clear_away()
    return [Row("export-history", "none before", "ms", rounds["many"], rounds["none"], at_most=1.2)]


def _rate(server: Server, member: "Membership", path: str, ids: list[int], *, connections: int = _CONNECTIONS) -> float:
    """Exports a second of ``ids``, 100 at a time; checks that all of them were charged and copied."""
    token, before = installation.token_of(member), _owned(member)
    _open_month(member)
    batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
    requests = [
        load.post(path, token, json.dumps({"lead_ids": [str(lead) for lead in batch]}).encode()) for batch in batches
    ]
    answered = load.send(server.port, requests, connections=connections, at_most_seconds=_SECONDS)
    if [now - then for now, then in zip(_owned(member), before, strict=True)] != [answered.count * _BATCH] * 2:
        raise RuntimeError(f"{path} did not export what it was asked to.")
    return answered.rate


def _owned(member: "Membership") -> list[int]:
    """How many leads the workspace has paid for, and how many copies it holds."""
    from leads.models import ExportedLead, Lead

    copies = Lead.objects.for_workspace(member.workspace).filter(catalogue_lead__isnull=False)
    return [ExportedLead.objects.for_workspace(member.workspace).count(), copies.count()]


def _open_month(member: "Membership") -> None:
    """The thin view begins no months."""
    from leads import quotas
    from leads.models import Usage

    Usage.objects.get_or_create(workspace=member.workspace, month=quotas.current_month())


def _catalogue_ids() -> list[int]:
    from leads.models import Lead

    return list(Lead.objects.in_catalogue().order_by("id").values_list("id", flat=True))


def _clear_away() -> None:
    installation.forget_passing_workspaces()
    installation.vacuum()
