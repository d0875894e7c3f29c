"""Kept secrets, and what becomes of them when SECRET_KEY changes."""

import pytest

from zevix.sealing import Unsealable, reseal, seal, unseal


@pytest.fixture(autouse=True)
def first_key(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the first", []


@pytest.mark.parametrize("secret", ["a1b2c3", "", "Schlüssel 🗝", "x" * 10_000])
def test_what_was_sealed_comes_back(secret):
    assert unseal(seal(secret)) == secret


def test_the_same_secret_never_looks_the_same():
    assert seal("a1b2c3") != seal("a1b2c3")
    assert "a1b2c3" not in seal("a1b2c3")


def test_a_former_key_still_reads_what_it_sealed(settings):
    sealed = seal("a1b2c3")

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second", ["the first"]

    assert unseal(sealed) == "a1b2c3"


def test_without_the_former_key_nothing_can_be_read(settings):
    sealed = seal("a1b2c3")

    settings.SECRET_KEY = "the second"

    with pytest.raises(Unsealable):
        unseal(sealed)
    with pytest.raises(Unsealable):
        reseal(sealed)


def test_sealed_anew_it_needs_the_former_key_no_more(settings):
    sealed = seal("a1b2c3")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second", ["the zeroth", "the first"]

    anew = reseal(sealed)

    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(anew) == "a1b2c3"


def test_what_the_present_key_sealed_stays_as_it_is():
    sealed = seal("a1b2c3")

    assert reseal(sealed) == sealed


@pytest.mark.parametrize("damaged", ["", "a1b2c3", "ä", "\ud800", "gAAAAAB" + "x" * 100])
def test_what_no_key_has_sealed_is_refused(damaged):
    with pytest.raises(Unsealable):
        unseal(damaged)
    with pytest.raises(Unsealable):
        reseal(damaged)
