"""Captions and uids come from the sidecars, whatever bytes those hold."""

from pathlib import Path

import pytest
from tars import jpeg, read_shard, write_tar

from pycurate.shards.samples import read_samples


def test_caption_of_the_json_sidecar_is_used_where_there_is_no_text(tmp_path: Path) -> None:
    members = [
        ("a.jpg", jpeg(1)),
        ("a.json", b'{"caption": "a dog"}'),
        ("b.jpg", jpeg(2)),
        ("b.json", b"not json"),
        ("c.jpg", jpeg(3)),
        ("c.json", b'{"caption": 3}'),
    ]
    assert [sample.caption for sample in read_shard(write_tar(tmp_path / "s.tar", members))] == ["a dog", None, None]


@pytest.mark.parametrize(
    ("key", "captions"),
    [
        ("caption", ["alt", "one", "", "alt", None]),
        ("TEXT", ["two", "two", "two", "alt", None]),
        ("text", ["alt", None, "", "alt", None]),
    ],
)
def test_a_field_that_is_named_is_used_before_the_text(tmp_path: Path, key: str, captions: list[str | None]) -> None:
    both = b'{"caption": "one", "TEXT": "two", "text": 3}'
    sidecars = [{"txt": b"alt", "json": both}, {"json": both}, {"txt": b"", "json": b'{"caption": 3, "TEXT": "two"}'}]
    sidecars += [{"txt": b"alt", "json": b'{"caption": "", "TEXT": ""}'}, {}]
    members = []
    for i, extra in enumerate(sidecars):
        members += [(f"{i}.jpg", jpeg(i)), *((f"{i}.{ext}", data) for ext, data in extra.items())]
    path = write_tar(tmp_path / "s.tar", members)
    assert [sample.caption for sample in read_samples(path, "s.tar", caption_key=key)] == captions


@pytest.mark.parametrize(
    ("key", "text", "field", "caption"),
    [
        ("TEXT", b"alt", " \\n", "alt"),
        ("caption", b" \n", "two", "two"),
        ("caption", b" \n", "\\t", ""),
        ("caption", None, " two\\n", "two"),
        ("caption", None, "\u3000", ""),
    ],
)
def test_white_space_is_no_caption_wherever_it_stands(
    tmp_path: Path, key: str, text: bytes | None, field: str, caption: str
) -> None:
    members = [("a.jpg", jpeg(1)), ("a.json", f'{{"{key}": "{field}"}}'.encode())]
    path = write_tar(tmp_path / "s.tar", members + ([] if text is None else [("a.txt", text)]))
    assert [sample.caption for sample in read_samples(path, "s.tar", caption_key=key)] == [caption]


def test_the_uid_of_the_json_sidecar_is_kept_where_it_is_one(tmp_path: Path) -> None:
    uid = "139e4a9b22a614771f06c700a8ebe150"
    records = [b'{"uid": "%s"}' % uid.encode(), b'{"uid": "%s"}' % uid.upper().encode(), b'{"uid": 7}', b'{"uid": "7"}']
    records += [b"[]", b'{"uid": "%s"}' % uid.encode() + b" " * (1 << 24)]
    members = [
        member
        for i, record in enumerate(records)
        for member in ((f"{i}.jpg", jpeg(i)), (f"{i}.txt", b""), (f"{i}.json", record))
    ]
    members += [("no_image.json", records[0])]
    found = [sample.given_uid for sample in read_shard(write_tar(tmp_path / "s.tar", members))]
    assert found == [uid, uid, None, None, None, None, uid]


def test_sidecars_and_names_of_any_bytes_cost_nobody(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    members = [("a.jpg", jpeg(0)), ("a.json", b'{"caption": "hi \\ud83d"}'), ("b.jpg", jpeg(1)), ("b.json", deep)]
    latin = b"caf\xe9".decode("utf-8", "surrogateescape")
    members += [(f"c.{latin}.jpg", jpeg(2)), (f"d.{latin}.jpg", jpeg(3)), ("d.x.png", b"p")]
    samples = read_shard(write_tar(tmp_path / "s.tar", members))
    assert [(s.key, s.caption, s.error) for s in samples] == [
        ("a", "hi ?", None),
        ("b", None, None),
        ("c", None, None),
        ("d", None, "duplicate_key"),
    ]
    assert all((sample.ext + (sample.message or "")).encode("utf-8") for sample in samples)
