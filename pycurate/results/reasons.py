"""Why samples are kept and dropped: the words of the decisions, their order, how a person reads them."""

from collections.abc import Iterable, Sequence

KEPT, BLOCKED, UNREADABLE = "kept", "blocked", "unreadable"
EXACT, NEAR, REFERENCE = "duplicate_exact", "duplicate_near", "duplicate_reference"
DUPLICATES = (EXACT, NEAR, REFERENCE)  # dropped among what passes every filter
BALANCED = "balanced"  # dropped among what is left then

RESERVED = (KEPT, BLOCKED, UNREADABLE, *DUPLICATES, BALANCED)
"""The reasons that no filter makes, and no filter may be called."""

_WORDS = {
    KEPT: "kept",
    BLOCKED: "on a blocklist",
    UNREADABLE: "cannot be read",
    "aesthetic": "aesthetic filter",
    "nsfw": "NSFW filter",
    "text_area": "text in the image",
    EXACT: "exact duplicate",
    NEAR: "near-duplicate",
    REFERENCE: "duplicate of a reference",
    BALANCED: "balance",
}


def in_order(reasons: Iterable[str], filters: Sequence[str]) -> list[str]:
    """`kept` first, then the reasons to drop in the order in which they act.

    `filters` are those of the filters in the order in which they were asked, as far as it is known; others follow by
    name.
    """
    given = set(reasons)
    others = sorted(given - {*RESERVED, *filters})
    every = (KEPT, BLOCKED, UNREADABLE, *filters, *others, *DUPLICATES, BALANCED)
    return [reason for reason in dict.fromkeys(every) if reason in given]  # blocklists are filters, too


def label(reason: str) -> str:
    """A reason in words; a filter that has none keeps its name."""
    return _WORDS.get(reason, reason)


def title(reason: str) -> str:
    """The same, to begin a line with."""
    words = label(reason)
    return words[:1].upper() + words[1:] if reason in _WORDS else words
