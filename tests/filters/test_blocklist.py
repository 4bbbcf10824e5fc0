"""Lists as they are exchanged, what is refused of them, and what they find."""

from pathlib import Path

import pyarrow as pa
import pytest

from pycurate.errors import TableError, UsageError
from pycurate.filters.blocklist import Blocking, read_blocklist

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
