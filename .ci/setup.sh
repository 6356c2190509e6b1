#!/bin/sh
# What `make` needs done before anything runs. Usage: .ci/setup.sh packages | libraries
#
#   packages   makes .venv and installs the pinned Python packages into it
#   libraries  installs the system libraries that are missing (Linux), or names them
set -eu
cd "$(dirname "$0")/.."

CPU_INDEX=https://download.pytorch.org/whl/cpu

# Libraries that the wheels of PySide6 and sounddevice expect of the system, with the Debian packages that hold them.
# The first column is what the loader looks for, so a library that is there by any other way is not installed again.
libraries="
libportaudio.so.2       libportaudio2
libEGL.so.1             libegl1
libGL.so.1              libgl1
libX11.so.6             libx11-6
libX11-xcb.so.1         libx11-xcb1
libdbus-1.so.3          libdbus-1-3
libfontconfig.so.1      libfontconfig1
libglib-2.0.so.0        libglib2.0-0
libxkbcommon.so.0       libxkbcommon0
libxkbcommon-x11.so.0   libxkbcommon-x11-0
libxcb-cursor.so.0      libxcb-cursor0
libxcb-icccm.so.4       libxcb-icccm4
libxcb-image.so.0       libxcb-image0
libxcb-keysyms.so.1     libxcb-keysyms1
libxcb-randr.so.0       libxcb-randr0
libxcb-render-util.so.0 libxcb-render-util0
libxcb-shape.so.0       libxcb-shape0
libxcb-sync.so.1        libxcb-sync1
libxcb-xfixes.so.0      libxcb-xfixes0
libxcb-xkb.so.1         libxcb-xkb1
"

# install_debian PACKAGE...: installs them where that needs no password, else says why not with status 1.
install_debian() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -eq 0 ]; then
        as_root="env"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo -n env"
    else
        return 1
    fi
    echo "Installing Debian packages: $*"
    $as_root DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        $as_root DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

# wants_small_torch: whether the ordinary PyTorch would bring CUDA libraries that nothing here can use. Where pip is told
# where to look, that is where PyTorch comes from too.
wants_small_torch() {
    [ "$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null &&
        ! .venv/bin/python -m pip config list | grep -E 'index-url|find-links|no-index' >/dev/null
}

packages() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "Foundsound needs Python 3.11 or newer; name it like this: make PYTHON=/path/to/python3.11 run" >&2
        exit 1
    }
    # Debian ships Python without the part that puts pip into a virtual environment.
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || install_debian python3-venv || {
        echo "Foundsound needs the Debian package python3-venv. Install it with: sudo apt-get install python3-venv" >&2
        exit 1
    }
    echo "Setting up .venv (a few minutes the first time)"
    "$PYTHON" -m venv .venv
    pip="nice .venv/bin/python -m pip --disable-pip-version-check install --constraint constraints.txt"
    [ -t 1 ] || pip="$pip --quiet"
    if [ -n "${TORCH_INDEX:-}" ]; then
        $pip --index-url "$TORCH_INDEX" torch
    elif wants_small_torch; then
        # Out of reach, or without our version: then it is the ordinary PyTorch, below.
        $pip --index-url "$CPU_INDEX" --timeout 10 --retries 1 --no-deps torch 2>/dev/null || true
    fi
    $pip --editable ".[test,lint]"
}

libraries() {
    [ "$(uname)" = Linux ] || return 0
    known=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p) || return 0
    missing=$(echo "$libraries" | while read -r library package; do
        case "$known" in *"$library"*) ;; *) printf ' %s' "$package" ;; esac
    done)
    [ -z "$missing" ] && return 0
    # shellcheck disable=SC2086 # a list of words
    install_debian $missing || echo "Missing system libraries; on Debian: sudo apt-get install$missing" >&2
}

case "${1:-}" in
packages | libraries) "$1" ;;
*) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
