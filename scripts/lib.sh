# Shared by the scripts beside it; source it. Everything it brings lands in $tools and nowhere else.
# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${BROKKR_TOOLS_CACHE:-$root/target/tools}
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# at_least FOUND WANTED: is version FOUND the same or newer?
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# locked NAME CMD…: two builds at once would do the same work twice, or break each other's.
locked() {
  mkdir -p "$tools"
  local lock
  exec {lock}>"$tools/.$1.lock"
  flock "$lock"
  "${@:2}"
  exec {lock}>&-
}

# bring PACKAGE: installs a prebuilt package from PyPI, pinned by hash in tools.txt, and prints its folder.
bring() {
  local pin folder
  pin=$(grep "^$1==" "$root/scripts/tools.txt")
  folder=$tools/${pin%% *}
  [ -d "$folder" ] || locked "$1" install "$pin" "$folder"
  printf '%s\n' "$folder"
}

install() {
  [ ! -d "$2" ] || return 0
  local pip requirements=$2.txt
  pip=$(python_with_pip) || die "python3 with pip brings ${1%% *}: apt-get install python3-pip, then run this again"
  say "installing ${1%% *} into $tools"
  rm -rf "$2.part"
  printf '%s\n' "$1" >"$requirements"
  # Some wheels name a Python though they hold only programs: the fixed version makes any pip take them.
  "$pip" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
    --no-deps --only-binary :all: --python-version 3.11 --implementation cp \
    --require-hashes -r "$requirements" --target "$2.part" >&2 ||
    die "${1%% *} could not be installed, see above: is the package registry reachable? or install the tool by other means"
  rm "$requirements"
  mv "$2.part" "$2"
}

python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      printf '%s\n' "$python"
      return
    fi
  done
  return 1
}

# bring_environment NAME: makes a Python environment of what NAME.txt pins, by hashes, and prints its folder.
bring_environment() {
  local folder
  folder=$(environment "$1")
  [ -d "$folder" ] || locked "$1" install_environment "$1" "$folder"
  printf '%s\n' "$folder"
}

environment() {
  local sum
  sum=$(sha256sum "$root/scripts/$1.txt")
  printf '%s\n' "$tools/$1-${sum:0:12}"
}

install_environment() {
  [ ! -d "$2" ] || return 0
  local python
  python=$(python_with_venv) || die "python3 3.11 to 3.14 with venv brings $1: apt-get install python3-venv, then run this again"
  say "installing $1 into $tools"
  rm -rf "$2.part"
  "$python" -m venv "$2.part" >&2 || die "python3 -m venv failed, see above"
  "$2.part/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
    --require-hashes -r "$root/scripts/$1.txt" >&2 ||
    die "$1 could not be installed, see above: is the package registry reachable?"
  mv "$2.part" "$2"
}

# Debian has the module venv without what it needs, ensurepip, which is in python3-venv.
python_with_venv() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
      printf '%s\n' "$python"
      return
    fi
  done
  return 1
}
