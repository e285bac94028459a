#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Builds the library and lets examples/treescan scan a real tree, beside the
# time that one thread takes which makes the same calls one after the other.
# On a fresh Debian machine too: as root it installs what is missing,
# otherwise it says what that is.
#
#   scripts/demo.sh [PATH]
#
# PATH is /usr where none is given.  JOBS says how many requests are in
# flight (default 32).  The build happens in a temporary copy, which is
# removed.
#
# Both scans stat every entry.  Root can empty the system's caches first, so
# both are also timed "cold", where they wait for the disk; "warm" is from
# memory, where there is nothing to wait for.  Whoever is not root, or in a
# container that does not allow it, gets the warm times only.

source=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$source/scripts/common.sh"

path=${1-/usr}
jobs=${JOBS:-32}
LC_ALL=C
export LC_ALL

if [ $# -gt 1 ] || [ ! -d "$path" ]
then
  echo "Usage: $0 [DIRECTORY]" >&2
  exit 2
fi
path=$(cd -- "$path" && pwd -P) || exit

need $NEED_BUILD findutils || exit

build=$(mktemp -d "${TMPDIR:-/tmp}/libeio-demo.XXXXXX") || exit
trap 'cd / && rm -rf "$build"' EXIT
trap 'exit 130' HUP INT TERM

build_treescan ()
{
  copy_sources "$source" "$build/src" &&
    { [ -x configure ] || ./autogen.sh; } &&
    mkdir "$build/obj" && cd "$build/obj" &&
    ../src/configure --disable-shared &&
    make -j "$(nproc 2>/dev/null || echo 1)" examples/treescan
}

echo "Building in $build ..."
if ! build_treescan >"$build/log" 2>&1
then
  tail -n 50 "$build/log"
  echo "failed: the build" >&2
  exit 1
fi
treescan=$build/obj/examples/treescan

drop_caches ()
{
  [ "$(id -u)" = 0 ] || return
  sync
  { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null
}

# What a plain program does: one lstat after the other.  find needs the size,
# so it stats each entry; the sizes go nowhere.
scan_sequentially ()
{
  find "$path" -printf '%s %p\n' >/dev/null
}

# The progress line is shown when this runs in a terminal.
scan_with_treescan ()
{
  "$treescan" --stat --summary --jobs="$jobs" "$path" >/dev/null
}

# Prints the seconds that a command takes; its messages go where ours go.
time_command ()
{
  begun=$(date +%s.%N)
  "$@" 1>&2
  awk -v a="$begun" -v b="$(date +%s.%N)" 'BEGIN { printf "%.3f", b - a }'
}

print_row ()
{
  awk -v what="$1" -v seq="$2" -v par="$3" 'BEGIN {
    printf "  %-5s %12.3f s %12.3f s   ", what, seq, par
    if (par <= seq)
      printf "treescan is %.2f times as fast\n", seq / par
    else
      printf "treescan takes %.2f times as long\n", par / seq
  }'
}

cold=no
if drop_caches
then
  cold=yes
  echo "Scanning $path, cold: find ..."
  find_cold=$(time_command scan_sequentially)
  drop_caches
  echo "Scanning $path, cold: treescan ..."
  treescan_cold=$(time_command scan_with_treescan)
else
  echo "The caches cannot be emptied here: only warm times are taken."
  scan_sequentially 2>/dev/null
fi

echo "Scanning $path, warm: find ..."
find_warm=$(time_command scan_sequentially)
echo "Scanning $path, warm: treescan ..."
treescan_warm=$(time_command scan_with_treescan)

echo
echo "Time to stat all of $path, on $(nproc 2>/dev/null || echo ?) CPUs:"
printf '  %-5s %14s %14s\n' '' 'one by one' "$jobs in flight"
[ $cold = no ] || print_row cold "$find_cold" "$treescan_cold"
print_row warm "$find_warm" "$treescan_warm"
