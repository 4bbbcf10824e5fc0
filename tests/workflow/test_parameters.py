"""Parameters that are wrong, missing or asked about: one call tells all of it before any task."""

import json
import re
import subprocess
from pathlib import Path

from flows import ROOT, Flow, environment, refused


def test_wrong_parameters_are_refused_before_any_task(tmp_path: Path) -> None:
    wrong = ("--aesthetic_threshold", "1.5", "--batch-size", "0", "--dedup_encoder", "scsd", "--min_side", "0")
    said = refused(tmp_path, "--imput", "x", "--preset", "ligth", *wrong)
    assert "--dedup_encoder scsd: is none of same, light-copy, sscd; did you mean sscd?" in said
    assert "no parameter --imput; did you mean --input?" in said
    assert "did you mean light?" in said
    assert "--aesthetic_threshold 1.5: is not in the range 0 to 1" in said and "--min_side 0: is not 1 or more" in said
    assert "no parameter --batch-size; did you mean --batch_size?" in said
    assert "--input is missing" in said
    own = ("--filter", "m:C,own.py:C=3,/a/own.py:C", "--scorer", "a/own.py:C", "--min_score", "a=1,b,c=x,d=NaN")
    model = ("--dedup", "true", "--dedup_encoder", "torchscript:model.pt", "--encoder", "torchscript:/no/model.pt")
    quantities = {"max_memory": "lots", "max_time": "1-00:00:00", "poll": "soon", "submit_rate": "fast"}
    site = [word for name, value in quantities.items() for word in (f"--slurm_{name}", value)]
    site += ["--slurm_exit_timeout", "5min", "--preset="]
    said = refused(tmp_path, "--input", "a.tar", "b.tar", *own, *model, *site)
    for name, value in quantities.items():
        assert f"--slurm_{name} '{value}': cannot be read; write it as " in said
    assert "--slurm_exit_timeout" not in said
    assert "quote patterns" in said  # the shell has expanded one
    assert "--preset : is not one of light" in said
    assert "--dedup_encoder torchscript:model.pt: write the absolute path" in said
    assert "--dedup_encoder torchscript:model.pt: has no threshold of its own; add --dedup_threshold" in said
    assert "--encoder 'torchscript:/no/model.pt': there is no such file" in said
    assert (
        "--filter own.py:C=3: write the absolute path" in said
        and "--scorer a/own.py:C: write the absolute path" in said
    )
    for part in ("b", "c=x", "d=NaN"):
        assert f"--min_score {part}: is not COLUMN=NUMBER" in said
    assert "m:C:" not in said and "/a/own.py:C:" not in said and "a=1:" not in said
    words = ("--similar", "a=x,a=y,B=x", "--concept", "c=hat|head,e=a hat, red|a hat", "--concept_threshold", "d=1")
    balance = ("--balance", "captions", "--target", "3", "--balance_words", "none.json")
    text = ("--text_area_threshold", "0.1")
    lists = ("--blocklist", "a.txt,crc:b,md5:none.txt,md5:s3://a/b", "--digests", "pdq,crc")
    leakage = ("--leakage", "a=s3://b/c,d=s3://e/f", "--dedup_encoder", "m:C")
    scores = ("--score", "a=2*s_clip_loss", "--keep_top", "a=0.3")
    said = refused(tmp_path, "--input", "x", *scores, *words, *balance, *text, *lists, *leakage)
    assert "s_clip_loss requires a CLIP model: add for example --preset clip-b32" in said
    assert "--similar 'B=x': is not NAME=FOLDER with" in said and "--similar a=x,a=y,B=x: names two sets alike" in said
    assert "--concept ' red|a hat': is not NAME=FOLDER or NAME='PROMPT|OTHER PROMPT', without commas" in said
    assert "--concept_threshold d=1: is not NAME=NUMBER with a NAME of --concept" in said
    assert "--balance captions requires --cap\n" in said and "--target has no effect with --balance captions" in said
    assert "--balance_words 'none.json': there is no such file" in said
    assert "--text_area_threshold has no effect without --text_area true" in said
    assert "--concept c: words require a CLIP model: add for example --preset clip-b32, or name a folder" in said
    assert "--blocklist 'a.txt': is not KIND:FILE" in said and "--blocklist 'crc:b': is not KIND:FILE" in said
    assert "--blocklist 'md5:none.txt': there is no such file" in said and "--digests crc: is none of md5" in said
    for address in ("--blocklist 'md5:s3://a/b'", "--leakage 's3://b/c'", "--leakage 's3://e/f'"):
        assert f"{address}: is an address; give a " in said
    assert "--dedup_encoder m:C: has no threshold of its own" in said  # which --leakage asks for, too


def test_values_that_are_none_or_of_another_type_are_all_named(tmp_path: Path) -> None:
    lines = ("outdir:", "preset:", "similar: 5", "digests: true", "encoder: [a]", "clip_score_threshold: 0.3")
    (tmp_path / "run.yaml").write_text("\n".join(lines))
    said = refused(tmp_path, "-params-file", "run.yaml", "--dedup_encoder")  # without a value: Nextflow makes it true
    assert set(re.findall(r"^--.*? is \w+", said, re.MULTILINE)) == {
        "--input is missing",
        *("--outdir: is empty", "--preset: is empty"),
        *("--similar 5: is not", "--digests true: is not", "--encoder [a]: is not", "--dedup_encoder true: is not"),
    }
    said = refused(tmp_path, "--input", "2026", "--preset", "clip-l41", "--clip_score_threshold", "0.3")
    assert "--preset clip-l41: is not one of " in said and "requires a CLIP model" not in said
    assert "--input 2026: is not of type string; write ./2026 if it is a path" in said and "is missing" not in said


def test_results_that_a_configuration_would_have_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "site.config").write_text("params.outdir = 'elsewhere'\n")
    said = refused(tmp_path, "--input", "x", "-c", "site.config")
    assert "--outdir 'elsewhere': is set in a configuration file, which is read too late for it;" in said
    assert not (tmp_path / "results").exists()


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for pattern, cause in (("nowhere/*.tar", "there is no '"), ("empty/*.tar", "matches no file")):
        flow = Flow(tmp_path, ("--input", pattern))
        assert flow.run() == 1
        assert pattern in flow.text and cause in flow.text
        assert not (tmp_path / "results" / "curated").exists()


def test_help_names_every_parameter(tmp_path: Path) -> None:
    done = subprocess.run(
        ["nextflow", "run", ROOT / "main.nf", "--help", "--show_hidden"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())
    names = [name for part in schema["$defs"].values() for name in part["properties"]]
    assert done.returncode == 0 and all(f"--{name} " in done.stdout for name in names)
