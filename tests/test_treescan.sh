#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# treescan against find, on a generated tree of nasty things and on /usr.
# With TREESCAN_VALGRIND=1, under valgrind and without /usr.
#
# In this file: 1 helpers, 2 the tree, 3 output, 4 limits, 5 errors,
# 6 interruption, 7 /usr.

LC_ALL=C
export LC_ALL

builddir=${top_builddir:-.}
treescan=$builddir/examples/treescan
failures=0
runner=

skip ()
{
  echo "skipped: $*"
  exit 77
}

[ -x "$treescan" ] || skip "there is no $treescan"
find / -prune -print0 >/dev/null 2>&1 || skip "find has no -print0"
sort -z </dev/null >/dev/null 2>&1 || skip "sort has no -z"
timeout 9 true 2>/dev/null || skip "there is no timeout"

work=$(mktemp -d "${TMPDIR:-/tmp}/treescan.XXXXXX") || exit 1
trap 'chmod -R u+rwx "$work" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tree=$work/tree

if [ -n "$TREESCAN_VALGRIND" ]; then
  # Beside a shared library, libtool puts a script in the program's place.
  if [ -x "$builddir/examples/.libs/treescan" ]; then
    treescan=$builddir/examples/.libs/treescan
    LD_LIBRARY_PATH=$builddir/.libs
    export LD_LIBRARY_PATH
  fi
  runner="valgrind -q --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite,possible"
fi

#############################################################################
# 1  Helpers

fail ()
{
  echo "FAILED: $*" | cut -c 1-300
  failures=$((failures + 1))
}

# Stops what hangs.  The result is that of treescan.
scan ()
{
  timeout -k 9 300 $runner "$treescan" "$@"
}

count_paths ()
{
  find "$@" -print0 | tr -dc '\0' | wc -c | tr -d ' '
}

# same NAME [OPTION]... -- PATH... [-- FIND_EXPRESSION]...: the two print the
# same, and treescan has nothing to complain about.
same ()
{
  name=$1 options= paths= tests=
  shift
  while [ "$1" != -- ]; do options="$options $1"; shift; done
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do paths="$paths $1"; shift; done
  [ $# -eq 0 ] || shift

  find $paths "$@" -print0 2>/dev/null | sort -z >"$work/expected"
  scan -0 $options $paths >"$work/out" 2>"$work/err"
  status=$?
  sort -z "$work/out" >"$work/sorted"

  [ $status -eq 0 ] || fail "$name: exit status $status"
  [ ! -s "$work/err" ] || fail "$name: $(head -n 3 "$work/err")"
  cmp -s "$work/expected" "$work/sorted" || fail "$name: not what find prints"
}

# with_descriptors NUMBER COMMAND [ARGUMENT]...: where so few may be open.
with_descriptors ()
{
  (
    ulimit -n "$1" || exit 0
    shift
    failures=0
    "$@"
    exit $failures
  ) || fail "$1 descriptors"
}

# expect NAME STATUS: the last scan ended with it.
expect ()
{
  [ $status -eq $2 ] || fail "$1: exit status $status instead of $2"
}

# expect_line NAME PATTERN: a line of its stderr matches.
expect_line ()
{
  grep -q -- "$2" "$work/err" || fail "$1: no line $2 in: $(cat "$work/err")"
}

#############################################################################
# 2  The tree

repeat ()
{
  awk -v what="$1" -v n="$2" 'BEGIN { while (n--) printf "%s", what }'
}

make_hostile_names ()
{
  newline='
'
  invalid=$(printf '\377\376\200')
  mkdir "$tree/names" && cd "$tree/names" || exit 1
  for name in "new${newline}line" "$newline" "$invalid" "-leading" "--dirs" \
    " " "*" "\\" "'" '"' "..." ".hidden" "tab	tab" "trailing " \
    "$(repeat n 255)" "$(printf 'esc\033[2J')"; do
    mkdir -- "./$name.d" 2>/dev/null || name=$(repeat n 253)
    mkdir -p -- "./$name.d"
    : >"./$name.d/$name" 2>/dev/null
    : >"./$name"
  done
  : >"$(repeat f 255)"
  mkdir "$(repeat d 255)" && : >"$(repeat d 255)/$(repeat f 255)"
  cd "$OLDPWD" || exit 1
}

make_types ()
{
  mkdir "$tree/types" "$tree/types/dir" "$tree/types/empty"
  : >"$tree/types/dir/file"
  ln -s dir "$tree/types/link_to_dir"
  ln -s dir/file "$tree/types/link_to_file"
  ln -s nowhere "$tree/types/dangling"
  ln -s .. "$tree/types/link_up"
  ln -s loop "$tree/types/loop"
  ln "$tree/types/dir/file" "$tree/types/hard_link"
  mkfifo "$tree/types/fifo"
  perl -MIO::Socket::UNIX \
    -e 'chdir shift; IO::Socket::UNIX->new (Local => "socket", Listen => 1)' \
    "$tree/types" 2>/dev/null
  echo 'some bytes' >"$tree/types/bytes"
}

make_tree ()
{
  mkdir "$tree" || exit 1
  make_hostile_names
  make_types
  mkdir "$tree/wide" "$tree/dirs"
  (cd "$tree/wide" && awk 'BEGIN { for (i = 0; i < 5000; ++i) print i }' \
    | xargs touch)
  (cd "$tree/dirs" && awk 'BEGIN { for (i = 0; i < 700; ++i)
      { print i; print i "/a"; print i "/b" } }' | xargs mkdir)
  # Directories that wait at each of many levels, which keeps theirs open.
  mkdir "$tree/thick"
  (cd "$tree/thick" && awk 'BEGIN { for (i = 0; i < 80; ++i)
      { for (j = 0; j < 20; ++j) print path j; path = path "19/" } }' \
    | xargs mkdir)
  mkdir -p "$tree/deep/$(repeat "level/" 300)"
  (cd "$tree/deep/level/level" && mkdir 1 2 3 && : >file)
}

make_tree

#############################################################################
# 3  Output

same "tree" -- "$tree"
same "dirs" --dirs -- "$tree" -- -type d
same "files" --files -- "$tree" -- ! -type d
same "both" --dirs --files -- "$tree"
same "stat" --stat -- "$tree"
same "stat, files" --stat --files -- "$tree" -- ! -type d
same "two paths" -- "$tree/types" "$tree/names"
same "a path twice" -- "$tree/types" "$tree/types"
same "paths in each other" -- "$tree/types/dir" "$tree/types"
same "many paths" -j 2 -- "$tree"/dirs/*
same "trailing slash" -- "$tree/types/"
same "trailing slashes" -- "$tree/types//"
same "inner slashes" -- "$work//tree///types"
same "dot" -- "$tree/types/."
same "dot-dot" -- "$tree/types/dir/.."
same "link to a directory" -- "$tree/types/link_to_dir"
same "link to a directory, slash" -- "$tree/types/link_to_dir/"
same "dangling link" -- "$tree/types/dangling"
same "link to itself" -- "$tree/types/loop"
same "file" -- "$tree/types/bytes"
same "fifo" -- "$tree/types/fifo"
same "empty directory" -- "$tree/types/empty"
cd "$tree/names" || exit 1
same "relative" -- .
same "leading dash" -- ./-leading.d ./--dirs.d
cd "$OLDPWD" || exit 1

(cd "$tree/names" && scan -- -leading.d) >"$work/out" \
  && printf -- '-leading.d\n-leading.d/-leading\n' | cmp - "$work/out" \
  || fail "path after --"

scan "$tree/wide" >"$work/out" && find "$tree/wide" | sort >"$work/expected" \
  && sort "$work/out" | cmp "$work/expected" - || fail "newlines"

scan -q "$tree" >"$work/out" && [ ! -s "$work/out" ] || fail "--quiet"

# The root itself, without going through all of it: the first bytes.
scan / 2>/dev/null | head -c 2 >"$work/out"
printf '/\n' | cmp - "$work/out" || fail "/"

# Counts and bytes.
scan -q --stat --summary "$tree" 2>"$work/err" || fail "summary: status $?"
expect_line "summary" "^$(count_paths "$tree") entries: $(
  count_paths "$tree" -type d) directories, $(
  count_paths "$tree" -type f) files, $(
  count_paths "$tree" ! -type d ! -type f) others; 0 errors\$"
expect_line "summary" "^$(find "$tree" -type f -exec ls -dn '{}' + \
  | awk '$5 ~ /^[0-9]+$/ && $1 ~ /^-/ { n += $5 } END { printf "%.0f", n }'
  ) bytes in files\$"
expect_line "summary" '^[0-9.]* s, [0-9]* entries/s, 16 requests in flight$'

# A progress line, which is erased, when errors go to a terminal and paths do
# not.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
  script -qec "'$treescan' -q '$tree'" "$work/typescript" </dev/null \
    >/dev/null 2>&1
  tr '\r' '\n' <"$work/typescript" >"$work/err"
  expect_line "progress" '^[0-9]* entries, [0-9]*/s, [0-9]* requests in flight'
  script -qec "'$treescan' '$tree/types/dir'" "$work/typescript" </dev/null \
    >/dev/null 2>&1
  grep -q 'in flight' "$work/typescript" && fail "progress between paths"
else
  echo "not tested: the progress line"
fi

#############################################################################
# 4  Limits

for jobs in 1 2 64; do
  same "$jobs jobs" -j $jobs -- "$tree"
  same "$jobs jobs, stat" --jobs=$jobs --stat -- "$tree"
done

# Few descriptors, which valgrind would count its own among.
if [ -z "$runner" ]; then
  for limit in 64 24; do
    with_descriptors $limit same "few descriptors" --jobs 64 -- "$tree"
    with_descriptors $limit same "few, stat" --jobs 64 --stat -- "$tree"
  done
fi

# Paths longer than the system takes at once, and directories beside them, so
# that working directories further up stay in use.  A library that cannot open
# working directories at any depth may give up somewhere, but has to say so.
scan_long_paths ()
{
  find "$deeper" | sort >"$work/expected"
  scan "$@" "$deeper" >"$work/out" 2>"$work/err"
  status=$?
  sort "$work/out" >"$work/sorted"

  if [ $status -eq 0 ]; then
    cmp -s "$work/expected" "$work/sorted" || fail "long paths $*: incomplete"
    return
  fi

  expect "long paths $*" 1
  grep -v ': File name too long$' "$work/err" && fail "long paths $*: errors"
  [ -z "$(comm -13 "$work/expected" "$work/sorted")" ] \
    || fail "long paths $*: paths that find has not"
  [ -z "$(comm -23 "$work/expected" "$work/sorted" \
    | awk 'length < 4000')" ] || fail "long paths $*: short ones missing"
}

name=$(repeat x 250)
deeper=$work/deeper
mkdir "$deeper"
if mkdir -p "$deeper/$(repeat "$name/" 120)" 2>/dev/null; then
  for depth in 1 9 60; do
    mkdir -p "$deeper/$(repeat "$name/" $depth)y/z"
  done
  scan_long_paths
  scan_long_paths --stat -j 1
  [ -n "$runner" ] || with_descriptors 64 scan_long_paths --jobs=64
else
  echo "not tested: mkdir cannot make long paths"
fi

#############################################################################
# 5  Errors

scan "$tree/missing" "$tree/types/dir" "$tree/types/bytes/" \
  >"$work/out" 2>"$work/err"
status=$?
expect "missing" 1
expect_line "missing" "^treescan: $tree/missing: No such file or directory\$"
expect_line "missing" "^treescan: $tree/types/bytes/: Not a directory\$"
[ "$(wc -l <"$work/err")" -eq 2 ] || fail "missing: $(cat "$work/err")"
printf '%s\n%s\n' "$tree/types/dir" "$tree/types/dir/file" \
  | cmp - "$work/out" || fail "missing: the rest"

scan --summary "$tree/new
line" '' >"$work/out" 2>"$work/err"
status=$?
expect "escapes" 1
expect_line "escapes" "^treescan: $tree/new\\\\012line: No such file"
expect_line "escapes" "^treescan: : No such file"
expect_line "escapes" "^0 entries: .*; 2 errors\$"

# A directory that cannot be read is printed, and what is beside it.
mkdir "$work/closed" "$work/closed/dir" "$work/closed/beside"
chmod 0 "$work/closed/dir"
chmod 755 "$work"
as_nobody=
if [ "$(id -u)" -eq 0 ]; then
  as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi
if $as_nobody "$treescan" --help >/dev/null 2>&1; then
  $as_nobody "$treescan" "$work/closed" >"$work/out" 2>"$work/err"
  status=$?
  expect "unreadable" 1
  expect_line "unreadable" "^treescan: $work/closed/dir: Permission denied\$"
  sort "$work/out" >"$work/sorted"
  find "$work/closed" 2>/dev/null | sort | cmp - "$work/sorted" \
    || fail "unreadable"
else
  echo "not tested: directories that cannot be read"
fi
chmod 700 "$work" "$work/closed/dir"

# Output that gets lost.
if [ -w /dev/full ]; then
  for path in "$tree/types/dir" "$tree"; do
    scan "$path" >/dev/full 2>"$work/err"
    status=$?
    expect "full" 1
    expect_line "full" '^treescan: standard output: No space left'
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "full: $(cat "$work/err")"
  done
fi

scan "$tree" >&- 2>"$work/err"
status=$?
expect "closed" 1
expect_line "closed" '^treescan: standard output: Bad file descriptor'

{
  scan "$tree" 2>"$work/err"
  echo $? >"$work/status"
} | :
status=$(cat "$work/status")
expect "pipe" 1
expect_line "pipe" '^treescan: standard output: Broken pipe'

# Usage.
for options in "" "--bogus ." "--jobs 0 ." "--jobs 1x ." "--jobs 9999 ." \
  "--jobs" "--dirs"; do
  scan $options >"$work/out" 2>"$work/err"
  status=$?
  expect "usage: $options" 2
  expect_line "usage: $options" '--help'
  [ ! -s "$work/out" ] || fail "usage: $options: output"
done
scan --help >"$work/out" 2>"$work/err" && grep -q '^Usage: treescan' \
  "$work/out" && [ ! -s "$work/err" ] || fail "--help"

#############################################################################
# 6  Interruption

# A scan that would take minutes gets the signal when it has printed something.
interrupt_scan ()
{
  # shellcheck disable=SC2046 # a list
  timeout -k 9 120 env --default-signal=INT $runner "$treescan" --summary \
    "$@" $(repeat "/usr " 9999) >"$work/fifo" 2>"$work/err" &
  exec 3<"$work/fifo"
  dd bs=1 count=1 <&3 >"$work/out" 2>/dev/null
  before=$(date +%s)
  kill -INT $!
  cat <&3 >/dev/null
  wait $!
  status=$?
  after=$(date +%s)
  exec 3<&-

  expect "interrupted $*" 130
  expect_line "interrupted $*" '(stopped)$'
  [ $((after - before)) -le 20 ] \
    || fail "interrupted $*: took $((after - before)) s"
}

# Background jobs ignore SIGINT, unless something else is done about it.
if env --default-signal=INT true 2>/dev/null && mkfifo "$work/fifo"; then
  interrupt_scan
  interrupt_scan --stat
  interrupt_scan --stat --jobs=1
else
  echo "not tested: SIGINT"
fi

#############################################################################
# 7  /usr

# Somebody else may change it meanwhile: what counts is a try during which
# find's own view of it stayed the same.
same_usr ()
{
  name="/usr $1" try=0
  while [ $((try += 1)) -le 5 ]; do
    find /usr $2 -print0 2>/dev/null | sort -z >"$work/expected"
    scan -0 $1 /usr 2>"$work/err" >"$work/out"
    status=$?
    find /usr $2 -print0 2>/dev/null | sort -z >"$work/after"
    cmp -s "$work/expected" "$work/after" || continue
    expect "$name" $usr_status
    sort -z "$work/out" | cmp "$work/expected" - \
      || fail "$name: not what find prints"
    return
  done
  echo "not tested: $name, which changes all the time"
}

if [ -z "$runner" ]; then
  find /usr >/dev/null 2>&1
  usr_status=$?
  same_usr "" ""
  same_usr "--stat" ""
  same_usr "--dirs --jobs=64" "-type d"
  same_usr "--files --jobs=2" "! -type d"
  with_descriptors 64 same_usr "--stat --jobs=64" ""
fi

#############################################################################

[ $failures -eq 0 ] || exit 1
echo "treescan prints what find prints"
