# script/lib.sh: what the commands share: installing packages and naming places. Sourced, not run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

build_packages="gcc libc6-dev cmake ninja-build pkg-config libssl-dev libuv1-dev libhttp-parser-dev libjansson-dev
 libsqlite3-dev libcurl4-openssl-dev libinih-dev libjsmn-dev libtss2-dev
 liblua5.4-dev libmaxminddb-dev"
demo_packages="openssl ca-certificates procps swtpm swtpm-tools"
test_packages="clang clang-format libclang-rt-14-dev llvm-14 libcmocka-dev valgrind openssl curl ca-certificates nodejs binutils git procps
 sqlite3 swtpm swtpm-tools tpm2-tools"

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

# need PACKAGE...: installs those that are missing (Debian or Ubuntu), with sudo when not root.
need() {
    local missing=() package sudo=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Missing packages: ${missing[*]}. Install them, or run as root." >&2; exit 1; }
        sudo=(sudo)
    fi
    say "installing ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_npm: node's package manager, which some node packages bring along and Debian's does not.
need_npm() {
    command -v npm >/dev/null || need npm
}

# build PRESET [TARGET...]
build() {
    local preset=$1
    shift
    say "building ($preset)"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" ${1:+--target "$@"} -- --quiet
}

is_listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; } # PORT

# free_port FROM: the first port from there on that nobody listens on.
free_port() {
    local port
    for port in $(seq "$1" $(($1 + 200))); do
        is_listening "$port" || { echo "$port"; return; }
    done
}

# wait_for WHAT COMMAND...: until the command succeeds, 20 seconds at most; then shows the logs of this folder and exits.
wait_for() {
    local what=$1
    shift
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "$what did not happen in 20 seconds" >&2
    tail -5 ./*.log >&2
    exit 1
}
