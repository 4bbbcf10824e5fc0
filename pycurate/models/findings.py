"""What the self-test found, kept next to the weights, so that the same models on the same machine are tested once.

Findings are kept where nothing failed, and found again by all that they depend on: the code of pycurate, the installed
packages, the processor, GPUs and their driver, the models by name, and the bytes of their files. They are believed as
hashes of weights are (`pycurate.models.weights`): if this user, root or the owner of the folder wrote them.
"""

import hashlib
import json
import os
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pycurate
from pycurate.errors import StorageError
from pycurate.files import atomic, believed, changed_only_by, open_regular, sha256_of
from pycurate.fingerprint import content_hash
from pycurate.models.presets import is_open_clip
from pycurate.models.selection import ModelSelection
from pycurate.plugins import is_class, unpinned

FOLDER = ".verified"
"""Where findings are kept, in the folder that holds those of weights: these must not change for that."""


def findings_path(models: ModelSelection) -> Path | None:
    """Where the findings about these models on this machine are kept; None for models of one's own, whose files and
    code nobody but their author knows. Raises OSError if a file of weights cannot be read."""
    if not all(map(_published, (*models.encoders.values(), *models.scorers))):
        return None
    folder = models.model_dir.resolve()
    files = sorted(path for path in folder.glob("[!.]*") if path.is_file())
    known = {
        "code": content_hash(Path(pycurate.__file__).parent),
        "packages": sorted(f"{one.name} {one.version}" for one in distributions()),
        "machine": _machine(),
        "models": [models.wanted, models.precision, *models.encoders.items(), *models.scorers],
        "weights": [(path.name, sha256_of(path)) for path in files],
    }
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    return folder.parent / FOLDER / f"{key}.json"


def read_findings(path: Path) -> dict[str, Any] | None:
    """The report that `keep_findings` left there; None if there is none, or another user may have written it."""
    try:
        with open_regular(path) as file:
            if not changed_only_by(file, believed(path.parent.parent)):
                return None
            report: dict[str, Any] = json.load(file)
            return report
    except (OSError, ValueError):
        return None


def keep_findings(path: Path, report: dict[str, Any]) -> bool:
    """Whether the report could be written there."""
    try:
        with atomic(path) as written:
            written.write_text(json.dumps(report))
            written.chmod(0o644)  # whatever the umask: it is not believed where a group could change it
        return True
    except StorageError:
        return False


def _published(spec: str) -> bool:
    """Whether a model is pycurate's own or of open_clip's list, so that its code and files are known."""
    if is_class(spec):
        return spec.startswith("pycurate.models.builtin.")
    return is_open_clip(spec) and ":" not in spec and not Path(unpinned(spec)[0].partition("/")[2]).exists()


def _machine() -> list[str]:
    """What decides how this machine rounds, as far as the system says it without torch."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    driver = Path("/proc/driver/nvidia")
    places = sorted([*driver.glob("version"), *driver.glob("gpus/*/information")])
    gpus = [line for place in places for line in place.read_text().splitlines()]
    return [
        sys.version,
        os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
        *sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}),
        *(line for line in gpus if line.startswith(("NVRM", "Model", "GPU UUID"))),
    ]
