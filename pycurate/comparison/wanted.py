"""What samples are to be compared with, as options name it, and the columns of scores that come of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pycurate.errors import UsageError
from pycurate.results.comparisons import CONCEPT, S_CLIP_LOSS, SIMILAR_2, SIMILAR_INF

NAME = r"[a-z][a-z0-9_]*"


@dataclass(frozen=True)
class Wanted:
    """The comparisons of a run.

    Attributes:
        similar: {name: folder} of target sets.
        examples: {name: folder} of concepts by examples.
        words: {name: prompts} of concepts by words.
        s_clip_loss: whether captions are compared with each other.
    """

    similar: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    s_clip_loss: bool = False

    @classmethod
    def of(cls, similar: Iterable[str], concept: Iterable[str], s_clip_loss: bool) -> "Wanted":
        """What `NAME=FOLDER` and `NAME=PROMPT|PROMPT` name. Raises UsageError if one names nothing, or two the same."""
        concepts = _named("--concept", concept, "NAME=FOLDER or NAME='PROMPT|OTHER PROMPT', and no commas in prompts")
        words = {name: tuple(map(str.strip, value.split("|"))) for name, value in concepts.items() if "|" in value}
        for name, prompts in words.items():
            if not all(prompts):
                raise UsageError(f"--concept {name}={concepts[name]}: a prompt is empty; write words around each |.")
        examples = {name: value for name, value in concepts.items() if name not in words}
        return cls(_named("--similar", similar, "NAME=FOLDER"), examples, words, s_clip_loss)

    def check(self) -> None:
        """Raise UsageError if there is nothing to compare with."""
        if not self.columns():
            raise UsageError(
                "Nothing is named to compare the samples with; give --similar, --concept or --s-clip-loss."
            )

    def columns(self) -> list[str]:
        """The scores that they give."""
        similar = [kind + name for name in self.similar for kind in (SIMILAR_INF, SIMILAR_2)]
        concepts = [CONCEPT + name for name in (*self.examples, *self.words)]
        return ([S_CLIP_LOSS] if self.s_clip_loss else []) + similar + concepts


def _named(option: str, texts: Iterable[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not re.fullmatch(NAME, name) or not value:
            raise UsageError(
                f"{option} {text!r} cannot be read; write {form}, with a name of lower-case letters, digits and "
                "underscores."
            )
        if name in found:
            raise UsageError(f"{option} names {name} twice; give one of them another name.")
        found[name] = value
    return found
