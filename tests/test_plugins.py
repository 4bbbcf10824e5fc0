"""Classes of one's own: a wrong name is answered with the right one, a fault in one's module with its line."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from pycurate.errors import ModelError, UsageError
from pycurate.filters.filtering import first_failed, load_filter
from pycurate.models.batching import checked_embedding_score, checked_encode
from pycurate.models.presets import load_encoder, load_scorer
from pycurate.plugins import load_class
from pycurate.stages.score import columns_of


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "pycurate.models.builtin.laion:NsfwL41",
            r"pycurate\.models\.builtin\.laion has no class 'NsfwL41'; did you mean 'NsfwL14'\?$",
        ),
        (
            "pycurate.models.builtin.layon:NsfwL14",
            r"no module 'pycurate\.models\.builtin\.layon'; did you mean 'pycurate\.models\.builtin\.laion'\?",
        ),
        ("no_such_module:Thing", "no module 'no_such_module'; add your folder to PYTHONPATH"),
        ("no_such_package.module:Thing", r"no module 'no_such_package\.module'; add your folder to PYTHONPATH"),
        ("no/such/file.py:Thing", r"no file no/such/file\.py"),
        (":Thing", "does not name a class"),
        ("pycurate.models.builtin.laion:", "does not name a class"),
        ("pycurate.models.builtin.laion", "does not name a class"),
        ("pycurate.models.presets:PRESETS", "has no class 'PRESETS'"),
    ],
)
def test_a_wrong_class_is_answered_with_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_class(spec)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (
            "import no_such_thing",
            r"raised ModuleNotFoundError: No module named 'no_such_thing' \(.*faulty.*py, line 2\)",
        ),
        ("import sys; sys.exit()", r"called sys\.exit\(\) \(.*faulty.*py, line 2\)"),
        ("raise SystemExit('bye')", r"called sys\.exit\('bye'\) \(.*, line 2\)"),
        ("class Own(BaseException): ...\nraise Own", r"raised Own \(.*, line 3\)"),
        ("def half(:", r"raised SyntaxError: invalid syntax \(faulty.*py, line 2\)"),
        ("import json; json.loads('{')", r"raised JSONDecodeError: .* \(.*faulty.*py, line 2\)"),
    ],
)
def test_a_fault_inside_a_users_module_is_named_with_its_line(
    fault: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"faulty_{abs(hash(fault))}"
    (tmp_path / f"{name}.py").write_text(f"\n{fault}\nclass Thing: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    for spec in (f"{name}:Thing", f"{tmp_path}/{name}.py:Thing"):
        with pytest.raises(UsageError, match=rf"{name}(\.py)? cannot be imported: it {cause}; fix it there\."):
            load_class(spec)


BODIES = {
    "sys.exit()": r"called sys\.exit\(\) \(.*own\.py, line 4\)",
    "sys.exit(0)": r"called sys\.exit\(0\) \(.*own\.py, line 4\)",
    "1 / 0": r"raised ZeroDivisionError: division by zero \(.*own\.py, line 4\)",
    "np.zeros(3).reshape(2)": r"raised ValueError: .* \(.*own\.py, line 4\)",
    "raise GeneratorExit": r"raised GeneratorExit \(.*own\.py, line 4\)",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_users_constructor_that_fails_is_named_with_its_line(body: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        f"import sys, numpy as np\nclass Own:\n    def __init__(self, *_):\n        {body}\n"
        "    def encode(self, _): ...\n    score = encode\n"
    )
    spec = f"{tmp_path}/own.py:Own"
    for load in (
        lambda: load_encoder(spec, tmp_path, "cpu"),
        lambda: load_scorer(spec, tmp_path, "cpu", "any"),
    ):
        with pytest.raises(ModelError, match=f"own.py:Own cannot be created: it {BODIES[body]}; fix it there"):
            load()
    with pytest.raises(UsageError, match=f"cannot be created as a filter: it {BODIES[body]}; write module:Class"):
        load_filter(spec)


@pytest.mark.parametrize("body", BODIES)
def test_a_users_method_that_ends_the_process_is_an_error_with_its_line(body: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        f"import sys, numpy as np\nclass Own:\n    def work(self, *_):\n        {body}\n"
        "    encode = score = passes = calibrate = work\n    name = reason = 'own'\n    dim, view = 3, None\n"
    )
    own = load_class(f"{tmp_path}/own.py:Own")
    rows = pa.table({"uid": ["one", "two"]})
    for work in (
        lambda: checked_encode(own(), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "00000", ["one", "two"]),
        lambda: checked_embedding_score(own(), np.zeros((2, 3), np.float32), "00000", ["one", "two"]),
        lambda: first_failed([own()], rows, "00000"),
    ):
        with pytest.raises(ModelError, match=f"Own {BODIES[body]}.* .partition 00000, sample one"):
            work()
    with pytest.raises(ModelError, match=rf"calibrate \(partition 00000\) {BODIES[body]}"):
        columns_of(own, np.zeros(2, np.float32), "00000", ["one", "two"])


def test_how_a_class_wants_numpy_to_take_an_underflow_concerns_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import numpy as np\nnp.seterr(all='raise')\nclass Own:\n    name = 'own'\n"
        "    def __init__(self, *_): np.seterr(all='raise')\n    def score(self, embeddings): ...\n"
        "    @staticmethod\n    def calibrate(raw):\n        np.seterr(all='raise')\n        return raw\n"
    )
    before = np.geterr()
    load_scorer(f"{tmp_path}/own.py:Own", tmp_path, "cpu", "any")
    columns_of(load_class(f"{tmp_path}/own.py:Own"), np.zeros(1, np.float32), "00000", ["one"])
    assert np.geterr() == before


def test_a_class_in_a_file_is_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("class Thing: ...\n")
    assert load_class(f"{tmp_path}/own.py:Thing") is load_class(f"{tmp_path}/own.py:Thing")


def test_files_whose_paths_differ_only_in_a_slash_are_two_modules(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number, path in enumerate((tmp_path / "a" / "b.py", tmp_path / "a_b.py")):
        path.write_text(f"class Thing:\n    number = {number}\n")
        assert load_class(f"{path}:Thing").number == number


def test_a_class_in_a_file_is_called_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "folder 1.2" / "mine, größe.py"
    path.parent.mkdir()
    path.write_text(
        "class Own:\n    dim, batch = 2, 1\n    def encode(self, pixels): return [0]\n    score = passes = encode\n"
        "    @staticmethod\n    def calibrate(raw): return raw[1:]\n    name = reason = 'own'\n"
    )
    own = load_class(f"{path}:Own")
    for work in (
        lambda: checked_encode(own(), torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "00000", ["one", "two"]),
        lambda: checked_embedding_score(own(), np.zeros((2, 3), np.float32), "00000", ["one", "two"]),
        lambda: first_failed([own()], pa.table({"uid": ["one", "two"]}), "00000"),
        lambda: columns_of(own, np.zeros(2, np.float32), "00000", ["one", "two"]),
    ):
        with pytest.raises(ModelError, match=f"^{re.escape(str(path))}:Own"):
            work()


@pytest.mark.parametrize("folder", ["plain", "version1.2"])
def test_a_relative_import_in_a_file_is_refused_as_such(folder: str, tmp_path: Path) -> None:
    path = tmp_path / folder / "own.py"
    path.parent.mkdir()
    path.write_text("from .helper import X\nclass Thing: ...\n")
    with pytest.raises(
        UsageError, match=r"attempted relative import with no known parent package \(.*own\.py, line 1\)"
    ):
        load_class(f"{path}:Thing")
