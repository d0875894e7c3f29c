"""People work on both sides at once, processes are killed, answers and webhooks are lost: when the dust has settled both sides agree.

``ZEVIX_LONG_TESTS=500`` plays so many programs, other ones each time, and takes its time to make a failing one short.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.tests.both_sides.judging import judge, judge_rest, settle
from crm.tests.both_sides.play import Play
from crm.tests.both_sides.steps import Step, programs
from crm.tests.pipedrive_server import PipedriveServer

LONG = int(os.environ.get("ZEVIX_LONG_TESTS", "0"))


@pytest.mark.django_db(transaction=True)
@settings(
    deadline=None,
    database=None,
    max_examples=LONG or 20,
    phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
    derandomize=not LONG,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(program=programs, choice=st.sampled_from(["zevix", "pipedrive"]))
def test_both_sides_agree_without_twins_and_nothing_that_a_person_wrote_last_is_lost(
    pipedrive_server: PipedriveServer, program: list[Step], choice: str
) -> None:
    pipedrive_server.reset()
    play = Play(pipedrive_server)

    play.run(program)
    settle(play, choice)

    judge(play)
    judge_rest(play)
    assert pipedrive_server.broken == []
