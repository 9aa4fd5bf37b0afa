#!/usr/bin/env bash
# Sets SkySense notebooks up in .venv (once) and runs them. Works from any folder.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bash env/run.sh VERB

  demo                     execute the first notebook and say where its page is
  lab [OPTION...]          open JupyterLab on the notebooks
  run NAME [-p KEY=VALUE]  execute one notebook with parameters
  test [OPTION...]         run the tests; options go to pytest
  shell [COMMAND...]       a shell, or one command, inside the environment

The first call creates .venv (about 7 GB). Later calls install nothing unless a pin changed.
SKYSENSE_PYTHON names the Python to use, SKYSENSE_DISK_GB the free disk asked for (8),
SKYSENSE_TEST_PROCESSES how many processes share the tests (2). SKYSENSE_WHEELS names a folder of wheels
to install from without a network; a folder wheels/ beside this checkout is taken by itself.
TEXT
}

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
STAMP="$VENV/skysense-stamp"
UV_VERSION=0.13.8
DISK_GB="${SKYSENSE_DISK_GB:-8}"

# Where there are wheels, packages come from nowhere else: see `skysense-nb bundle`.
WHEELS="${SKYSENSE_WHEELS:-}"
if [[ -z "$WHEELS" ]] && compgen -G "$ROOT/../wheels/*.whl" >/dev/null; then WHEELS="$ROOT/../wheels"; fi

say() { printf 'skysense: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# A name on PATH is not enough: version managers leave commands there that only print an error.
supported() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    local name
    if [[ -n "${SKYSENSE_PYTHON:-}" ]] && ! supported "$SKYSENSE_PYTHON"; then
        die "Expected Python 3.11, 3.12 or 3.13 in SKYSENSE_PYTHON, got '$SKYSENSE_PYTHON'. Give the path of one that runs."
    fi
    for name in ${SKYSENSE_PYTHON:+"$SKYSENSE_PYTHON"} python3.11 python3.12 python3.13 python3; do
        if supported "$name"; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    die "Expected Python 3.11, 3.12 or 3.13 with its venv module, got none." \
        "Install one (Debian and Ubuntu: apt-get install python3 python3-venv), or name it in SKYSENSE_PYTHON."
}

check_disk() {
    local free used=0
    free="$(df -Pk "$ROOT" | awk 'NR == 2 { print $4 }')"
    if [[ -d "$VENV" ]]; then used="$(du -sk "$VENV" | cut -f1)"; fi
    if ((free + used < DISK_GB * 1024 * 1024)); then
        die "Expected $DISK_GB GB of free disk for $VENV, got $(((free + used) / 1024 / 1024)) GB. Free some space."
    fi
}

lock_file() {
    local version
    version="$("$1" -c 'import sys; print(sys.version_info[1])')"
    if ((version == 11)); then echo "$ROOT/env/requirements-py311.txt"; else echo "$ROOT/env/requirements-py312.txt"; fi
}

# Scripts in a virtual environment hold its path, so a moved checkout counts as a changed pin.
wanted_stamp() {
    { cat "$(lock_file "$VENV/bin/python")" "$ROOT/pyproject.toml" "${BASH_SOURCE[0]}"; echo "$ROOT"; } |
        { sha256sum 2>/dev/null || shasum -a 256; }
}

up_to_date() {
    supported "$VENV/bin/python" && [[ -f "$STAMP" && "$(cat "$STAMP")" == "$(wanted_stamp)" ]]
}

no_packages() {
    if [[ -n "$WHEELS" ]]; then
        die "Expected a wheel of every pinned package in $WHEELS, got the error above." \
            "Check the folder, and that its wheels are for $("$VENV/bin/python" --version) on this platform."
    fi
    die "Expected to download the pinned packages, got no usable answer from the package index." \
        "Check the network (or the proxy and index settings of pip), then call this again."
}

from_source() {
    if [[ -n "$WHEELS" ]]; then "$@" --no-index --find-links "$WHEELS"; else "$@"; fi
}

install() {
    local python="$VENV/bin/python" uv lock
    lock="$(lock_file "$python")"
    uv="$(command -v uv || true)"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    if [[ -z "$uv" ]]; then
        from_source "$python" -m pip install --quiet --retries 1 "uv==$UV_VERSION" >/dev/null 2>&1 || true
        uv="$VENV/bin/uv"
    fi
    if [[ -x "$uv" ]]; then
        # pip trusts the system's certificates; uv does so only when asked. Companies sign with their own.
        export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
        say "Installing the pinned packages with uv (about a minute) ..."
        from_source "$uv" pip install --python "$python" --quiet --compile-bytecode --requirement "$lock" || no_packages
        "$uv" pip install --python "$python" --quiet --no-deps --no-build-isolation --editable "$ROOT" || die \
            "Expected skysense-nb itself to install, got the error above. Check that $ROOT is writable."
    else
        say "Installing the pinned packages with pip (several minutes) ..."
        from_source "$python" -m pip install --quiet --retries 1 --requirement "$lock" || no_packages
        "$python" -m pip install --quiet --no-deps --no-build-isolation --editable "$ROOT" || die \
            "Expected skysense-nb itself to install, got the error above. Check that $ROOT is writable."
    fi
    "$python" -m ipykernel install --sys-prefix --name python3 --display-name "SkySense (Python 3)" >/dev/null 2>&1 ||
        die "Expected the Jupyter kernel to register in $VENV, got an error. Delete $VENV and call this again."
}

set_up() {
    if up_to_date; then return; fi
    if ! supported "$VENV/bin/python"; then
        local python
        python="$(find_python)"
        check_disk
        say "Creating $VENV with $("$python" --version) ..."
        "$python" -m venv --clear "$VENV" || die "Expected to create $VENV, got the error above. Check that it is writable."
    else
        check_disk
    fi
    rm -f "$STAMP"
    install
    wanted_stamp >"$STAMP"
    say "Ready."
}

chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

# The browser tests drive a real Chromium; without one pytest skips them and says so.
ensure_chromium() {
    if chromium >/dev/null || [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then return; fi
    say "Installing Chromium for the browser tests ..."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        chromium fonts-dejavu-core; } >/dev/null 2>&1 || say "Chromium is not to be had here: browser tests will skip."
}

main() {
    local verb="${1:-help}"
    case "$verb" in
    demo | lab | run | test | shell) shift ;;
    help | -h | --help) usage; exit 0 ;;
    *) usage >&2; die "Expected a verb among demo, lab, run, test, shell, got '$verb'." ;;
    esac
    if [[ "$verb" == run && $# == 0 ]]; then die "Expected the name of a notebook, got none. Try: run 00_start_here."; fi

    set_up
    export PATH="$VENV/bin:$PATH" VIRTUAL_ENV="$VENV"
    # Waiting threads that spin take the other core away from whoever computes.
    export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
    # With a backend named here, notebooks would draw no inline figures.
    unset MPLBACKEND PYTHONPATH

    case "$verb" in
    demo) exec skysense-nb run --out "$ROOT/runs" 00_start_here "$@" ;;
    run) exec skysense-nb run --out "$ROOT/runs" "$@" ;;
    lab)
        export JUPYTER_CONFIG_PATH="$ROOT/env/jupyter${JUPYTER_CONFIG_PATH:+:$JUPYTER_CONFIG_PATH}"
        if [[ "$(id -u)" == 0 ]]; then set -- --allow-root "$@"; fi
        cd "$ROOT/notebooks"
        exec jupyter lab "$@" 00_start_here.ipynb
        ;;
    test)
        ensure_chromium
        cd "$ROOT"
        export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
        exec python -m pytest -rs --numprocesses "${SKYSENSE_TEST_PROCESSES:-2}" --dist loadscope --no-loadscope-reorder "$@"
        ;;
    shell)
        if (($#)); then exec "$@"; fi
        say "Inside $VENV; leave with exit."
        exec "${SHELL:-bash}"
        ;;
    esac
}

main "$@"
