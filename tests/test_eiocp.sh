#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# eiocp against cp -a, on a generated tree of nasty things.  With
# EIOCP_VALGRIND=1, under valgrind.
#
# In this file: 1 helpers, 2 the tree, 3 copies, 4 targets, 5 options, 6 errors,
# 7 the terminal, 8 interruption.

LC_ALL=C
export LC_ALL
umask 022

builddir=${top_builddir:-.}
case $builddir in /*) ;; *) builddir=$(pwd)/$builddir ;; esac
eiocp=$builddir/examples/eiocp
failures=0
runner=

skip ()
{
  echo "skipped: $*"
  exit 77
}

untested ()
{
  echo "not tested: $*"
}

[ -x "$eiocp" ] || skip "there is no $eiocp"
find / -prune -printf '%T@ %b' >/dev/null 2>&1 || skip "find has no -printf"
sort -z </dev/null >/dev/null 2>&1 || skip "sort has no -z"
cp --help 2>/dev/null | grep -q -- --archive || skip "cp has no -a"
timeout 9 true 2>/dev/null || skip "there is no timeout"

# Beside a shared library, libtool puts a script in the program's place, which
# would get the signals.
if [ -x "$builddir/examples/.libs/eiocp" ]; then
  eiocp=$builddir/examples/.libs/eiocp
  LD_LIBRARY_PATH=$builddir/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
fi

if [ -n "$EIOCP_VALGRIND" ]; then
  runner="valgrind -q --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite,indirect,possible"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/eiocp.XXXXXX") || exit 1
other=
trap 'chmod -R u+rwx "$work" $other 2>/dev/null; rm -rf "$work" $other' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$work"
cd "$work" || exit 1

#############################################################################
# 1  Helpers

fail ()
{
  echo "FAILED: $*" | cut -c 1-600
  failures=$((failures + 1))
}

# In this directory, and by this command if that is not empty.  Stops what
# hangs.  The result is that of eiocp; what it prints is kept.
place=.
as=
run ()
{
  # shellcheck disable=SC2086 # lists
  timeout -k 9 300 env -C "$place" $as $runner "$eiocp" "$@" >out 2>err \
    </dev/null
  status=$?
}

# expect NAME STATUS: the last run ended with it; 0 means in silence, too.
expect ()
{
  [ $status -eq "$2" ] || fail "$1: status $status, not $2: $(head -n 3 err)"
  [ ! -s out ] || fail "$1: output: $(head -n 3 out)"
  [ "$2" -ne 0 ] || [ ! -s err ] || fail "$1: $(head -n 3 err)"
}

# expect_line NAME PATTERN: a line of its stderr matches.
expect_line ()
{
  grep -q -- "$2" err || fail "$1: no line $2 in: $(cat err)"
}

# One line for each thing below a directory, whatever its name is: all that a
# copy has to keep.  Access times are in the future, where reading leaves them
# alone.  dir_times is empty where others are in those directories, too.
dir_times='%T@ %A@'
describe ()
{
  (
    cd "$1" || exit 1
    find . -mindepth 1 -type d -printf "dir %p %m %U %G $dir_times\\0" -o \
      -type l -printf 'link %p %l %U %G %T@ %A@\0' -o \
      -printf '%y %p %m %U %G %s %T@ %A@\0'
    find . -type f -print0 | sort -z | xargs -0r cksum | tr '\n' '\001'
    printf '\0'
    find . ! -type d -links +1 -printf '%i %p\0' | tr '\n\0' '\001\n' \
      | sort -k 2 | awk '{ i = $1; sub (/[0-9]* /, "")
          if (!(i in first)) first[i] = $0
          printf "same %s %s%c", first[i], $0, 0 }'
    if command -v getfattr >/dev/null; then
      find . -print0 | sort -z | xargs -0r getfattr -hdm '^user\.\|posix_acl' \
        2>/dev/null | tr '\n' '\001'
    fi
  ) | sort -z | tr '\0' '\n'
}

# same NAME DIRECTORY DIRECTORY: what is in the two is alike, and files occupy
# as much, but for a few blocks that tell where the others are.
same ()
{
  describe "$2" >expected
  describe "$3" >got
  cmp -s expected got || fail "$1: differs: $(diff expected got | head -n 8)"
  (cd "$2" && find . -type f -printf '%p %b\0') | sort -z >expected
  (cd "$3" && find . -type f -printf '%p %b\0') | sort -z >got
  tr '\n\0' '\001\n' <expected | awk '{ print $NF }' >blocks
  tr '\n\0' '\001\n' <got | awk '{ print $NF }' | paste blocks - \
    | awk '{ d = $2 - $1; if (d > 16 || d < -16) exit 1 }' \
    || fail "$1: other files occupy so much"
}

# like_cp NAME DIRECTORY SOURCE... TARGET: the same as with cp, in directories
# "cp" and "eio" below that one, in which TARGET is.
like_cp ()
{
  name=$1 cp=$2/cp place=$2/eio
  shift 2
  (cd "$cp" && exec cp -a "$@") >out 2>err </dev/null
  cp_status=$?
  run "$@"
  expect "$name" $cp_status
  same "$name" "$cp" "$place"
  place=.
}

# fresh DIRECTORY: empties the two.
fresh ()
{
  chmod -R u+rwx "$1/cp" "$1/eio" 2>/dev/null
  rm -rf "$1/cp" "$1/eio"
  mkdir -p "$1/cp" "$1/eio"
  [ -z "$as" ] || chown 65534:65534 "$1/cp" "$1/eio"
}

repeat ()
{
  awk -v what="$1" -v n="$2" 'BEGIN { while (n--) printf "%s", what }'
}

#############################################################################
# 2  The tree

make_names ()
{
  newline='
'
  mkdir tree/names && cd tree/names || exit 1
  for name in "new${newline}line" "$newline" "$(printf '\377\376\200')" \
    "-leading" "--sync" " " "*" "\\" "'" '"' "..." ".hidden" "trailing " \
    "$(repeat n 253)" "$(printf 'esc\033[2J')"; do
    mkdir -- "./$name.d" 2>/dev/null && echo "$name" >"./$name.d/$name"
    echo "$name" >"./$name"
  done
  : >"$(repeat f 255)"
  mkdir "$(repeat d 255)" && : >"$(repeat d 255)/$(repeat f 255)"
  cd "$work" || exit 1
}

make_types ()
{
  mkdir tree/types tree/types/dir tree/types/empty
  echo some >tree/types/dir/file
  ln -s dir tree/types/link_to_dir
  ln -s dir/file tree/types/link_to_file
  ln -s nowhere tree/types/dangling
  ln -s "$(repeat x/ 500)" tree/types/long
  ln -s loop tree/types/loop
  mkfifo tree/types/fifo
  ! [ "$(id -u)" -eq 0 ] || mknod tree/types/null c 1 3 2>/dev/null \
    || untested "devices"
  ln tree/types/dir/file tree/types/hard
  ln tree/types/dir/file tree/names/hard
  ln tree/types/fifo tree/types/hard_fifo
  ln -P tree/types/dangling tree/types/hard_link 2>/dev/null \
    || untested "links that have several names"
}

# 12 MiB at 10 MiB, and ends in a hole; nothing but a hole; many small ones.
make_data ()
{
  mkdir tree/data && : >tree/data/empty
  head -c 33000001 /dev/urandom >tree/data/big
  head -c 4096 /dev/urandom >tree/data/page
  head -c 12582912 /dev/urandom \
    | dd of=tree/data/holes bs=1048576 seek=10 2>/dev/null
  truncate -s 64M tree/data/holes
  truncate -s 20000001 tree/data/nothing
  for i in 1 3 5 7 9; do
    dd if=/dev/urandom of=tree/data/sieve bs=65536 count=1 seek=$i \
      conv=notrunc 2>/dev/null
  done
  mkdir tree/wide && (cd tree/wide && awk 'BEGIN {
    for (i = 0; i < 1500; ++i) { print i >i; close (i) } }')
  mkdir -p "tree/deep/$(repeat level/ 200)" && echo end \
    >"tree/deep/$(repeat level/ 200)end"
}

make_modes ()
{
  mkdir tree/modes
  for mode in 0 400 444 600 755 777 1644 2755 4755 6711; do
    echo $mode >tree/modes/file$mode
    mkdir tree/modes/dir$mode
    chmod $mode tree/modes/file$mode tree/modes/dir$mode
  done
  mkdir tree/modes/full && echo full >tree/modes/full/file
  chmod 555 tree/modes/full
  [ "$(id -u)" -ne 0 ] || { echo others >tree/modes/others &&
    chown -h 1234:5678 tree/modes/others tree/types/long tree/types/empty; }
}

make_attributes ()
{
  setfattr -n user.eio -v value tree/data/page 2>/dev/null &&
    setfattr -n user.eio -v 0x00ff00 tree/types/empty &&
    setfattr -n user.other -v "$(repeat v 900)" tree/data/page \
    || untested "extended attributes"
  setfacl -m u:1234:r tree/data/page 2>/dev/null || untested "access lists"
}

make_times ()
{
  touch -m -d '1999-12-31 23:59:59.123456789' tree/data/page tree/types
  touch -m -d '1960-01-01 00:00:00.5' tree/data/empty
  touch -h -m -d '2001-02-03 04:05:06.000000007' tree/types/dangling
  find tree -exec touch -h -a -d '2035-01-01 00:00:00.987654321' '{}' + \
    2>/dev/null
}

mkdir tree || exit 1
make_names
make_types
make_data
make_modes
make_attributes
make_times

#############################################################################
# 3  Copies

copy_tree ()
{
  fresh "$1"
  like_cp "tree in $1" "$1" "$work/tree" copy
  like_cp "tree again in $1" "$1" "$work/tree/." copy
  rm -rf "$1/cp" "$1/eio"
}

if [ "$(id -u)" -eq 0 ]; then
  copy_tree "$work"
  if other=$(mktemp -d /dev/shm/eiocp.XXXXXX 2>/dev/null) &&
    [ "$(stat -c %d "$other")" != "$(stat -c %d "$work")" ]; then
    chmod 755 "$other"
    copy_tree "$other"
  else
    untested "another file system"
  fi
  as='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi

# As a user, who may not read some things, but copies all others.
if $as "$eiocp" --help >/dev/null 2>&1; then
  for where in "$work" $other; do
    fresh "$where"
    place=$where/eio
    (cd "$where/cp" && exec $as cp -a "$work/tree" .) 2>/dev/null
    run "$work/tree" .
    expect "as a user" 1
    expect_line "as a user" "$work/tree/modes/file0: Permission denied\$"
    expect_line "as a user" "$work/tree/modes/dir0: Permission denied\$"
    # cp makes directories that it cannot read, and leaves them empty; it takes
    # the sticky bit from what gets another owner.
    for tree in "$where/cp/tree" "$where/eio/tree"; do
      (cd "$tree/modes" && chmod 644 file1644 dir1644 &&
        rmdir dir0 dir400 dir600 dir6711 2>/dev/null)
      touch -d 2000-01-01 "$tree/modes"
    done
    same "as a user" "$where/cp" "$where/eio"
  done
else
  untested "as a user"
fi
place=. as=

#############################################################################
# 4  Targets

fresh "$work"
for side in cp eio; do
  mkdir "$side/dir" "$side/dir/types" && echo old >"$side/dir/types/mine"
  echo old >"$side/file"
  touch -d 2000-01-01 "$side/file" "$side/dir/types/mine"
  touch -a -d 2035-01-01 "$side/file" "$side/dir/types/mine"
done
dir_times=
types=$work/tree/types
like_cp "a file to a new name" "$work" "$types/link_to_file" new
like_cp "a file to a file" "$work" "$types/dir/file" file
like_cp "a file into a directory" "$work" "$types/dir/file" dir
like_cp "a link into a directory" "$work" "$types/dangling" dir/
like_cp "a fifo" "$work" "$types/fifo" dir
like_cp "a tree into one that is there" "$work" "$types" dir
like_cp "a slash" "$work" "$types/empty/" dir
like_cp "a slash at a new name" "$work" "$types/dir" new_dir/
like_cp "several" "$work" "$types/empty" "$types/dir/file" "$types/loop" dir/.
like_cp "dot" "$work" "$work/tree/names/." dir
like_cp "dot-dot" "$work" "$types/dir/.." new_dir
like_cp "a relative path" "$work" dir new_dir
like_cp "leading dashes" "$work" -- dir/-leading dir/--sync new_dir
like_cp "over a directory" "$work" "$types/dir/file" dir/types/../types/dir
like_cp "missing" "$work" "$work/missing" "$types/dir/file" dir
like_cp "no directory" "$work" "$types/dir" "$types/empty" file
like_cp "a file with a slash" "$work" "$types/dir/file" nothing/
like_cp "in no directory" "$work" "$types/dir" nothing/copy
like_cp "onto itself" "$work" file file
dir_times='%T@ %A@'

#############################################################################
# 5  Options

fresh "$work"
run -e tree/types eio/copy
expect "exclusive, new" 0
run --exclusive tree/types/dir/file eio/copy/dir/file
expect "exclusive" 1
expect_line "exclusive" '^eiocp: tree/types/dir/file: File exists$'

cp -dR --preserve=mode,ownership,links tree/data cp
run --no-times --no-xattrs tree/data eio
expect "no times" 0
for side in cp eio; do
  [ "$(find "$side/data/page" -newer tree/types/fifo)" ] \
    || fail "no times: $side has them"
  find "$side/data" -exec touch -d 2000-01-01 '{}' +
done
rm -rf eio/copy
same "no times" cp eio

fresh "$work"
run --sync -x -j 64 --no-owner tree/data tree/types cp
expect "sync" 0
run --jobs=1 cp/data cp/types eio
expect "one job" 0
same "sync, one job" cp eio

run --clone tree/data/big eio/clone
if [ $status -eq 0 ]; then
  cmp tree/data/big eio/clone || fail "clone"
else
  expect "clone" 1
  expect_line "clone" '^eiocp: tree/data/big: '
  [ ! -e eio/clone ] || fail "clone: something is left"
fi

#############################################################################
# 6  Errors

for options in "" "a" "--bogus a b" "--jobs 0 a b" "--jobs 257 a b" \
  "--jobs 1x a b" "a b --jobs"; do
  # shellcheck disable=SC2086 # a list
  run $options
  expect "usage: $options" 2
  expect_line "usage: $options" '--help'
done
run --help
[ $status -eq 0 ] && grep -q '^Usage: eiocp' out && [ ! -s err ] \
  || fail "--help"

fresh "$work"
run "tree/new
line" tree/types missing eio
expect "errors" 1
expect_line "errors" '^eiocp: tree/new\\012line: No such file or directory$'
expect_line "errors" '^eiocp: missing: No such file or directory$'
[ "$(wc -l <err)" -eq 2 ] || fail "errors: $(cat err)"
[ -e eio/types/dir/file ] || fail "errors: the rest"

run eio eio/eio
expect "into itself" 1
[ ! -e eio/eio/eio/eio ] || fail "into itself: without an end"

#############################################################################
# 7  The terminal

fresh "$work"
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
  script -qec "'$eiocp' tree/wide tree/data eio" typescript </dev/null \
    >/dev/null 2>&1 || fail "progress: status $?"
  tr '\r' '\n' <typescript >err
  size='[0-9.]* [KM]*i*B'
  expect_line "progress" \
    "^$size of at least $size, [0-9]* of at least [0-9]* entries, $size/s"
  grep -q . out && fail "progress: output"
  cp -a tree/wide tree/data cp
  same "progress" cp eio

  script -qec "'$eiocp' --no-progress tree/types eio" typescript </dev/null \
    >/dev/null 2>&1 || fail "no progress: status $?"
  grep -q entries typescript && fail "no progress"
else
  untested "progress"
fi

#############################################################################
# 8  Interruption

# What has been copied by then is complete; the rest is not there.
is_part ()
{
  (cd eio/much && find . -type f) >got
  [ "$(wc -l <got)" -lt 16 ] || return 1
  while read -r file; do
    cmp -s much/data "eio/much/$file" || fail "interrupted: $file is not whole"
  done <got
  [ $status -eq 130 ] || fail "interrupted: status $status"
  [ ! -s err ] || fail "interrupted: $(cat err)"
}

# Gets the signal when the first file is there, which may be too late.
interrupt ()
{
  fresh "$work"
  # shellcheck disable=SC2086 # a list
  env --default-signal=INT $runner "$eiocp" -j 4 much eio >out 2>err &
  until [ -e eio/much/1 ] || ! kill -0 $! 2>/dev/null; do :; done
  kill -INT $! 2>/dev/null
  wait $!
  status=$?
}

mkdir much && head -c 16777216 /dev/urandom >much/data
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do cp much/data much/$i; done

# Background jobs ignore SIGINT, unless something else is done about it.
if env --default-signal=INT true 2>/dev/null; then
  tries=0
  until interrupt && is_part; do
    [ $((tries += 1)) -lt 9 ] || { untested "SIGINT: too late"; break; }
  done
else
  untested "SIGINT"
fi

#############################################################################

[ $failures -eq 0 ] || exit 1
echo "eiocp copies what cp -a copies"
