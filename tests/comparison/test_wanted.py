"""What options name is read once, and what names nothing is refused."""

import pytest

from pycurate.comparison.wanted import Wanted
from pycurate.errors import UsageError


def test_a_bar_tells_words_from_a_folder() -> None:
    wanted = Wanted.of(["dogs=a b/c=d"], ["mark=a mark | a photo", "cats=cats"], True)
    assert wanted.similar == {"dogs": "a b/c=d"} and wanted.examples == {"cats": "cats"}
    assert wanted.words == {"mark": ("a mark", "a photo")}
    columns = ["s_clip_loss", "norm_sim_inf_dogs", "norm_sim_2_dogs", "concept_cats", "concept_mark"]
    assert wanted.columns() == columns and Wanted.of([], [], False).columns() == []


def test_a_call_that_names_nothing_is_told_apart() -> None:
    with pytest.raises(UsageError, match="give --similar, --concept or --s-clip-loss"):
        Wanted.of([], [], False).check()
    for one in (Wanted.of(["dogs=a"], [], False), Wanted.of([], ["cats=a|b"], False), Wanted.of([], [], True)):
        one.check()


@pytest.mark.parametrize(
    ("similar", "concept", "message"),
    [
        (["dogs"], [], "--similar 'dogs' cannot be read; write NAME=FOLDER"),
        (["Dogs=x"], [], "lower-case letters"),
        ([], ["x="], "no commas in prompts"),
        ([], ["mark=a|"], "a prompt is empty"),
        (["dogs=a", "dogs=b"], [], "--similar names dogs twice"),
    ],
)
def test_what_names_nothing_is_refused(similar: list[str], concept: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Wanted.of(similar, concept, False)
