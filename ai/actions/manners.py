"""How somebody is to be written to: in which form, in which tone, in which language.

What a lead's fields say is only looked up here; what they hold that is not known stays data.
"""

from collections.abc import Mapping
from typing import Any

_TONES = {
    "": ("friendly and professional", "freundlich und professionell"),
    "D": (
        "brief and direct: the result first, facts and a choice, no small talk",
        "knapp und direkt: das Ergebnis zuerst, Fakten und eine Wahl, kein Geplauder",
    ),
    "I": (
        "lively and personal: enthusiasm, people and stories, few details",
        "lebhaft und persönlich: Begeisterung, Menschen und Geschichten, wenige Einzelheiten",
    ),
    "S": (
        "calm and warm: patient, reliable, one step at a time, no pressure",
        "ruhig und herzlich: geduldig, verlässlich, ein Schritt nach dem anderen, kein Druck",
    ),
    "G": (
        "factual and exact: figures, evidence and a clear order, no superlatives",
        "sachlich und genau: Zahlen, Belege und eine klare Ordnung, keine Superlative",
    ),
}
_CHANNELS = {
    "email": ("an e-mail: a subject line, then the text", "eine E-Mail: eine Betreffzeile, dann der Text"),
    "phone": (
        "a phone call: what to say, in short spoken sentences",
        "ein Telefonat: was zu sagen ist, in kurzen gesprochenen Sätzen",
    ),
    "linkedin": (
        "a LinkedIn message: no subject, at most 600 characters",
        "eine LinkedIn-Nachricht: ohne Betreff, höchstens 600 Zeichen",
    ),
    "whatsapp": (
        "a WhatsApp message: no subject, at most 400 characters",
        "eine WhatsApp-Nachricht: ohne Betreff, höchstens 400 Zeichen",
    ),
    "sms": ("a text message: at most 300 characters", "eine SMS: höchstens 300 Zeichen"),
    "social": (
        "a direct message in a social network: no subject, at most 500 characters",
        "eine Direktnachricht in einem sozialen Netzwerk: ohne Betreff, höchstens 500 Zeichen",
    ),
    "letter": ("a letter on one page", "ein Brief auf einer Seite"),
}
_NAMES = {
    "email": "email", "e-mail": "email", "mail": "email", "newsletter": "email",
    "phone": "phone", "telephone": "phone", "telefon": "phone", "call": "phone", "anruf": "phone",
    "linkedin": "linkedin", "whatsapp": "whatsapp", "sms": "sms", "text": "sms",
    "instagram": "social", "facebook": "social", "messenger": "social", "xing": "social",
    "letter": "letter", "post": "letter", "brief": "letter",
}  # fmt: skip

_GERMAN_SPEAKING = {
    "DE", "DEU", "GERMANY", "DEUTSCHLAND", "AT", "AUT", "AUSTRIA", "ÖSTERREICH", "CH", "CHE", "SWITZERLAND", "SCHWEIZ",
    "LI", "LIE", "LIECHTENSTEIN",
}  # fmt: skip

LANGUAGES = {"en": ("English", "Englisch"), "de": ("German", "Deutsch")}  # and what each is called in both


def language_of(lead: Mapping[str, Any] | None) -> str | None:
    """The language to write to a lead in, by its country; None where that is not known."""
    country = str((lead or {}).get("country") or "").strip().upper()
    if not country:
        return None
    return "de" if country in _GERMAN_SPEAKING else "en"


def tone(lead: Mapping[str, Any] | None, language: str) -> str:
    """By the lead's DISC type."""
    return _in(language, _TONES.get(str((lead or {}).get("disg_type") or ""), _TONES[""]))


def channel(lead: Mapping[str, Any] | None, language: str) -> str:
    """By the lead's channel; of one that is not known, by mail, or by phone where that is all there is."""
    lead = lead or {}
    only_phone = bool(lead.get("phone")) and not lead.get("email")
    named = _NAMES.get(str(lead.get("channel") or "").strip().casefold(), "phone" if only_phone else "email")
    return _in(language, _CHANNELS[named])


def name_of(language: str, among: str) -> str:
    """What a language is called in another."""
    return _in(among, LANGUAGES[language])


def _in(language: str, texts: tuple[str, str]) -> str:
    return texts[1] if language == "de" else texts[0]
