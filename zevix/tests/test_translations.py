"""Nothing that people read is untranslated, and the compiled catalogue is the one that was written."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGUE = ROOT / "zevix" / "locale" / "de" / "LC_MESSAGES" / "django"
KEYWORDS = {"_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2)}
APPS = ("zevix", "accounts", "billing", "leads", "crm", "ai")


def messages_in_use():
    """Every message of the source and the templates."""
    found = set()
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            if "tests" not in path.parts and "migrations" not in path.parts:
                found |= {
                    message for _line, message, _comments, _context in extract_from_file("python", path, KEYWORDS)
                }
        for path in (ROOT / app).rglob("*.html"):
            found |= set(re.findall(r"{% translate \"([^\"]+)\"", path.read_text(encoding="utf-8")))
    return found


@pytest.fixture(scope="module")
def written():
    return read_po(BytesIO(CATALOGUE.with_suffix(".po").read_bytes()), locale="de")


def test_every_message_is_translated(written):
    untranslated = {
        str(message)
        for message in messages_in_use()
        if not (entry := written.get(message))
        or entry.fuzzy
        or not all([entry.string] if isinstance(entry.string, str) else entry.string)
    }

    assert untranslated == set()


def test_translations_keep_the_placeholders(written):
    def places(text):
        return sorted(re.findall(r"{\w+}|%\(\w+\)s", text))

    broken = [
        entry.id for entry in written if isinstance(entry.id, str) and places(entry.id) != places(str(entry.string))
    ]

    assert broken == []


def test_the_compiled_catalogue_is_up_to_date(written):
    compiled = read_mo(BytesIO(CATALOGUE.with_suffix(".mo").read_bytes()))

    def texts(catalogue):
        return sorted(" | ".join([*_forms(entry.id), *_forms(entry.string)]) for entry in catalogue if entry.id)

    assert texts(compiled) == texts(written)


def _forms(text):
    """A message's singular and plural; most have one form."""
    return [text] if isinstance(text, str) else list(text)


def test_errors_follow_the_language_of_the_client_and_their_codes_never_do(client):
    english = client.get("/api/v1/leads").json()
    german = client.get("/api/v1/leads", headers={"Accept-Language": "de-AT,de;q=0.9"}).json()

    assert (english["error"], english["message"]) == ("authentication_required", "Sign in first.")
    assert (german["error"], german["message"]) == ("authentication_required", "Melden Sie sich zuerst an.")
