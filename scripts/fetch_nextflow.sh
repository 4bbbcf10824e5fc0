#!/usr/bin/env bash
# Fetch Nextflow's jars: fetch_nextflow.sh FOLDER. The folder is made anew.
# 24.10.0 is the newest release whose parts are all published as Maven artifacts.
set -euo pipefail
VERSION=24.10.0

folder=$1
rm -rf "$folder"
mkdir -p "$folder"
jgo=$(readlink -f .venv/bin/jgo)
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
(cd "$beside" && "$jgo" --quiet --resolver python --links copy --timeout 120 --cache-dir "$beside" \
    info classpath "io.nextflow:nextflow:$VERSION" >/dev/null)
find "$beside" -name '*.jar' -exec mv -t "$folder" {} +
