"""A run over many leads: a slice of it at a time, so that a job never lasts long and other runs get their turn.

Each lead's row is settled in the transaction that writes the lead. Killed in its midst, a run goes on with the rows that wait; only
those whose question was on its way are asked again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from queue import Empty, SimpleQueue
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
from ai.analysis.pace import Pace
from ai.analysis.threads import Threads
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
_TOGETHER, _UNWRITTEN = 10, 50  # answers that are written at once, and that may wait for it
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
class _Answered:
    asked: _Asked
    call_id: int | None
    came: Analysis | Exception
    attempts: int


@dataclass(frozen=True)
class _Written:
    """``trouble`` is what stands in the way of all writing."""

    trouble: Exception | None = None


class _Slice:
    """Some of a run's leads, as many as there is time for. ``settled`` counts those that are done."""

    def __init__(self, run: AnalysisRun, leave_off: Callable[[], bool]) -> None:
        self._run = run
        self._leave_off = leave_off
        self._version = versions.current(ACTION, run.workspace)
        self._purpose = Purpose(run.workspace, run.user, ACTION, self._version)
        self._pace = Pace(settings.AI_ANALYSIS_PARALLEL, settings.AI_ANALYSIS_PER_MINUTE)
        self._left = self._waiting()
        self._next = next(self._left, None)
        self._verdicts: list[Verdict] = []
        self._trouble: Exception | None = None
        self._is_stopped = False
        self._until = time.monotonic() + _SLICE
        self._looked_at = self._told_at = self._wrote_at = time.monotonic()
        self.settled = 0

    def do(self) -> bool:
        """Ask, and write what comes; returns whether none is left. Raises what stands in the way of all."""
        done: SimpleQueue[_Answered | _Written] = SimpleQueue()
        with (
            Threads(self._pace.threads, self._ask, done, self._run.language) as asking_ones,
            # one writes, as many at a time as have come meanwhile: whoever asks never waits for it
            Threads(1, self._write, done, self._run.language) as writing_one,
        ):
            while True:
                self._hand_out(asking_ones)
                if not writing_one.busy and self._is_worth_writing(asking_ones.busy):
                    writing_one.give(self._verdicts)
                    self._verdicts, self._wrote_at = [], time.monotonic()
                if not asking_ones.busy and not writing_one.busy and (self._is_stopped or self._next is None):
                    break
                with suppress(Empty):
                    came = done.get(timeout=self._patience(asking_ones.busy))
                    if isinstance(came, _Answered):
                        asking_ones.busy -= 1
                        self._take(came)
                    else:
                        writing_one.busy -= 1
                        if came.trouble is not None:
                            self._stop(came.trouble)
                self._look_around()
        if self._trouble is not None:
            raise self._trouble
        return self._next is None and not self._is_stopped

    def _hand_out(self, asking_ones: Threads[_Asked, Any]) -> None:
        while self._next is not None and not self._is_stopped and self._may_go_on(asking_ones.busy):
            begun = self._pace.begin()
            asking_ones.give(replace(self._next, begun=begun, is_alone=not asking_ones.busy))
            self._next = next(self._left, None)

    def _may_go_on(self, in_flight: int) -> bool:
        return self._pace.wait(in_flight) == 0 and len(self._verdicts) < _UNWRITTEN

    def _is_worth_writing(self, in_flight: int) -> bool:
        """Many at once cost little more than one; but nobody waits long for what is known."""
        enough = len(self._verdicts) >= _TOGETHER or not in_flight or time.monotonic() - self._wrote_at > _LOOKS / 2
        return bool(self._verdicts) and enough

    def _patience(self, in_flight: int) -> float:
        wait = self._pace.wait(in_flight) if self._next is not None and not self._is_stopped else None
        return min(_LOOKS, wait) if wait else _LOOKS

    def _waiting(self) -> Iterator[_Asked]:
        """The leads that wait, read in chunks."""
        rows = LeadAnalysis.objects.filter(run=self._run, status=LeadAnalysis.Status.WAITING).order_by("pk")
        last = 0
        while chunk := dict(rows.filter(pk__gt=last).values_list("pk", "lead_id")[:_CHUNK]):
            last = max(chunk)
            leads = tasks.read_many(list(chunk.values()), self._purpose.workspace)
            present = {pk: leads[lead] for pk, lead in chunk.items() if lead in leads}
            open_ones = {pk: lead for pk, lead in present.items() if lead["status"] not in CLOSED}
            if gone := sorted(chunk.keys() - open_ones.keys()):
                writing.skip(self._run.pk, gone)
            for row_id, lead in open_ones.items():
                yield _Asked(row_id, lead, questions.question(self._version, tasks.about(ACTION, lead)))

    def _ask(self, asked: _Asked) -> _Answered:
        calls: list[int | None] = [None]
        try:
            answer = asking.ask(
                asked.question, self._purpose, booked=lambda call: calls.append(call.pk), turn=self._pace.turn
            )
            answers.checked(answer, asked.question)
            if not isinstance(answer.form, Analysis):
                raise AnswerUnusable(vendor=VENDOR, reason=_("it is of another form"))
        except Exception as error:
            attempts = error.details.get("attempts", 1) if isinstance(error, Refusal) else 1
            return _Answered(asked, calls[-1], error, attempts)
        return _Answered(asked, calls[-1], answer.form, answer.attempts)

    def _take(self, answered: _Answered) -> None:
        asked, came = answered.asked, answered.came
        self._pace.end(asked.begun, was_smooth=answered.attempts == 1)
        if isinstance(came, Analysis):
            self._verdicts.append(Verdict(asked.row_id, answered.call_id, came, asked.lead))
        elif isinstance(came, BudgetExceeded) and not asked.is_alone:
            # what the others hold back is more than they will take
            self._pace.one_by_one()
            self._put_back(asked)
        else:
            if is_everybodys := _stands_in_everybodys_way(came):
                self._stop(came)
            # one without an answer may have been paid for, and is not asked again
            if not is_everybodys or isinstance(came, Unanswered):
                self._verdicts.append(Verdict(asked.row_id, answered.call_id, failure=_sentence(came)))

    def _write(self, verdicts: list[Verdict]) -> _Written:
        try:
            writing.settle(self._run.pk, verdicts)
            self.settled += len(verdicts)
            return _Written()
        except (OperationalError, InterfaceError) as error:
            return _Written(error)
        except Exception as error:
            if len(verdicts) > 1:  # whatever is the matter with one of them, it stops no other
                troubles = [self._write([verdict]).trouble for verdict in verdicts]
                return _Written(next(filter(None, troubles), None))
            if verdicts[0].failure:
                return _Written(error)
            return self._write([Verdict(verdicts[0].row_id, verdicts[0].call_id, failure=_sentence(error))])

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
