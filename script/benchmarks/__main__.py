"""``script/bench [JOB…] [--json FILE]``"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from script.benchmarks import (
    analysis,
    changes,
    chats,
    crm,
    downloads,
    exports,
    imports,
    installation,
    lists,
    merging,
    pages,
    quotes,
    retrieval,
    starts,
    webhooks,
)
from script.benchmarks.report import Row, as_json, table
from script.benchmarks.server import Server

# in this order: the first have a PostgreSQL of their own, the others share one that runs until the end
_FIRST: dict[str, Callable[[], list[Row]]] = {
    "start": starts.measure,
    "chat": chats.measure,
    "retrieval": retrieval.measure,
    "crm": crm.measure,
}
_SERVED: dict[str, Callable[[Server], list[Row]]] = {
    "page": pages.measure,
    "filter": lists.measure_filters,
    "search": lists.measure_searches,
    "change": changes.measure,
    "export": exports.measure,
    "export-history": exports.measure_history,
    "quote": quotes.measure,
    "download": downloads.measure,
    "webhook": webhooks.measure,
}
_LAST: dict[str, Callable[[], list[Row]]] = {
    "import": imports.measure,
    "import-update": imports.measure_update,
    "undo": imports.measure_undo,
    "import-large": imports.measure_large,
    "merge": merging.measure,
    "duplicates": merging.measure_duplicates,
    "analysis": analysis.measure,
}
_JOBS = [*_FIRST, *_SERVED, *_LAST]


def main() -> None:
    wanted = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    rows: list[Row] = []
    try:
        with installation.alone():
            for measured in _measure(set(wanted.jobs or _JOBS)):
                rows += measured
    finally:
        # what was measured before something broke is worth seeing
        print(table(rows))
        if wanted.json:
            wanted.json.write_text(json.dumps(as_json(rows), indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Measures the jobs beside their floors. Deleting var/bench makes the next run begin anew.",
    )
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"some of: {', '.join(_JOBS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round there, too")
    wanted = parser.parse_args()
    unknown = set(wanted.jobs) - set(_JOBS)
    if unknown:
        parser.error(f"there is no job {', '.join(sorted(unknown))}")
    return wanted


def _measure(wanted: set[str]) -> Iterator[list[Row]]:
    """The rows of one job after the other."""
    for job in _FIRST.keys() & wanted:
        yield _FIRST[job]()
    if not wanted - _FIRST.keys():
        return
    installation.open_large()
    served = [measure for job, measure in _SERVED.items() if job in wanted]
    if served:
        with installation.served() as server:
            for measure in served:
                yield measure(server)
    for job, measure_alone in _LAST.items():
        if job in wanted:
            yield measure_alone()


def _interrupt(number: int, frame: FrameType | None) -> None:
    sys.exit(f"Ended by signal {number}.")


if __name__ == "__main__":
    main()
