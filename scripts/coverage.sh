#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# What of eio.c and eiotree.c the unit tests execute, in lines and branches,
# taken together over all that include them or link the library.
#
#   scripts/coverage.sh [-b] [CONFIGURE-ARGUMENT...]
#
# A line that no test executes has to be in tests/uncovered.txt, with a reason;
# one that is there has to be one of them.  Fails if that is not so, or a test
# does.  A branch is one way out of a condition; with -b, lines of which not all
# are taken are listed, and how many.

[ "$1" != -b ] || { list_branches=1 && shift; }
source=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$source/scripts/common.sh"
need $NEED_BUILD $NEED_TESTS || exit

tmp=$(mktemp -d "${TMPDIR:-/tmp}/libeio-coverage.XXXXXX") || exit
trap 'cd / && rm -rf "$tmp"' EXIT
trap 'exit 130' HUP INT TERM

# Children that tests fork end by _exit, which would forget what they did.
# Those that are ordinary users write to the same files as root.
cat >"$tmp/dump.c" <<'END'
#include <sys/stat.h>
void __gcov_dump (void);
void __real__exit (int status);
void __wrap__exit (int status);
void
__wrap__exit (int status)
{
  umask (0);
  __gcov_dump ();
  __real__exit (status);
}
__attribute__ ((destructor)) static void
open_files (void)
{
  umask (0);
}
END

# Unless fork is just a function, gcc has a child forget what handlers of fork
# did in it.  If callbacks might throw, each call would be a branch; so the test
# in C++ is left out.
build ()
{
  copy_sources "$source" "$tmp/src" &&
    { [ -x configure ] || ./autogen.sh; } && mkdir "$tmp/obj" &&
    cd "$tmp/obj" && gcc -c -o "$tmp/dump.o" "$tmp/dump.c" &&
    ../src/configure --disable-shared "$@" CC=gcc LIBS="$tmp/dump.o" \
      CFLAGS="-g -O0 --coverage -fprofile-update=atomic -fno-builtin-fork \
        -fno-exceptions" \
      LDFLAGS="--coverage -Wl,--wrap=_exit" &&
    make && make check TESTS= && chmod a+x "$tmp" && chmod a+w . tests
}

echo "Building ..."
if ! build "$@" >"$tmp/log" 2>&1
then
  tail -n 50 "$tmp/log"
  echo "failed: the build" >&2
  exit 1
fi

echo "Testing ..."
cd "$tmp/obj" || exit
CK_DEFAULT_TIMEOUT=600
export CK_DEFAULT_TIMEOUT
# shellcheck disable=SC2016 # make's
make check TESTS='$(linked_tests) $(including_tests)' >"$tmp/log" 2>&1
result=$?
grep -E '^(FAIL|ERROR)' "$tmp/log"

gcov -b -c -t ./*.gcda >"$tmp/library" 2>/dev/null
find . -name '*.gcda' -exec gcov -b -c -t {} + >"$tmp/all" 2>/dev/null
awk -v list="$source/tests/uncovered.txt" -v show="$list_branches" '
  BEGIN {
    while ((getline entry < list) > 0)
      if (entry !~ /^(#|$)/)
        {
          reason = entry
          sub (/ -- .*/, "", entry)
          if (sub (/.* -- /, "", reason))
            excused[entry] = reason
        }
  }

  # The branches of a line, whose number tells variants of it apart: tests that
  # replace a call may add some.
  function end_line (i)
  {
    if (library && counts)
      branches[file, at] = n
    for (i = 0; !library && i < n; ++i)
      taken[file, at, n, i] += branch[i]
    if (n && !library)
      variants[file, at, n] = n
    n = counts = 0
  }

  /^ *-: *0:Source:/ {
    end_line ()
    file = $0
    sub (/.*[\/:]/, "", file)
    wanted = file == "eio.c" || file == "eiotree.c"
    within = ""
    next
  }
  !wanted { next }
  /^branch/ { branch[n++] = $3 == "taken" ? $4 : 0; next }
  /^(call|function|unconditional) / { next }
  {
    end_line ()
    split ($0, part, ":")
    at = part[2] + 0
    text = substr ($0, length (part[1]) + length (part[2]) + 3)
    if (text ~ /^[a-z_0-9]+ \(/)
      {
        within = text
        sub (/ .*/, "", within)
      }
    sub (/^ +/, "", text)
    count = part[1]
    gsub (/[ *]/, "", count)
    if (!at || count == "-") # lines between functions have no number
      next
    counts = 1
    line[file, at] += count ~ /^[#=]/ ? 0 : count
    name[file, at] = file " " within ": " text
    if (at > last[file])
      last[file] = at
  }

  # How many branches of a line are taken, at least, of how many there are in
  # the library, or, if that is built without it, in the simplest variant.
  function count_branches (file, at, n, k, found)
  {
    most = 0
    total = (file, at) in branches ? branches[file, at] : -1
    for (n = 1; n < 40; ++n)
      if ((file, at, n) in variants)
        {
          if (total < 0)
            total = n
          found = n > total ? total - n : 0
          for (k = 0; k < n; ++k)
            found += taken[file, at, n, k] > 0
          if (found > most)
            most = found
        }
    if (total < 0)
      total = 0
    if (most > total)
      most = total
    if (show && most < total)
      print file ":" at ": " most " of " total " branches: " name[file, at]
  }

  function report (file, i, all, hit, ways, gone)
  {
    for (i = 1; i <= last[file]; ++i)
      if ((file, i) in line)
        {
          ++all
          if (line[file, i])
            ++hit
          else if (name[file, i] in excused)
            used[name[file, i]] = 1
          else
            print file ":" i ": not executed: " name[file, i]
          count_branches(file, i)
          ways += total
          gone += most
        }
    printf "%s: %d of %d lines (%.1f %%), %d of %d branches (%.1f %%)\n", file,
      hit, all, 100 * hit / all, gone, ways, 100 * gone / ways
  }

  END {
    end_line ()
    report("eio.c")
    report("eiotree.c")
    for (i in line)
      if (!line[i] && !(name[i] in excused))
        failed = 1
    for (i in excused)
      if (!(i in used))
        {
          print "tests/uncovered.txt: executed, or not there: " i
          failed = 1
        }
    exit failed
  }' library=1 "$tmp/library" library=0 "$tmp/all" || result=1
exit $result
