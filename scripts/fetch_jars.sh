#!/usr/bin/env bash
# Fetch a part of Nextflow and the jars it needs: fetch_jars.sh PART FOLDER. The folder is made anew.
set -euo pipefail
case $1 in
nextflow) version=24.10.0 ;; # the newest release whose parts are all published as Maven artifacts
nf-lang) version=25.04.0 ;;  # its strict parser, which the tests ask; the only release that is published
esac

folder=$2
rm -rf "$folder"
mkdir -p "$folder"
jgo=$(readlink -f .venv/bin/jgo)
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
(cd "$beside" && "$jgo" --quiet --resolver python --links copy --timeout 120 --cache-dir "$beside" \
    info classpath "io.nextflow:$1:$version" >/dev/null)
find "$beside" -name '*.jar' -exec mv -t "$folder" {} +
