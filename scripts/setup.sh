#!/bin/sh
# Checks that this machine has what the build (`build`) or the build and the tests (`test`) need.
# On Debian and Ubuntu it installs what is missing; elsewhere, or where it may not, it names it.
#
# Never installs Rust, never changes anything when nothing is missing, and never asks for a password
# without a terminal to ask on.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")

# --- what is there ---------------------------------------------------------------------------

have() { command -v "$1" >/dev/null 2>&1; }

# True if one of the arguments, which are patterns that the caller expanded, is a file.
any_file() {
    for file in "$@"; do
        case $file in *-cpp.*) continue ;; esac
        [ -e "$file" ] && return 0
    done
    return 1
}

have_libclang_in() {
    any_file "$1"/libclang.so "$1"/libclang-*.so "$1"/libclang.so.* "$1"/libclang-*.so.* \
        "$1"/libclang.dylib
}

# bindgen loads libclang from the same places, in clang-sys's order: LIBCLANG_PATH alone if it is
# set, else what llvm-config says, the library paths, and the usual folders.
have_libclang() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then
        [ -f "$LIBCLANG_PATH" ] || have_libclang_in "$LIBCLANG_PATH"
        return
    fi
    have_clang_headers || return 1
    llvm=$("${LLVM_CONFIG_PATH:-llvm-config}" --prefix 2>/dev/null) || llvm=
    for folder in ${llvm:+"$llvm/lib" "$llvm/lib64" "$llvm/bin"} \
        $(echo "${LD_LIBRARY_PATH:-}:${LIBRARY_PATH:-}" | tr ':' ' ') \
        /usr/local/llvm*/lib* /usr/local/lib*/*/* /usr/local/lib*/* /usr/local/lib* \
        /usr/lib*/*/* /usr/lib*/* /usr/lib* \
        /usr/local/opt/llvm*/lib /opt/homebrew/opt/llvm*/lib \
        /Library/Developer/CommandLineTools/usr/lib \
        /Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib; do
        have_libclang_in "$folder" && return 0
    done
    return 1
}

# The library without its own stddef.h loads, and then fails in the middle of the build.
have_clang_headers() {
    [ "$(uname)" = Darwin ] && return 0
    any_file /usr/lib*/clang/*/include/stddef.h /usr/lib*/llvm*/lib*/clang/*/include/stddef.h \
        /usr/lib*/llvm*/*/lib*/clang/*/include/stddef.h \
        /usr/local/lib*/clang/*/include/stddef.h /usr/local/llvm*/lib*/clang/*/include/stddef.h
}

# Checking an Ed25519 signature from the command line takes OpenSSL 3.
have_openssl() {
    case $(openssl version 2>/dev/null) in
        OpenSSL\ [012].*) return 1 ;;
        OpenSSL\ *) return 0 ;;
        *) return 1 ;;
    esac
}

# The second verifier of receipts is Python. Any python3 on the PATH will do, not only the first: the
# test looks through all of them too.
have_python_cryptography() {
    old_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        if [ -x "$folder/python3" ] && "$folder/python3" -c 'import cryptography' >/dev/null 2>&1; then
            IFS=$old_ifs
            return 0
        fi
    done
    IFS=$old_ifs
    return 1
}

# Not quiet: where rustup has to fetch the toolchain first, it says so.
have_rust() {
    have cargo || return 1
    version=$(cd "$root" && cargo --version) || return 1
    version=${version#cargo }
    major=${version%%.*}
    minor=${version#*.}
    minor=${minor%%.*}
    [ "$major" -gt "${rust_wanted%%.*}" ] || {
        [ "$major" -eq "${rust_wanted%%.*}" ] && [ "$minor" -ge "${rust_wanted#*.}" ]
    }
}

# --- what is needed --------------------------------------------------------------------------

# Prints the names of what is missing for `build` or `test`.
missing_for() {
    have "${CXX:-c++}" || have g++ || have clang++ || echo c++
    have "${CC:-cc}" || echo cc
    have make || echo make
    have_libclang || echo libclang
    [ "$1" = test ] || return 0
    have jq || echo jq
    have xxd || echo xxd
    have_openssl || echo openssl
    have_python_cryptography || echo python3-cryptography
}

# The package that brings $2 on a system with the installer $1.
package() {
    case $1/$2 in
        apt-get/c++) echo g++ ;;
        apt-get/cc) echo gcc libc6-dev ;;
        apt-get/libclang) echo libclang-dev ;;
        dnf/c++) echo gcc-c++ ;;
        dnf/cc) echo gcc ;;
        dnf/libclang) echo clang-devel ;;
        dnf/xxd) echo /usr/bin/xxd ;;
        pacman/c++ | pacman/cc) echo gcc ;;
        pacman/libclang) echo clang ;;
        pacman/xxd) echo tinyxxd ;;
        pacman/python3-cryptography) echo python-cryptography ;;
        brew/c++ | brew/cc | brew/make | brew/libclang) echo llvm ;;
        brew/xxd) echo vim ;;
        brew/openssl) echo openssl@3 ;;
        brew/python3-cryptography) echo cryptography ;;
        *) echo "$2" ;;
    esac
}

# The packages that bring all of $2… on a system with the installer $1, each once.
packages() {
    installer=$1
    shift
    listed=" "
    for item in "$@"; do
        for name in $(package "$installer" "$item"); do
            case $listed in *" $name "*) ;; *) listed="$listed$name " ;; esac
        done
    done
    listed=${listed% }
    echo "${listed# }"
}

# How a person would install $1… here.
say_how() {
    if [ "$(uname)" = Darwin ]; then
        echo "  macOS: xcode-select --install; brew install $(packages brew "$@")" >&2
    elif have apt-get; then
        echo "  Debian, Ubuntu: sudo apt-get install $(packages apt-get "$@")" >&2
    elif have dnf; then
        echo "  Fedora: sudo dnf install $(packages dnf "$@")" >&2
    elif have pacman; then
        echo "  Arch: sudo pacman -S $(packages pacman "$@")" >&2
    else
        echo "  Debian, Ubuntu: sudo apt-get install $(packages apt-get "$@")" >&2
        echo "  Fedora: sudo dnf install $(packages dnf "$@")" >&2
        echo "  Arch: sudo pacman -S $(packages pacman "$@")" >&2
    fi
}

# --- installing ------------------------------------------------------------------------------

# Runs apt-get as root, or fails if that is not possible from here.
apt_get() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get "$@"
    elif have sudo && [ -t 0 ]; then
        sudo DEBIAN_FRONTEND=noninteractive apt-get "$@"
    elif have sudo; then
        sudo -n DEBIAN_FRONTEND=noninteractive apt-get "$@"
    else
        return 1
    fi
}

install() {
    wanted=$(packages apt-get "$@")
    echo "setup: installing $wanted with apt-get" >&2
    # A list that cannot be renewed may still be good enough to install from.
    apt_get -qq update >&2 || true
    # shellcheck disable=SC2086 # one word per package
    apt_get -qq install -y --no-install-recommends $wanted >&2
}

what=${1:-build}
case $what in
    build | test) ;;
    *)
        echo "usage: setup.sh [build|test]" >&2
        exit 2
        ;;
esac

missing=$(missing_for "$what")
if [ -n "$missing" ] && have apt-get && [ "$(uname)" != Darwin ]; then
    # shellcheck disable=SC2086 # one word per item
    install $missing || echo "setup: apt-get did not install everything" >&2
    missing=$(missing_for "$what")
fi

failed=0
if [ -n "$missing" ]; then
    failed=1
    echo "error: missing: $(echo "$missing" | tr '\n' ',' | sed 's/,$//; s/,/, /g')" >&2
    # shellcheck disable=SC2086 # one word per item
    say_how $missing
    case $missing in *libclang*)
        if [ -n "${LIBCLANG_PATH:-}" ]; then
            echo "  LIBCLANG_PATH is \`$LIBCLANG_PATH\`, and there is no libclang; unset or correct it" >&2
        else
            echo "  libclang somewhere else: set LIBCLANG_PATH to its folder" >&2
        fi ;;
    esac
    case $missing in *openssl*)
        echo "  openssl must be 3.0 or later (found: $(openssl version 2>/dev/null || echo none))" >&2 ;;
    esac
    case $missing in *python3-cryptography*)
        echo "  a python3 on the PATH must find its package \`cryptography\`" >&2 ;;
    esac
fi
if ! have_rust; then
    failed=1
    if have cargo; then
        echo "error: Rust is older than $rust_wanted ($(cargo --version 2>&1 | head -n 1))" >&2
        echo "  with rustup: rustup update stable" >&2
    else
        echo "error: missing: cargo" >&2
        echo "  install Rust $rust_wanted or later with rustup (https://rustup.rs), then open a new shell" >&2
    fi
fi
exit "$failed"
