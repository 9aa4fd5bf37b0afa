#!/usr/bin/env bash
# Writes the two locks from requirements.in. Needs uv. The lock for 3.12 also serves 3.13.
# Versions already locked stay unless requirements.in forbids them: pass --upgrade to move them all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

for python in 3.11 3.12; do
    lock="requirements-py${python/./}.txt"
    uv pip compile requirements.in --universal --python-version "$python" --quiet \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file "$lock" "$@"
done

# A universal resolution for 3.11 also lists what only newer Pythons take; their lock is the other file.
grep -vE "python_full_version (>=|==) '3\.12" requirements-py311.txt > requirements-py311.txt.new
mv requirements-py311.txt.new requirements-py311.txt
wc -l requirements-py*.txt
