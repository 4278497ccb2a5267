#!/usr/bin/env bash
# Installs the system packages that the build and the tests need, and says so. Does nothing when all are there.
set -euo pipefail

packages=(libcurl4-openssl-dev libpq-dev libsqlite3-dev libyaml-dev zlib1g-dev pkg-config curl openssl python3 python3-venv)
# The tests start a PostgreSQL of their own, count instructions, and look at the console in a browser, in Chinese too.
[[ ${1:-} == --tests ]] && packages+=(postgresql util-linux valgrind binutils chromium fonts-wqy-microhei)

if ! command -v dpkg-query >/dev/null; then
    echo "This is not a Debian-like system; please install the counterparts of: ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    # A python3 that brings its own venv module (pyenv, a container image) serves as well as Debian's packages.
    if [[ $package == python3* ]] && python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then continue; fi
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

sudo=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || { echo "Please install as root: apt-get install ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
fi
echo "Installing missing system packages with apt-get: ${missing[*]}"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
