"""One JSON array of leads, each as the API answers it. It is valid only when it is whole."""

from collections.abc import Iterator

from leads.downloads.rows import Rows


def written(rows: Rows) -> Iterator[bytes]:
    yield b"[\n"
    joint = b""
    for texts in rows.as_json():
        yield joint + texts.encode()
        joint = b",\n"
    yield b"\n]\n"
