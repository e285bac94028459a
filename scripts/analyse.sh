#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# What compilers and checkers find in the library and its examples without
# executing anything: each is to find nothing.
#
#   scripts/analyse.sh [warnings|tests|analyzer|tidy|cppcheck...]
#
# One line for each file that a tool looked at, with what it found; the last
# line, "N passed, N failed", counts those lines.
#
# Not here is clang -Wthread-safety: functions that return what they locked,
# locks that depend on whose pool it is, and members that pass from thread to
# thread (section 0 of eio.c) are what it has no annotations for.
# ThreadSanitizer runs in .ci/run.

cd "$(dirname "$0")/.." || exit
. scripts/common.sh
need gcc clang clang-tidy cppcheck libc6-dev pkg-config check \
  $NEED_EXAMPLES || exit

tmp=$(mktemp -d "${TMPDIR:-/tmp}/libeio-analyse.XXXXXX") || exit
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
library="eio.c eiotree.c"
examples=$(echo examples/*.c)

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
    each "$cc warnings" "$examples" $cc "${flags[@]}" "${warnings[@]}" -c
  done
}

run_tests ()
{
  local cc
  for cc in gcc clang
  do
    each "$cc -Wall -Wextra" "$(echo tests/check_*.c)" $cc "${flags[@]}" \
      -I"$tmp/all" -Itests -Wall -Wextra -fsyntax-only
  done
}

run_analyzer ()
{
  each 'gcc -fanalyzer' "$library $examples" gcc "${flags[@]}" -I"$tmp/all" \
    -O1 -fanalyzer -o /dev/null -c
}

# All of these groups, but for those that argue with what is meant:
# - easily-swappable-parameters, macro-parentheses (of loop variables),
#   branch-clone, sizeof-expression (arrays of pointers), string comparison as
#   a truth value, DeprecatedOrUnsafeBufferHandling (wants Annex K, which C
#   libraries lack): a matter of style.
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
-performance-no-int-to-ptr
-bugprone-signed-char-misuse
-cert-str34-c
-bugprone-narrowing-conversions
-concurrency-mt-unsafe
-cert-err33-c
-cert-err34-c'

run_tidy ()
{
  local file
  for file in $library $examples
  do
    try clang-tidy "$file" clang-tidy --quiet \
      "--checks=${tidy_checks//$'\n'/,}" "$file" -- "${flags[@]}" -I"$tmp/all"
  done
}

# readdirCalled: readdir_r is obsolete, and no stream has two readers.
# invalidFunctionArg: lseek takes more than POSIX's values of whence, and a call
# of fdatasync has to fail, to see whether the system knows it.
run_cppcheck ()
{
  each cppcheck "$library $examples" cppcheck -q --std=c11 --error-exitcode=1 \
    --enable=warning,performance,portability --inline-suppr --library=posix \
    --library=bsd --max-configs=1 -D__linux__ -D__LP64__ -D__GNUC__=12 \
    -D_GNU_SOURCE -I. -I"$tmp/all" --suppress=readdirCalled \
    --suppress=invalidFunctionArg
}

# shellcheck disable=SC2048 # a list
for tool in ${*:-warnings tests analyzer tidy cppcheck}
do
  "run_$tool"
done
echo "$passed passed, $failed failed"
((failed == 0))
