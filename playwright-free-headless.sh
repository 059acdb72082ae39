#!/usr/bin/env bash
# Runs a job in headless Chrome, on a machine that has nothing but Node.js and npm. See tooling/usage.txt.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PUPPETEER_SKIP_DOWNLOAD=1

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

wrong_usage() {
  printf '%s\n\n' "$1" >&2
  cat "$root/tooling/usage.txt" >&2
  exit 2
}

# Runs a command quietly; if it fails, shows what it printed.
quietly() {
  local what=$1 log
  shift
  log=$(mktemp)
  echo "$what" >&2
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    fail "Failed: $*"
  fi
  rm -f "$log"
}

check_node() {
  local help="Install Node.js 20.19 or newer with npm from https://nodejs.org/."
  command -v node >/dev/null || fail "Node.js is missing. $help"
  command -v npm >/dev/null || fail "npm is missing. $help"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node.js $(node --version) is too old. $help"
}

install_packages() {
  node "$root/tooling/check-installed.mjs" ||
    quietly "Installing the locked packages …" npm --prefix "$root" ci --no-audit --no-fund --ignore-scripts
}

is_debian() {
  [ -r /etc/os-release ] && grep -q '^ID=debian$' /etc/os-release && command -v apt-get >/dev/null
}

install_browser() {
  if ! node "$root/tooling/find-browser.mjs" >/dev/null 2>&1 && [ -z "${CHROME_PATH:-}" ] &&
    [ "$(id -u)" = 0 ] && is_debian; then
    export DEBIAN_FRONTEND=noninteractive
    quietly "Reading the package lists …" apt-get update
    quietly "Installing chromium …" apt-get install -y --no-install-recommends chromium
  fi
  CHROME_PATH=$(node "$root/tooling/find-browser.mjs") || exit 1
  export CHROME_PATH
}

install_torch() {
  if ! python3 -c 'import torch' 2>/dev/null && ! /usr/bin/python3 -c 'import torch' 2>/dev/null &&
    [ "$(id -u)" = 0 ] && is_debian; then
    export DEBIAN_FRONTEND=noninteractive
    quietly "Reading the package lists …" apt-get update
    quietly "Installing python3-torch …" apt-get install -y --no-install-recommends python3-torch
  fi
}

# What the hosts Node and Deno reach a GPU by, or the software drivers: see docs/hosts.md.
install_vulkan() {
  local package missing=()
  [ "$(id -u)" = 0 ] && is_debian || return 0
  for package in "$@"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  quietly "Reading the package lists …" apt-get update
  quietly "Installing ${missing[*]} …" apt-get install -y --no-install-recommends "${missing[@]}"
}

job=${1:-}
for argument in "$@"; do
  case $argument in -h | --help)
    cat "$root/tooling/usage.txt"
    exit 0
    ;;
  esac
done
case $job in
  bench | conformance | handover | test | train) ;;
  setup) [ $# -eq 1 ] || wrong_usage "setup takes no options." ;;
  "") wrong_usage "No job given." ;;
  *) wrong_usage "Unknown job '$job'." ;;
esac

check_node
install_packages
install_browser
[ "$job" != handover ] || install_torch
case "$job $*" in
  *llvmpipe*) install_vulkan libvulkan1 mesa-vulkan-drivers libegl1 libgles2 libgl1-mesa-dri ;;
  test* | setup* | *--host*) install_vulkan libvulkan1 ;;
esac
[ "$job" = setup ] || exec node "$root/tooling/main.mjs" "$@"
