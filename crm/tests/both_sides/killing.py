"""An act in a process of its own, which may be killed in the midst of it, as only a process can: nothing is tidied up."""

import os
import signal
import traceback
from collections.abc import Callable

from django.db import connections

from crm.pipedrive.client.connections import pool
from crm.tests.pipedrive_server import PipedriveServer


def in_a_process(act: Callable[[], object], server: PipedriveServer) -> bool:
    """Do it; returns whether it lived to the end. A ``kill`` among the server's faults is what it may die of."""
    # neither side may use the other's connections
    connections.close_all()
    pool().close()
    pool.cache_clear()
    child = os.fork()
    if not child:
        _live(act)
    server.kills(lambda: os.kill(child, signal.SIGKILL))
    _, status = os.waitpid(child, 0)
    server.kills(lambda: None)
    if status == 0:
        return True
    assert os.WIFSIGNALED(status), "the act failed in its process"
    return False


def _live(act: Callable[[], object]) -> None:
    code = 1
    try:
        act()
        connections.close_all()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
