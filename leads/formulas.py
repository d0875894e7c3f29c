"""Texts that a spreadsheet would take for a formula, and run: an apostrophe in front keeps it from that.

A formula begins with ``=``, ``+``, ``-`` or ``@``, their full-width forms, a tab or a line break, also after blanks
(https://owasp.org/www-community/attacks/CSV_Injection). Plain numbers and phone numbers (``-5``, ``+49 30 1234567``) call nothing, and
stay as they are. A text that begins with apostrophes and such a sign gets one more, so that taking one away is the exact reverse.
"""

import re
from typing import Any

_BLANKS = "\t\n\x0b\x0c\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
_SIGNS = "=+@\t\r\n＝＋－＠-"
# PostgreSQL and Python read both alike
_FORMULA = f"'*[{_BLANKS}]*[{_SIGNS}]"
_NUMBER = r"'*(?:[+-]?[0-9]+(?:[.,][0-9]+)*|[+][0-9][0-9 ()./-]*)"
_formula, _number = re.compile(_FORMULA), re.compile(_NUMBER)

# of `harmless_sql`
PARAMETERS = {"formula": f"^{_FORMULA}", "number": f"^(?:{_NUMBER})$"}


def harmless(text: str) -> str:
    return f"'{text}" if _is_taken_for_a_formula(text) else text


def restored(cell: Any) -> Any:
    """What `harmless` was given."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _is_taken_for_a_formula(cell) else cell


def harmless_sql(value: str) -> str:
    """SQL for the same, with `PARAMETERS`; of a blank text it is NULL."""
    # most texts show by their first character that they are none: a comparison costs a tenth of a regular expression
    return f"""CASE WHEN {value} = '' THEN NULL
        WHEN {_between(value, "A", "|")} OR {_between(value, ".", "=")} OR {_between(value, "(", "+")} THEN {value}
        WHEN {value} ~ %(formula)s AND {value} !~ %(number)s THEN '''' || {value} ELSE {value} END"""


def _between(value: str, first: str, beyond: str) -> str:
    return f"""({value} COLLATE "C" >= '{first}' AND {value} COLLATE "C" < '{beyond}')"""


def _is_taken_for_a_formula(text: str) -> bool:
    return _formula.match(text) is not None and _number.fullmatch(text) is None
