"""Tokens: shown once, kept as hashes in a file of their owner's, and scoped."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.errors import UsageError
from router.listener.tokens import TokenHolder, Tokens

NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens.json")


def test_a_token_is_known_again_and_its_file_holds_only_a_hash(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.add("edi", "nvxa", frozenset({"filings"}), frozenset({"nvxa", "NVXB"}))
    holder = tokens.holder_of(token)
    assert holder is not None
    assert (holder.name, holder.scope.feed) == ("edi", "nvxa")
    assert holder.scope.issuers == {"NVXA", "NVXB"}
    file = tmp_path / "tokens.json"
    assert token not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("other", ["", "snp_", "snp_wrong", "\udcff", "edi"])
def test_any_other_text_is_nobody_s(tokens: Tokens, other: str) -> None:
    tokens.add("edi", "cbp", frozenset({"dispositions"}), NOBODY)
    assert tokens.holder_of(other) is None


def test_each_token_is_another(tokens: Tokens) -> None:
    made = [tokens.add(name, "cbp", frozenset({"dispositions"}), NOBODY) for name in ("one", "two")]
    assert [holder.name for holder in map(tokens.holder_of, made) if isinstance(holder, TokenHolder)] == ["one", "two"]


def test_a_removed_token_is_nobody_s_at_once(tokens: Tokens) -> None:
    token = tokens.add("edi", "cbp", frozenset({"dispositions"}), NOBODY)
    tokens.remove("edi")
    assert tokens.holder_of(token) is None
    with pytest.raises(UsageError, match="there is no token edi"):
        tokens.remove("edi")


@pytest.mark.parametrize(
    ("name", "feed", "kinds", "issuers", "says"),
    [
        ("edi", "cbp", {"filings"}, set(), "the kind filings needs them"),
        ("edi", "cbp", {"dispositions"}, {"NVXA"}, "no other kind has any"),
        ("edi", "cbp", {"everything"}, set(), "kinds"),
        ("edi", "cbp", set(), set(), "name dispositions, filings or both"),
        ("edi", "cbp", {"filings"}, {"TOOLONG"}, "two to four letters"),
        ("edi", "a feed", {"dispositions"}, set(), "feed"),
        ("", "cbp", {"dispositions"}, set(), "at least 1"),
        ("taken", "cbp", {"dispositions"}, set(), "there is a token taken already"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(
    tokens: Tokens, name: str, feed: str, kinds: set[str], issuers: set[str], says: str
) -> None:
    tokens.add("taken", "cbp", frozenset({"dispositions"}), NOBODY)
    with pytest.raises(UsageError, match=says):
        tokens.add(name, feed, frozenset(kinds), frozenset(issuers))
    assert list(tokens.scopes()) == ["taken"]


@pytest.mark.parametrize("text", ["{", '{"edi": {}}', '{"edi": {"feed": "cbp", "kinds": ["all"], "hash": "x"}}', "[1]"])
def test_a_damaged_file_admits_nobody_and_is_named(tokens: Tokens, tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens.json").write_text(text)
    (tmp_path / "tokens.json").chmod(0o600)
    with pytest.raises(UsageError, match=r"tokens\.json is damaged"):
        tokens.holder_of("snp_x")


def test_a_file_that_others_may_read_is_refused(tokens: Tokens, tmp_path: Path) -> None:
    tokens.add("edi", "cbp", frozenset({"dispositions"}), NOBODY)
    (tmp_path / "tokens.json").chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        tokens.scopes()
