"""A run over many leads: a slice of it at a time, so that a job never lasts long and other runs get their turn.

Each lead's row is settled in the transaction that writes the lead. Killed in its midst, a run goes on with the rows that wait; only
those whose question was on its way are asked again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from ai import asking
from ai.actions import answers, questions, tasks
from ai.actions.analysis import Analysis
from ai.analysis import starting, telling, writing
from ai.analysis.askers import Askers
from ai.analysis.pace import Pace
from ai.analysis.writing import CLOSED, Verdict
from ai.asking import Purpose
from ai.errors import AnswerUnusable, BudgetExceeded
from ai.models import AnalysisRun, LeadAnalysis
from ai.openai_gateway import VENDOR, Question
from ai.prompts import versions
from zevix.errors import NotConfigured, Refusal, Unanswered, Unreachable, UpstreamError

ACTION = "analyze_lead"
_SLICE = 60.0  # seconds
_CHUNK = 100  # leads read at a time
_LOOKS, _TELLS = 0.5, 2.0  # seconds between looks at whether it was cancelled, and between events
_LATER = 10  # seconds that a server gets to recover which was there a moment ago
# answers that every other lead would get, too
_FOR_ALL = {"authentication", "insufficient_quota", "model_not_found"}

log = structlog.get_logger("ai")


def work(run: AnalysisRun, *, is_last_try: bool, leave_off: Callable[[], bool]) -> int | None:
    """Do a slice of a run; returns in how many seconds to go on, None when it is over. ``leave_off`` says that the worker is to end.

    Raises Unreachable where the server is down, for the job to try again; on its last try the run fails instead.
    """
    with translation.override(run.language):
        try:
            starting.begin(run)
            return _go_on(run, leave_off) if run.is_open else None
        except AnalysisRun.DoesNotExist:  # its workspace is gone
            return None
        except Exception as error:
            if isinstance(error, Refusal) and not isinstance(error, Unreachable):
                starting.end(run, AnalysisRun.Status.FAILED, str(error))
                return None
            if is_last_try:
                starting.end(run, AnalysisRun.Status.FAILED, _sentence(error))
            raise


def _go_on(run: AnalysisRun, leave_off: Callable[[], bool]) -> int | None:
    piece = _Slice(run, leave_off)
    try:
        is_over = piece.do()
    except Unreachable:
        if not piece.settled:
            raise
        return _LATER
    if is_over:
        starting.end(run, AnalysisRun.Status.COMPLETED)
    run.refresh_from_db()
    return 0 if run.is_open else None


@dataclass(frozen=True)
class _Asked:
    """A lead to be asked about; ``is_alone`` while nothing else is."""

    row_id: int
    lead: dict[str, Any]
    question: Question
    begun: float = 0.0
    is_alone: bool = False


@dataclass(frozen=True)
class _Outcome:
    asked: _Asked
    call_id: int | None
    came: Analysis | Exception
    attempts: int


class _Slice:
    """Some of a run's leads, as many as there is time for. ``settled`` counts those that are done."""

    def __init__(self, run: AnalysisRun, leave_off: Callable[[], bool]) -> None:
        self._run = run
        self._leave_off = leave_off
        version = versions.current(ACTION, run.workspace)
        self._purpose = Purpose(run.workspace, run.user, ACTION, version)
        self._pace = Pace(settings.AI_ANALYSIS_PARALLEL, settings.AI_ANALYSIS_PER_MINUTE)
        self._left = self._waiting()
        self._next = next(self._left, None)
        self._trouble: Exception | None = None
        self._is_stopped = False
        self._until = time.monotonic() + _SLICE
        self._looked_at = self._told_at = time.monotonic()
        self.settled = 0

    def do(self) -> bool:
        """Ask, and write what comes; returns whether none is left. Raises what stands in the way of all."""
        with Askers(settings.AI_ANALYSIS_PARALLEL, self._ask) as askers:
            while True:
                self._hand_out(askers)
                if not askers.in_flight and (self._is_stopped or self._next is None):
                    break
                outcome = askers.next(self._patience(askers.in_flight))
                if outcome is not None:
                    self._take(outcome)
                self._look_around()
        if self._trouble is not None:
            raise self._trouble
        return self._next is None and not self._is_stopped

    def _hand_out(self, askers: Askers[_Asked, _Outcome]) -> None:
        while self._next is not None and not self._is_stopped and self._pace.wait(askers.in_flight) == 0:
            row = self._next
            askers.hand_out(
                _Asked(row.row_id, row.lead, row.question, self._pace.begin(), is_alone=not askers.in_flight)
            )
            self._next = next(self._left, None)

    def _patience(self, in_flight: int) -> float:
        wait = self._pace.wait(in_flight) if self._next is not None and not self._is_stopped else None
        return _LOOKS if wait is None else min(_LOOKS, wait)

    def _waiting(self) -> Iterator[_Asked]:
        """The leads that wait, read in chunks."""
        rows = LeadAnalysis.objects.filter(run=self._run, status=LeadAnalysis.Status.WAITING).order_by("pk")
        last = 0
        while chunk := dict(rows.filter(pk__gt=last).values_list("pk", "lead_id")[:_CHUNK]):
            last = max(chunk)
            leads = tasks.read_many(list(chunk.values()), self._purpose.workspace)
            open_ones = {
                pk: leads[lead] for pk, lead in chunk.items() if lead in leads and leads[lead]["status"] not in CLOSED
            }
            if gone := sorted(chunk.keys() - open_ones.keys()):
                writing.skip(self._run, gone)
            for row_id, lead in open_ones.items():
                assert self._purpose.version is not None
                yield _Asked(row_id, lead, questions.question(self._purpose.version, tasks.about(ACTION, lead)))

    def _ask(self, asked: _Asked) -> _Outcome:
        calls: list[int | None] = [None]
        with translation.override(self._run.language):
            try:
                answer = asking.ask(asked.question, self._purpose, booked=lambda call: calls.append(call.pk))
                answers.checked(answer, asked.question)
                if not isinstance(answer.form, Analysis):
                    raise AnswerUnusable(vendor=VENDOR, reason=_("it is of another form"))
            except Exception as error:
                attempts = error.details.get("attempts", 1) if isinstance(error, Refusal) else 1
                return _Outcome(asked, calls[-1], error, attempts)
            return _Outcome(asked, calls[-1], answer.form, answer.attempts)

    def _take(self, outcome: _Outcome) -> None:
        asked, came, call = outcome.asked, outcome.came, outcome.call_id
        self._pace.end(asked.begun, was_smooth=outcome.attempts == 1)
        if isinstance(came, Analysis):
            self._settle(writing.write, asked.row_id, Verdict(came, asked.lead), call)
        elif isinstance(came, BudgetExceeded) and not asked.is_alone:
            # what the others hold back is more than they will take
            self._pace.one_by_one()
            self._put_back(asked)
        else:
            if is_everybodys := _stands_in_everybodys_way(came):
                self._stop(came)
            # one without an answer may have been paid for, and is not asked again
            if not is_everybodys or isinstance(came, Unanswered):
                self._settle(writing.fail, asked.row_id, _sentence(came), call)

    def _settle(self, settle: Callable[..., None], row_id: int, what: Any, call_id: int | None) -> None:
        try:
            settle(row_id, what, call_id)
            self.settled += 1
        except (OperationalError, InterfaceError) as error:
            self._stop(error)
        except Exception as error:  # whatever is the matter with this lead, it stops no other
            writing.fail(row_id, _sentence(error), call_id)

    def _put_back(self, asked: _Asked) -> None:
        if self._next is not None:
            self._left = chain([self._next], self._left)
        self._next = asked

    def _stop(self, trouble: Exception | None = None) -> None:
        self._is_stopped = True
        self._trouble = self._trouble or trouble

    def _look_around(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOKS:
            return
        self._looked_at = now
        self._run.refresh_from_db()
        if now > self._until or self._leave_off() or not self._run.is_open:
            self._stop()
        if now - self._told_at >= _TELLS and self._run.is_open:
            self._told_at = now
            with transaction.atomic():
                telling.tell(self._run)


def _stands_in_everybodys_way(error: Exception) -> bool:
    if isinstance(error, UpstreamError):
        return isinstance(error, Unreachable) or error.details.get("kind") in _FOR_ALL
    return isinstance(error, BudgetExceeded | NotConfigured | OperationalError | InterfaceError)


def _sentence(error: Exception) -> str:
    """For people; a bug goes to the log as well."""
    if isinstance(error, Refusal):
        return str(error)
    log.error("analysis_broke", exc_info=error)
    return _("Something went wrong on our side. It has been noted.")
