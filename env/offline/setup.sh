#!/usr/bin/env bash
# Checks the bundle around this script, lays its miniatures where notebooks look for them, then hands its arguments to
# env/run.sh, which installs from wheels/ alone. Without arguments: the first notebook.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

sums() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

if [[ ! -d skysense-nb/.venv ]]; then
    if [[ ! -f SHA256SUMS ]] || ! sums --check --quiet SHA256SUMS >&2; then
        echo "skysense: Expected a whole bundle, got missing or damaged files. Copy it again from where it was made." >&2
        exit 1
    fi
    kept="${XDG_CACHE_HOME:-$HOME/.cache}/skysense-nb/miniatures"
    mkdir -p "$kept"
    for miniature in miniatures/*; do
        target="$kept/${miniature##*/}" beside="$kept/.${miniature##*/}.unfinished"
        if [[ ! -d "$miniature" || -e "$target" ]]; then continue; fi
        rm -rf "$beside"
        cp -R "$miniature" "$beside"
        mv "$beside" "$target"
    done
fi
if [[ -d wheels ]]; then export SKYSENSE_PYTHON="${SKYSENSE_PYTHON:-python@PYTHON@}"; fi
exec bash skysense-nb/env/run.sh "${@:-demo}"
