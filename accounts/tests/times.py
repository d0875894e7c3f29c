from datetime import datetime
from typing import Any


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    """An answer's row with its times read: PostgreSQL leaves out the zeros at the end of a second's fraction."""
    return {
        name: datetime.fromisoformat(value) if name.endswith(("_at", "_activity")) and value.endswith("Z") else value
        for name, value in row.items()
    }
