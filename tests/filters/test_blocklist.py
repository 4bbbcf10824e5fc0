"""Lists as they are exchanged, what is refused of them, and what they find."""

import hashlib
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from by_hand import MODELS, call, make_set
from flows import pycurate
from pictures import encode, photographs
from PIL import Image

from pycurate.errors import TableError, UsageError
from pycurate.filters.blocklist import KINDS, Blocking, read_blocklist
from pycurate.results.layout import path_of
from pycurate.results.tables import DIGESTS, read_table

ONE, TWO = "0" * 31 + "a", "0" * 31 + "B"
PDQ = "5" * 64


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"# known\n\n{TWO}  # why\r\n{ONE}\r\n{ONE}\r\n",
        f"\ufeffsha1,MD5,note\nx,{ONE},a\ny,{TWO},\n",
        f'"md5_hash";"size"\n"{ONE}";3\n"{TWO}";4\n',
        f"{ONE}\t12\n{TWO}\t13",
    ],
    ids=["plain", "comments", "heading", "quoted", "columns"],
)
def test_a_list_is_read_as_it_is_exchanged(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    found = read_blocklist(f"md5:{tmp_path}/list.txt")
    assert found.hashes == (ONE, TWO.lower()) and found.text == f"md5:{tmp_path}/list.txt"


@pytest.mark.parametrize(
    ("given", "text", "said"),
    [
        ("list.txt", ONE, "does not say which hashes"),
        ("crc:list.txt", ONE, "does not say which hashes"),
        ("md5:none.txt", ONE, "cannot be read"),
        ("sha1:list.txt", ONE, "Line 1 .* no sha1 hash of 40"),
        ("md5:list.txt", f"md5,x\n{ONE},\nsecret,{TWO}\n", "Line 3 .* no md5 hash of 32 hex digits in column 1"),
        ("md5:list.txt", "# nothing\n", "contains no hash"),
    ],
)
def test_what_is_no_list_is_refused_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UsageError, match=said) as refused:
        read_blocklist(given)
    assert not any(word in str(refused.value) for word in (ONE, TWO, "secret"))


def test_what_is_found_names_the_nearest_hash(tmp_path: Path) -> None:
    (tmp_path / "md5.txt").write_text(ONE)
    (tmp_path / "pdq.txt").write_text(f"{PDQ}\n{'5' * 63}4")
    blocking = Blocking.of([f"md5:{tmp_path}/md5.txt", f"pdq:{tmp_path}/pdq.txt"])
    near, far = "a" * 7 + "b" + "5" * 56, "a" * 8 + "5" * 56  # 31 bits from the first one, and 32
    columns = {
        "uid": ["u", "v", "w", "x", "y"],
        "shard": ["s"] * 5,
        "key": ["k"] * 5,
        "md5": [ONE, TWO.lower(), None, None, ONE],
        "pdq": [near, far, None, near, "5" * 63 + "4"],
        "pdq_quality": pa.array([50, 100, None, 49, 100], pa.int16()),
    }
    samples = pa.table(columns)
    found = blocking.matches(samples).to_pylist()
    assert [(row["uid"], row["kind"], row["hash"], row["distance"]) for row in found] == [
        *(("u", "md5", ONE, 0), ("y", "md5", ONE, 0)),
        *(("u", "pdq", PDQ, 31), ("y", "pdq", "5" * 63 + "4", 0)),
    ]
    with pytest.raises(TableError, match="run the workflow with --digests pdq"):
        blocking.matches(samples.drop_columns("pdq_quality"))


def test_what_a_blocklist_names_is_neither_written_nor_shown(tmp_path: Path) -> None:
    planted, alike, listed, *others = photographs().values()
    image = Image.open(io.BytesIO(alike)).convert("RGB")
    half = encode(image.resize((image.width // 2, image.height // 2)), "JPEG", quality=90)
    cut = listed[: len(listed) // 2]
    content = [planted, encode(image, "JPEG", quality=60), half, cut, others[0], b"no image", planted, *others[1:]]
    make_set(tmp_path, [list(content[:5]), list(content[5:])])
    call(tmp_path, "embed", *MODELS, "--digests", "md5,sha1,pdq")
    call(tmp_path, "score", *MODELS)
    call(tmp_path, "dedup", "pairs", "--dedup-threshold", "0.999999")
    tables = [read_table(path_of(tmp_path, "samples", number)) for number in ("00000", "00001")]
    samples = pa.concat_tables(tables)
    for name in ("md5", "sha1", "sha256"):
        assert samples[name].to_pylist() == [hashlib.new(name, data).hexdigest() for data in content]
    assert samples["pdq"].is_valid().equals(pc.equal(samples["status"], "ok"))
    call(tmp_path, "embed", *MODELS, "--partition", "00001", "--digests", "crc", code=2)

    private = tmp_path / "private"
    private.mkdir()
    original = samples["pdq"][1].as_py()
    for kind, hashes in {
        "md5": [hashlib.md5(planted).hexdigest()],
        "sha256": [hashlib.sha256(cut).hexdigest()],
        "pdq": [original],
    }.items():
        (private / f"{kind}.txt").write_text("\n".join(hashes))
    lists = ",".join(f"{kind}:private/{kind}.txt" for kind in ("md5", "sha256", "pdq"))
    call(tmp_path, "decide", "--dedup", "--blocklist", lists)
    call(tmp_path, "write")
    call(tmp_path, "report", "examples")
    call(tmp_path, "report", "render")

    decisions = read_table(path_of(tmp_path, "decisions"))
    reasons = decisions["reason"].to_pylist()
    assert reasons == ["blocked"] * 4 + ["kept", "unreadable", "blocked"] + ["kept"] * len(others[1:])
    found = read_table(path_of(tmp_path, "blocked")).to_pylist()
    uids = samples["uid"].to_pylist()
    assert path_of(tmp_path, "blocked").stat().st_mode & 0o777 == 0o600
    assert {(uids.index(row["uid"]), row["kind"]) for row in found} == {
        *((0, "md5"), (1, "pdq"), (2, "pdq"), (3, "sha256"), (6, "md5"))
    }
    assert all(row["distance"] <= 31 for row in found) and not found[0]["distance"]
    written = b"".join(path.read_bytes() for path in (tmp_path / "curated").glob("*.tar"))
    assert not any(data in written for data in content[:4]) and others[0] in written
    shown = read_table(path_of(tmp_path, "examples"))
    assert shown.num_rows and not set(shown["uid"].to_pylist()) & {row["uid"] for row in found}
    summary = json.loads(path_of(tmp_path, "summary").read_text())
    assert summary["dropped"]["blocked"] == 5 and summary["unreadable"] == {"not_an_image": 1}
    told = [path_of(tmp_path, kind).read_text() for kind in ("page", "summary", "criteria")]
    assert "Images were compared with 3 hashes of 3 blocklists." in summary["selection"]
    assert path_of(tmp_path, "page").read_text().count("On a blocklist") == 1  # in the table of what was dropped
    assert not any(secret in text for text in told for secret in (hashlib.md5(planted).hexdigest(), original))

    def told_by(command: str, *words: str, code: int = 0) -> str:
        ended = pycurate(command, tmp_path, *words, cwd=tmp_path)
        assert ended.returncode == code, ended.stderr
        return ended.stdout + ended.stderr

    done = told_by("inspect", "00000.tar/000", "--extract", "out.jpg", code=2)
    assert "is on a blocklist and is not extracted" in done and not (tmp_path / "out.jpg").exists()
    # Other thresholds keep the lists of the run, and stop where one of them is gone.
    kept = decisions.filter(decisions["kept"]).num_rows
    for words in ([], ["--blocklist", f"{lists},md5:private/md5.txt"]):
        text = told_by("refilter", *words)
        assert re.search(rf"kept +{kept} +{kept}\n", text) and re.search(r"blocked +5 +5\n", text)
    assert re.search(r"blocked +5 +0\n", told_by("refilter", "--blocklist", ""))
    (private / "pdq.txt").unlink()
    assert "cannot be read" in told_by("refilter", code=2)
    (private / "pdq.txt").write_text("none")
    early = call(tmp_path, "partition", "--input", "shards", "--blocklist", "pdq:private/pdq.txt", code=2)
    assert "Line 1 of the blocklist" in early  # before anything is embedded
    call(tmp_path, "decide")
    assert not path_of(tmp_path, "blocked").exists()


def test_the_workflow_knows_the_same_kinds(root: Path) -> None:
    text = (root / "lib" / "Blocklists.groovy").read_text()
    digests = re.search(r"DIGESTS = \[(.*?)\]", text)
    assert digests and "KINDS = ['sha256', *DIGESTS]" in text
    computed = set(re.findall(r"'(\w+)'", digests[1]))
    assert computed == set(DIGESTS.names) - {"pdq_quality"} and computed | {"sha256"} == KINDS.keys()
