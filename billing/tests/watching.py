"""Where a thread stands at the moment in which it asks Stripe: the package writes a line for each request, in the same thread."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


class _Watch(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seen: list[bool] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "Request to Stripe" in record.getMessage():
            self.seen.append(connection.in_atomic_block)


@contextmanager
def asking_within_transactions() -> Iterator[list[bool]]:
    """For each request to Stripe meanwhile, whether it was made within a transaction."""
    watch, logger = _Watch(), logging.getLogger("stripe")
    logger.addHandler(watch)
    try:
        yield watch.seen
    finally:
        logger.removeHandler(watch)
