"""Statements that are put together from pieces of our own; whatever comes from outside goes in as a parameter."""

from typing import Any

from django.db import connection


def run(statement: str, parameters: Any = None) -> int:
    """Execute a statement; returns how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.rowcount


def rows(query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()
