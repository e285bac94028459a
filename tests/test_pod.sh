#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# The reference and the README are true as far as a compiler can tell:
# doc/eio.pod is well-formed, documents every function and constant of eio.h and
# eiotree.h and no others, its prototypes agree with them, and all examples
# compile without warnings.  Those that are programs are linked and run, if the
# library has been built.  doc/requests.md has a row for each request type and
# each tree.
#
# In the pod, a line "=for eio KIND" precedes each verbatim block; a block
# without one is an error.  The kinds:
#
#   run [linux] ARGS  a complete program, run with ARGS in a directory that
#                     holds a file "file" and a directory "dir"; it has to
#                     exit with 0 and to print something
#   program           a complete program that is not run
#   file              what a source file contains, after the usual includes
#   embed             a source file that includes eio.c
#   fragment          the body of a function; it may use the variables below
#   prototype         declarations, which have to agree with the headers
#   text              not C
#
# "linux" means: only there.  In the README, blocks of the language c are
# programs to run if they contain main, embed if they include eio.c, and file
# otherwise.

: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}"
LC_ALL=C
export LC_ALL

pod=$top_srcdir/doc/eio.pod
readme=$top_srcdir/README.md
headers="$top_srcdir/eio.h $top_srcdir/eiotree.h"

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
failed=0

fail ()
{
  failed=1
  echo "test_pod: $*"
}

# What fragments and files may use.
cat >"$tmp/usual.h" <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>
#include <eiotree.h>
END
cat >"$tmp/variables.h" <<'END'
eio_req *req;
eio_cb done;
const char *path;
void *data, *kept;
int fd;
unsigned int n;
END

# --- Extracting -----------------------------------------------------------
#
# Each block becomes $tmp/block/N.c.  A line of $tmp/blocks is its number,
# source, line, kind and arguments.

mkdir "$tmp/block"
: >"$tmp/blocks"

awk -v dir="$tmp" '
  # Ends a block: blank lines at its end do not belong to it.
  function finish () { if (open) close (out); open = 0; mark = "" }

  function begin ()
  {
    if (mark == "")
      {
        print "doc/eio.pod:" NR ": verbatim block without \"=for eio\""
        mark = "text"
      }
    out = dir "/block/" ++n ".c"
    printf "#line %d \"doc/eio.pod\"\n", NR >out
    print n, "doc/eio.pod", NR, mark >(dir "/blocks")
    open = 1
  }

  /^=for eio / {
    if (mark != "" && !open)
      print "doc/eio.pod:" NR ": two marks, and no block between"
    finish ()
    mark = substr ($0, 10)
    blank = 0
    next
  }
  /^[ \t]*$/ { if (open) print "" >out; blank = 1; next }
  /^[ \t]/ && (open || blank) {
    if (!open)
      begin ()
    sub (/^  /, "")
    print >out
    next
  }
  {
    if (mark != "" && !open)
      print "doc/eio.pod:" NR ": a mark, and no verbatim block after it"
    finish ()
    blank = 0
  }
' "$pod" >"$tmp/complaints"

count=$(wc -l <"$tmp/blocks")

[ ! -f "$readme" ] ||
awk -v dir="$tmp" -v n="$count" '
  function finish ()
  {
    print n, "README.md", start, kind >>(dir "/blocks")
    close (out)
    inside = 0
  }

  /^ *```/ && inside { if (inside == 2) finish (); inside = 0; next }
  /^ *``` *$/ { print "README.md:" NR ": block without a language" }
  /^ *```c *$/ {
    inside = 2
    kind = "file"
    start = NR + 1
    out = dir "/block/" ++n ".c"
    printf "#line %d \"README.md\"\n", start >out
    next
  }
  /^ *```/ { inside = 1; next }
  inside == 2 {
    print >out
    if (/^main \(/)
      kind = "run"
    if (/^#include "eio\.c"/)
      kind = "embed"
  }
' "$readme" >>"$tmp/complaints"

while read -r line
do
  fail "$line"
done <"$tmp/complaints"

# The blocks of one kind: number, source, line, arguments.
blocks_of ()
{
  awk -v kind="$1" '$4 == kind { $4 = ""; print }' "$tmp/blocks"
}

# --- Names ----------------------------------------------------------------

# The code of the headers, without comments.
# shellcheck disable=SC2086 # they are two
awk '
  {
    line = $0
    while (1)
      if (comment)
        {
          if (!(i = index (line, "*/")))
            next
          line = substr (line, i + 2)
          comment = 0
        }
      else
        {
          if (!(i = index (line, "/*")))
            break
          printf "%s ", substr (line, 1, i - 1)
          line = substr (line, i + 2)
          comment = 1
        }
    print line
  }
' $headers >"$tmp/code"

# The words, as C sees them, of stdin, and the functions that are declared in
# it.
words ()
{
  tr -cs 'A-Za-z0-9_' '\n' | sort -u
}
functions ()
{
  awk '
    {
      while (match ($0, /eio_[a-z0-9_]+ [(]/))
        {
          print substr ($0, RSTART, RLENGTH - 2)
          $0 = substr ($0, RSTART + RLENGTH)
        }
    }
  ' | sort -u
}

# Functions; enumerators and macros.  EIO_H_, EIOTREE_H_ and EIO_CANCEL_T are
# private.
functions <"$tmp/code" >"$tmp/functions"
awk '
  { sub (/^# *define/, "#define") }
  $1 == "#define" { sub (/[(].*/, "", $2); print $2 }
  $1 ~ /^EIO_[A-Z0-9_]+$/ && $2 == "=" { print $1 }
' "$tmp/code" | grep -v -e '^EIO_H_$' -e '^EIOTREE_H_$' -e '^EIO_CANCEL_T$' |
  sort -u >"$tmp/constants"

[ "$(wc -l <"$tmp/functions")" -ge 72 ] || fail "eio.h: too few functions"
[ "$(wc -l <"$tmp/constants")" -ge 100 ] || fail "eio.h: too few constants"

# What the pod has a heading or an item for, and what it declares.
grep -E '^=(head|item)' "$pod" | words >"$tmp/headings"
blocks_of prototype | while read -r n rest
do
  cat "$tmp/block/$n.c"
done | functions >"$tmp/declared"

# Says $3 of each name that is in the file $1 and not in $2.
names_missing ()
{
  for missing in $(comm -23 "$1" "$2")
  do
    fail "$missing: $3"
  done
}

names_missing "$tmp/functions" "$tmp/headings" "no heading in doc/eio.pod"
names_missing "$tmp/functions" "$tmp/declared" "no prototype in doc/eio.pod"
names_missing "$tmp/constants" "$tmp/headings" "no heading in doc/eio.pod"

# What the text names has to exist, in the headers or for embedders.  Names that
# end in _ stand for several.
{
  words <"$tmp/code"
  for word in EIO_CONFIG_H EIO_STACKSIZE EIO_PATH_MIN EIO_PROBES EIO_FINISH \
    EIO_DESTROY EIO_FEED EIO_POOL EIO_ENOSYS eio_page_align
  do
    echo $word
  done
} | sort -u >"$tmp/existing"
{
  grep -v '^[ 	]' "$pod"
  [ ! -f "$readme" ] || awk '/^ *```/ { code = !code } !code' "$readme"
} | words | grep -E '^(eio|EIO)_' | grep -v '_$' >"$tmp/named"
names_missing "$tmp/named" "$tmp/existing" "documented, but does not exist"

# --- The table of requests ------------------------------------------------

# Types, by the names that eio_strtype has for them, and what makes a tree.
{
  awk '
    $1 == "EIO_REQ_TYPE_NUM" { exit }
    $1 ~ /^EIO_/ && $2 == "=" { print tolower (substr ($1, 5)) }
  ' "$tmp/code"
  words <"$top_srcdir/eiotree.h" | sed -n 's/^eio_\(walk\|[a-z]*tree\)$/\1/p'
} | sort >"$tmp/requests"
awk -F ' [|] ' '/^[|] [a-z]/ { print substr ($1, 3), NF }' \
  "$top_srcdir/doc/requests.md" | sort >"$tmp/rows"
cut -d ' ' -f 1 "$tmp/rows" | uniq >"$tmp/names"
names_missing "$tmp/requests" "$tmp/names" "no row in doc/requests.md"
names_missing "$tmp/names" "$tmp/requests" "a row, but no request"
for row in $(cut -d ' ' -f 1 "$tmp/rows" | uniq -d)
do
  fail "$row: two rows in doc/requests.md"
done
for row in $(sed -n '/ 8$/!s/ .*//p' "$tmp/rows")
do
  fail "$row: other than 8 columns"
done

# --- Well-formed ----------------------------------------------------------

if command -v podchecker >/dev/null 2>&1
then
  podchecker "$pod" >"$tmp/log" 2>&1 || {
    fail "podchecker:"
    cat "$tmp/log"
  }
else
  echo "podchecker is missing: not run"
fi

# --- Compiling ------------------------------------------------------------

# Compiles $2 to $1 with further arguments.
compile ()
{
  output=$1
  source=$2
  shift 2
  # shellcheck disable=SC2086 # these variables hold several words
  $CC $CPPFLAGS $CFLAGS -Wall -Wextra -Werror -I"$top_srcdir" -I"$tmp" \
    -o "$output" "$source" "$@" >"$tmp/log" 2>&1 || {
    fail "does not compile:"
    cat "$tmp/log"
    return 1
  }
}

if ! command -v "${CC%% *}" >/dev/null 2>&1
then
  echo "no C compiler: examples are not compiled"
  echo "names and structure only; failed: $failed"
  exit $failed
fi

# Prototypes and fragments: one source file each.
{
  echo '#include "usual.h"'
  blocks_of prototype | while read -r n rest
  do
    cat "$tmp/block/$n.c"
  done
} >"$tmp/prototypes.c"
compile "$tmp/prototypes.o" "$tmp/prototypes.c" -c

{
  echo '#include "usual.h"'
  echo '#include "variables.h"'
  blocks_of fragment | while read -r n rest
  do
    echo "void fragment_$n (void);"
    echo "void fragment_$n (void) {"
    cat "$tmp/block/$n.c"
    echo "}"
  done
} >"$tmp/fragments.c"
compile "$tmp/fragments.o" "$tmp/fragments.c" -c

# Files: a static function that nobody calls is no mistake in an example.
blocks_of file >"$tmp/files"
while read -r n rest
do
  { echo '#include "usual.h"'; cat "$tmp/block/$n.c"; } >"$tmp/$n.c"
  compile "$tmp/$n.o" "$tmp/$n.c" -c -Wno-unused-function
done <"$tmp/files"

# Embedding: with the config.h of this build, or else with an empty one.
mkdir "$tmp/empty"
: >"$tmp/empty/config.h"
blocks_of embed >"$tmp/embeds"
while read -r n rest
do
  if [ -f "$top_srcdir/eio.c" ]
  then
    compile "$tmp/$n.o" "$tmp/block/$n.c" -c -I"$top_builddir" \
      -I"$tmp/empty"
  else
    echo "no eio.c: block $n is not compiled"
  fi
done <"$tmp/embeds"

# Programs.
library=
libs=$(cd "$top_builddir/.libs" 2>/dev/null && pwd)
for file in libeio.a libeio.so libeio.dylib
do
  if [ -n "$libs" ] && [ -f "$libs/$file" ] && [ -z "$library" ]
  then
    library=$libs/$file
  fi
done
[ -n "$library" ] || echo "libeio is not built: programs are not run"

LD_LIBRARY_PATH=$libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
DYLD_LIBRARY_PATH=$libs${DYLD_LIBRARY_PATH:+:$DYLD_LIBRARY_PATH}
limit=
if command -v timeout >/dev/null 2>&1
then
  limit="timeout 60"
fi
ran=0

# Runs block $1 with the other arguments, in a fresh directory.
run ()
{
  number=$1
  shift
  scratch=$tmp/scratch$number
  mkdir -p "$scratch/dir"
  echo "some text" >"$scratch/file"
  (
    cd "$scratch" || exit 99
    export LD_LIBRARY_PATH DYLD_LIBRARY_PATH
    exec $limit "$tmp/$number" "$@"
  ) </dev/null >"$tmp/out" 2>"$tmp/err"
  status=$?
  ran=$((ran + 1))
  if [ $status != 0 ] || [ ! -s "$tmp/out" ] || [ -s "$tmp/err" ]
  then
    fail "block $number: status $status; its output and errors:"
    cat "$tmp/out" "$tmp/err"
  fi
}

{
  blocks_of program | sed 's/$/ NORUN/'
  blocks_of run
} >"$tmp/programs"
while read -r n file line arguments
do
  case $arguments in
    linux*)
      [ "$(uname -s)" = Linux ] || continue
      arguments=${arguments#linux} ;;
  esac

  if [ -z "$library" ]
  then
    compile "$tmp/$n.o" "$tmp/block/$n.c" -c
    continue
  fi

  # shellcheck disable=SC2086,SC2153 # as above; LIBS is not libs
  compile "$tmp/$n" "$tmp/block/$n.c" $LDFLAGS "$library" -pthread $LIBS ||
    continue
  # shellcheck disable=SC2086 # the arguments are words
  [ "$arguments" = NORUN ] || run "$n" $arguments
done <"$tmp/programs"

echo "$(wc -l <"$tmp/functions") functions," \
  "$(wc -l <"$tmp/constants") constants," \
  "$(wc -l <"$tmp/blocks") blocks, $ran programs run; failed: $failed"
exit $failed
