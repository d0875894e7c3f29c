"""How the readers refuse."""

Part = tuple[str, int | None, str]  # heading, page, text


class CannotRead(Exception):
    """``reason`` is a word for the process that asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
