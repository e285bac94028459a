#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# What compilers and checkers find without executing anything, in the library
# and its examples, and some of it in tests, fuzzing targets and benchmarks:
# each is to find nothing, but something in what has a fault on purpose.
#
#   scripts/analyse.sh [warnings|tests|locks|cppcheck|analyzer|tidy...]
#
# One line for each file that a tool looked at, with what it found; the last
# line, "N passed, N failed", counts those lines.  The first four take a
# minute of a processor together, analyzer another, and tidy two and a half.
#
# ThreadSanitizer runs in .ci/run.

cd "$(dirname "$0")/.." || exit
. scripts/common.sh
need gcc clang libc6-dev pkg-config check $NEED_EXAMPLES || exit

tmp=$(mktemp -d "${TMPDIR:-/tmp}/libeio-analyse.XXXXXX") || exit
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
library="eio.c eiotree.c"
examples=$(echo examples/*.c)
programs="$examples $(echo fuzz/*.c bench/*.c)"

# As configure finds things here, and as they are where there is nothing: each
# name has a value, as -Wundef wants it.
mkdir "$tmp/all" "$tmp/none"
names="$(grep -o 'HAVE_[A-Z0-9_]*' libeio.m4 | grep -v 'HAVE_NAME$' | sort -u)
HAVE_STDINT_H HAVE_SYS_SYSCALL_H HAVE_SYS_PRCTL_H"
for name in $names
do
  echo "#define $name 1" | sed 's/POSIX_CLOSE 1/POSIX_CLOSE 0/' \
    >>"$tmp/all/config.h"
  echo "#define $name 0" >>"$tmp/none/config.h"
done
echo '#define EIO_PROBES 0' | tee -a "$tmp/none/config.h" >>"$tmp/all/config.h"

read -ra flags <<<"-std=gnu11 -D_GNU_SOURCE -I. $(
  pkg-config --cflags check libuv libevent glib-2.0 2>/dev/null)"

# try NAME FILE COMMAND...: counts what the command says about the file.
try ()
{
  local found status
  "${@:3}" >"$tmp/out" 2>&1
  status=$?
  found=$(grep -cE '(warning|error|performance|portability): ' "$tmp/out")
  if ((found || status))
  then
    ((++failed))
    cat "$tmp/out"
  else
    ((++passed))
  fi
  echo "$1 $2: $found found"
}

# each NAME FILES COMMAND...: the command for each file, which is its last
# argument.
each ()
{
  local file
  for file in $2
  do
    try "$1" "$file" "${@:3}" "$file"
  done
}

# fault CODE: a file that has it in a function.
fault ()
{
  cat >"$tmp/fault.c" <<END
#include "xthread.h"
#include <stdlib.h>
extern xmutex_t mutex;
int fault (int *p, long n);
int
fault (int *p, long n)
{
  $1
  return p == NULL && n;
}
END
}

# finds NAME COMMAND...: counts whether the command, with that file as its last
# argument, says something about it.
finds ()
{
  if "${@:2}" "$tmp/fault.c" 2>&1 | grep -qE '(warning|error): '
  then
    ((++passed))
    echo "$1 fault: found"
  else
    ((++failed))
    echo "$1 fault: missed"
  fi
}

warnings=(-O2 -Wall -Wextra -Wconversion -Wshadow -Wundef -o /dev/null)

run_warnings ()
{
  local cc config
  for cc in gcc clang
  do
    for config in all none
    do
      each "$cc warnings, $config" "$library" $cc "${flags[@]}" \
        -I"$tmp/$config" "${warnings[@]}" -c
    done
    each "$cc warnings" "$programs" $cc "${flags[@]}" -I"$tmp/all" \
      "${warnings[@]}" -c
    fault 'int less = n; n = less;'
    finds "$cc warnings" $cc "${flags[@]}" "${warnings[@]}" -c
  done
}

run_tests ()
{
  local cc
  for cc in gcc clang
  do
    each "$cc -Wall -Wextra" "$(echo tests/check_*.c)" $cc "${flags[@]}" \
      -I"$tmp/all" -Itests -Wall -Wextra -fsyntax-only
    fault 'n == 1;'
    finds "$cc -Wall -Wextra" $cc "${flags[@]}" -Wall -Wextra -fsyntax-only
  done
}

# That functions are called with the locks that they need, and that those that
# are taken are given back; of reqlock, reslock, siglock, and eio__pools_lock.
# Not of grplock, which is of a kind of its own, nor which members a lock
# guards: clang 14 cannot name a lock that is another member, and clang 22,
# which can, takes any pool's for this one's, and has no way to say that a
# child needs none.
run_locks ()
{
  local locks=(clang "${flags[@]}" -DX_CHECK_LOCKS -Wthread-safety
    -fsyntax-only)
  each "clang -Wthread-safety, all" "$library" "${locks[@]}" -I"$tmp/all"
  each "clang -Wthread-safety, none" "$library" "${locks[@]}" -I"$tmp/none"
  fault 'X_LOCK (mutex);'
  finds "clang -Wthread-safety" "${locks[@]}"
}

run_analyzer ()
{
  each 'gcc -fanalyzer' "$library $examples" gcc "${flags[@]}" -I"$tmp/all" \
    -O1 -fanalyzer -o /dev/null -c
  fault 'free (p); free (p);'
  finds 'gcc -fanalyzer' gcc "${flags[@]}" -O1 -fanalyzer -o /dev/null -c
}

# All of these groups, but for those that argue with what is meant:
# - easily-swappable-parameters, macro-parentheses (of loop variables),
#   branch-clone, sizeof-expression (arrays of pointers), string comparison as
#   a truth value: a matter of style.
# - DeprecatedOrUnsafeBufferHandling, strcpy: they want Annex K or strlcpy,
#   which C libraries lack. What is copied was measured before.
# - Padding: members are in groups, by what guards them and who writes them.
# - no-int-to-ptr: int3 has pointers in it, as eio.h says.
# - signed-char-misuse, cert-str34-c: type and pri are small numbers.
# - narrowing-conversions: -Wconversion looks after them.
# - mt-unsafe: readdir, as below; strerror and exit in examples' main.
# - err33-c, err34-c: printf of examples, and the numbers of their options.
tidy_checks='-*,clang-analyzer-*,bugprone-*,cert-*,concurrency-*,performance-*
portability-*
-bugprone-easily-swappable-parameters
-bugprone-macro-parentheses
-bugprone-branch-clone
-bugprone-sizeof-expression
-bugprone-suspicious-string-compare
-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
-clang-analyzer-security.insecureAPI.strcpy
-clang-analyzer-optin.performance.Padding
-performance-no-int-to-ptr
-bugprone-signed-char-misuse
-cert-str34-c
-bugprone-narrowing-conversions
-concurrency-mt-unsafe
-cert-err33-c
-cert-err34-c'

tidy ()
{
  clang-tidy --quiet "--checks=${tidy_checks//$'\n'/,}" "$1" -- \
    "${flags[@]}" -I"$tmp/all"
}

run_tidy ()
{
  need clang-tidy || exit
  each clang-tidy "$library $examples" tidy
  fault 'free (p); free (p);'
  finds 'clang-tidy' tidy
}

# readdirCalled: readdir_r is obsolete, and no stream has two readers.
# invalidFunctionArg: lseek takes more than POSIX's values of whence, and a call
# of fdatasync has to fail, to see whether the system knows it.
run_cppcheck ()
{
  need cppcheck || exit
  local cppcheck=(cppcheck -q --std=c11 --error-exitcode=1
    --enable=warning,performance,portability --library=posix --library=bsd
    --max-configs=1 -D__linux__ -D__LP64__ -D__GNUC__=12 -D_GNU_SOURCE -I.
    -I"$tmp/all" --suppress=readdirCalled --suppress=invalidFunctionArg)
  each cppcheck "$library $programs" "${cppcheck[@]}"
  fault 'free (p); free (p);'
  finds cppcheck "${cppcheck[@]}"
}

# shellcheck disable=SC2048 # a list
for tool in ${*:-warnings tests locks cppcheck analyzer tidy}
do
  "run_$tool"
done
echo "$passed passed, $failed failed"
((failed == 0))
