"""The process: its limits, and its one answer."""

import json
import resource
import sys
from collections.abc import Callable, Iterator

from ai.knowledge.apart import pdfs, web_pages
from ai.knowledge.apart.refusing import CannotRead, Part

_BYTES = 2 * 1024**3  # of memory
_CHARACTERS = 30_000_000

_READERS: dict[str, Callable[[bytes], Iterator[Part]]] = {"pdf": pdfs.read, "html": web_pages.read}


def main(kind: str, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    data = sys.stdin.buffer.read()
    try:
        answer = json.dumps({"sections": list(_bounded(_READERS[kind](data)))})
    except CannotRead as refusal:
        answer = json.dumps({"error": refusal.reason})
    except MemoryError:
        answer = json.dumps({"error": "heavy"})
    sys.stdout.write(answer)


def _bounded(parts: Iterator[Part]) -> Iterator[Part]:
    left = _CHARACTERS
    for heading, page, text in parts:
        left -= len(text)
        if left < 0:
            raise CannotRead("long")
        yield _whole(heading), page, _whole(text)


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which JSON has no place for."""
    return text.encode("utf-8", "replace").decode()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
