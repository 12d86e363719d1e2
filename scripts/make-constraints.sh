#!/usr/bin/env bash
# Writes constraints.txt: the exact version of every package that a fresh environment with all extras,
# the test tools and the peers of benchmark and interop gets today. `make constraints` runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$python" -m venv "$folder"
"$folder/bin/python" -m pip --disable-pip-version-check --quiet install \
    hatchling editables --editable ".[dev]" --requirement tests/bench/requirements.txt \
    --requirement tests/interop/requirements.txt --requirement tests/fuzz/requirements.txt
{
    echo "# Made by \`make constraints\` with $("$python" --version). Every install of the Makefile and of CI obeys it."
    "$folder/bin/python" -m pip freeze --exclude-editable
} >"$folder/constraints.txt"
if grep -n -E '://| @ ' "$folder/constraints.txt"; then
    echo "a package did not come from an index by its version" >&2
    exit 1
fi
cp "$folder/constraints.txt" constraints.txt
