"""The project's own settings; only the routes of the floors are added."""

from zevix.settings import *  # noqa: F403

ROOT_URLCONF = "script.benchmarks.floors"
