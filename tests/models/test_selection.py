"""What a run scores by: each column comes from one scorer, and what is no preset or head is refused."""

from pathlib import Path

import pytest

from pycurate.errors import UsageError, WeightsError
from pycurate.images.symmetries import VIEWS
from pycurate.models.presets import DESCRIPTORS, PRESETS, SAME
from pycurate.models.selection import TAKEN, select_models
from pycurate.parameters import switches
from pycurate.report.examples import EXAMPLES
from pycurate.results.tables import DECISIONS, PLAN, SAMPLES
from scripts import called

SCORERS = """
from pycurate.images.views import View
class Shard:
    name = "shard"
class Clip:
    name = "clip_score"
class Masked:
    name = "clip_score_masked"
class Nameless:
    def __init__(self, model_dir, device):
        self.name = "late"
class One:
    name = "one"
    @staticmethod
    def calibrate(raw): return raw
class Raw:
    name = "one_raw"
class Unprintable:
    name = "a\\nb"
class Surrogate:
    name = "a\\udcff"
class Loss:
    name = "s_clip_loss"
class Concept:
    name = "concept_cats"
class Aesthetic:
    name = "aesthetic"
    def __init__(self, model_dir, device): ...
    def score(self, *given): ...
class AestheticOfPixels(Aesthetic):
    view = View(8, 8)
"""


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Shard"], "The column 'shard' of .*:Shard is also that of pycurate's tables; give its class another `name`"),
        (["Clip"], "The column 'clip_score' of .*:Clip is also that of the CLIP score"),
        (["Masked"], "The column 'clip_score_masked' of .*:Masked is also that of the CLIP score"),
        (["Nameless"], "Nameless has no name"),
        (["Unprintable"], r"The name 'a\\nb' of .*:Unprintable is not printable; .* without control characters"),
        (["Surrogate"], r"The name 'a\\udcff' of .*:Surrogate is not printable"),
        (["Loss"], "The column 's_clip_loss' of .*:Loss is also that of a comparison"),
        (["Concept"], "The column 'concept_cats' of .*:Concept is also that of a comparison"),
        (["One", "Raw"], "The column 'one_raw' of .*:Raw is also that of .*:One; .*--no-nsfw, --no-text-area"),
    ],
)
def test_scorers_whose_columns_collide_are_refused_at_once(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "own.py").write_text(SCORERS)
    with pytest.raises(UsageError, match=message):
        select_models("light", tmp_path, scorers=tuple(f"{tmp_path}/own.py:{name}" for name in names))


def test_a_scorer_takes_the_place_of_a_presets_where_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SCORERS)
    for name, load in (("Aesthetic", "load_embedding_scorers"), ("AestheticOfPixels", "load_pixel_scorers")):
        own = (f"{tmp_path}/own.py:{name}",)
        both = select_models("light", tmp_path, without={"nsfw"}, scorers=own, device="cpu")
        with pytest.raises(
            UsageError, match=r"The column 'aesthetic' of .* is also that of pycurate\.models\.builtin\.quality:Quality"
        ):
            getattr(both, load)()
        alone = select_models("light", tmp_path, without=set(switches().values()), scorers=own, device="cpu")
        assert [type(scorer).__name__ for scorer in getattr(alone, load)()] == [name]


def test_what_embeds_images_without_text_also_finds_it(tmp_path: Path) -> None:
    for encoder in (None, "ViT-B-16/openai"):
        off = select_models("clip-b32", tmp_path, without={"text_area"}, encoder=encoder)
        on = select_models("clip-b32", tmp_path, without={"text_area"}, masked=True, encoder=encoder)
        assert not off.masked and "text_area" not in off.columns()
        assert on.masked and on.columns() == [*off.columns(), "text_area"]
        assert on.encoders == dict(off.encoders) | {"masked_emb": on.encoder} and [*on.encoders][-1] == "masked_emb"


def test_a_descriptor_has_a_file_of_its_own_unless_it_is_the_encoder(tmp_path: Path) -> None:
    light = PRESETS["light"].encoder
    for same in (SAME, light):
        assert select_models("light", tmp_path, dedup_encoder=same).encoders == {"img_emb": light}
    for own, spec in {"sscd": DESCRIPTORS["sscd"].encoder, "torchscript:/a.pt": "torchscript:/a.pt"}.items():
        found = select_models("light", tmp_path, dedup_encoder=own)
        assert found.encoders == {"img_emb": light, "dedup_emb": spec} and found.encoder == light
    by_default = select_models("light", tmp_path).encoders
    assert by_default == {"img_emb": light, "dedup_emb": DESCRIPTORS["light-copy"].encoder}
    assert select_models("light", tmp_path, encoder="ViT-B-32/openai").encoders == {"img_emb": "ViT-B-32/openai"}
    with pytest.raises(UsageError, match=r"no duplicate descriptor 'scsd'; did you mean 'sscd'\?"):
        select_models("light", tmp_path, dedup_encoder="scsd")


@pytest.mark.parametrize("views", VIEWS)
def test_views_of_images_have_a_file_of_their_own(tmp_path: Path, views: str) -> None:
    found = select_models("light", tmp_path, dedup_encoder=SAME, dedup_views=views, device="cpu")
    assert found.views == ({"img_emb": 1, "dedup_emb": VIEWS[views]} if VIEWS[views] > 1 else {"img_emb": 1})
    assert len(set(map(id, found.load_encoders().values()))) == 1  # of two kinds, but made once


def test_only_what_a_preset_has_is_fetched_by_its_name(tmp_path: Path) -> None:
    models = select_models("clip-b32", tmp_path)
    for spec, advice in ((models.encoder, "--preset clip-b32"), ("own:Scorer", "--scorer own:Scorer")):
        with pytest.raises(WeightsError, match=f"models.py fetch {advice} "), models.fetched_by_preset(spec):
            raise WeightsError("x is missing;", f"--scorer {spec}", tmp_path)


def test_every_column_that_scores_stand_beside_is_taken() -> None:
    for schema in (SAMPLES, DECISIONS, PLAN, EXAMPLES):
        assert set(schema.names) <= TAKEN


def test_wrong_use_leaves_with_2(tmp_path: Path) -> None:
    for words in (
        ["--preset", "lihgt"],
        ["--encoder", "ViT-B-32/openia"],
        ["--scorer", "pycurate.models.builtin.laion:NsfwL14"],
    ):
        found = called("models", "fetch", *words, "--model-dir", str(tmp_path))
        assert found.exit_code == 2, found.output
