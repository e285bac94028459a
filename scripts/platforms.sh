#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Builds the library and runs its tests as other machines, C libraries and
# compilers do: one function a platform, all of them or those named.
#
#   scripts/platforms.sh [NAME...]
#
# Debian's packages bring what it takes.  Each platform gets one line, with
# what scripts/test.sh counted; the last line, "N passed, N failed", counts
# platforms.  What a failed one printed is in the directory that is named then.

cd "$(dirname "$0")/.." || exit
. scripts/common.sh

platforms="release mingw abi gcc clang O0 lto ndebug nohave musl i686 aarch64
s390x"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/libeio-platforms.XXXXXX") || exit

# suite [VARIABLE=VALUE...] -- CONFIGURE-ARGUMENT...: all tests of $name.
suite ()
{
  local variables=()
  while [ "$1" != -- ]
  do
    variables+=("$1")
    shift
  done
  env "BUILD=$tmp/$name" "${variables[@]}" scripts/test.sh "${@:2}"
}

# flags CONFIGURE-ARGUMENT...: all tests that these make a difference to.
flags ()
{
  suite EIO_OWN_FLAGS=no -- "$@"
}

# Where there is no Check to install, it is made of Debian's source, which is
# taken by lists of our own: those of the machine stay as they are.
check_source ()
{
  [ -d "$tmp/check" ] && return
  need dpkg-dev || return
  mkdir -p "$tmp/apt/lists/partial" "$tmp/apt/archives/partial" &&
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' \
      'Created-By: Packages' |
    awk '$1 == "Debian" { print "deb-src", $2, $3, "main" }' |
      sort -u >"$tmp/apt/sources.list" || return
  local apt=(apt-get -qq -o "Dir::State::lists=$tmp/apt/lists"
    -o "Dir::Cache=$tmp/apt" -o "Dir::Etc::sourcelist=$tmp/apt/sources.list"
    -o Dir::Etc::sourceparts=/dev/null)
  "${apt[@]}" update && (cd "$tmp/apt" && "${apt[@]}" source check) &&
    mv "$tmp"/apt/check-*/ "$tmp/check"
}

# foreign TRIPLET CC [VARIABLE=VALUE...] -- CONFIGURE-ARGUMENT...: all tests,
# by a compiler for another system, with a Check of its own.
foreign ()
{
  local prefix=$tmp/$name.check triplet=$1 cc=$2
  check_source && mkdir "$prefix" && (
    cd "$prefix" &&
      ../check/configure --host="$triplet" CC="$cc" --disable-subunit \
        --disable-shared --disable-build-docs \
        hw_cv_func_snprintf_c99=yes hw_cv_func_vsnprintf_c99=yes &&
      make -C lib && make -C src libcheck.la && cp ../check/src/check.h .
  ) || return
  suite "${@:3}" --host="$triplet" CC="$cc" --disable-shared \
    CHECK_CFLAGS="-I$prefix" \
    CHECK_LIBS="$prefix/src/.libs/libcheck.a -lm -lpthread"
}

# crossed ARCHITECTURE [VARIABLE=VALUE...]: the same by Debian's cross compiler,
# whose C library the programs find themselves.  (By QEMU's -L they would, too,
# but take its directory for the root.)  A runpath, other than an rpath, would
# be of no use to what a library needs.
crossed ()
{
  local triplet=$1-linux-gnu loader
  need "gcc-$triplet" "g++-$triplet" || return
  loader=$(echo "/usr/$triplet"/lib/ld*.so.[12])
  foreign "$triplet" "$triplet-gcc" "${@:2}" -- CXX="$triplet-g++" \
    LDFLAGS="-Wl,--dynamic-linker=$loader -Wl,--disable-new-dtags \
      -Wl,-rpath=/usr/$triplet/lib"
}

# emulated ARCHITECTURE: the unit tests, by QEMU, which takes some ten times as
# long: check_explore tries fewer orders.
emulated ()
{
  need qemu-user &&
    crossed "$1" CK_TIMEOUT_MULTIPLIER=10 EIO_EXPLORE_RUNS=50 \
      LOG_COMPILER="qemu-$1"
}

# The quickest of it, as somebody who vendors eio.c may build it: without
# configure, for speed.
platform_release ()
{
  local flags room
  flags="-std=gnu11 -O3 -flto -DNDEBUG -D_FILE_OFFSET_BITS=64
    $(pkg-config --cflags check)"
  for room in table group
  do
    # shellcheck disable=SC2046,SC2086 # lists
    gcc $flags -I. '-DEIO_CONFIG_H="tests/nohave.h"' tests/check_$room.c \
      tests/support.c eio.c eiotree.c $(pkg-config --libs check) -lpthread \
      -o "$tmp/check_$room" && "$tmp/check_$room" || return
  done
}

platform_gcc ()
{
  suite --
}

platform_clang ()
{
  need clang && flags CC=clang CXX=clang++
}

platform_O0 ()
{
  flags --disable-shared CFLAGS=-O0 CXXFLAGS=-O0
}

platform_lto ()
{
  flags --disable-shared CFLAGS='-O3 -flto' CXXFLAGS='-O3 -flto'
}

platform_ndebug ()
{
  flags --disable-shared CPPFLAGS=-DNDEBUG
}

# Each HAVE_ name off that libeio.m4 looks for.  All is built; what else there
# is among the unit tests asserts what systems have, and check_nohave what is
# done without.
platform_nohave ()
{
  local off rooms
  rooms=$(printf 'tests/check_%s\\ ' abi table group signal cancel shutdown \
    grpthreads readdir realpath wd memory fork stress embed nohave)
  mapfile -t off < <(
    grep -o '^eio_check(\[HAVE_[A-Z0-9_]*' libeio.m4 |
      sed 's/.*\[\(.*\)/eio_cv_\1=no/'
    echo ac_cv_header_sys_syscall_h=no
    echo ac_cv_header_sys_prctl_h=no
  )
  suite "MAKEFLAGS=-j$(nproc) TESTS=$rooms" -- --disable-shared "${off[@]}"
}

# musl has no C++ library.
platform_musl ()
{
  need musl-tools &&
    foreign x86_64-linux-musl musl-gcc -- eio_cv_have_cxx=no
}

# Not gcc -m32: gcc-multilib excludes the other cross compilers.  An x86-64
# processor executes it.
platform_i686 ()
{
  crossed i686
}

platform_aarch64 ()
{
  emulated aarch64
}

platform_s390x ()
{
  emulated s390x
}

# Links, which tells that nothing is missing.  int3 holds directories, which
# nobody can open there; winpthreads has macros that look at nothing.
platform_mingw ()
{
  need gcc-mingw-w64-x86-64-posix &&
    echo '#include "eio.h"
          int main (void) { return eio_init (0, 0); }' >"$tmp/main.c" &&
    x86_64-w64-mingw32-gcc-posix -std=gnu11 -O2 -Wall -Wextra -Werror \
      -Wno-pointer-to-int-cast -Wno-int-to-pointer-cast -Wno-unused \
      -Wno-unused-parameter -D_FILE_OFFSET_BITS=64 -I. \
      '-DEIO_CONFIG_H="tests/nohave.h"' "$tmp/main.c" eio.c -lpthread \
      -o "$tmp/main.exe"
}

# What a program that was linked with the library as of tests/libeio.abi relies
# on (on x86-64, by glibc): more is fine, anything else is not.  To take a new
# version for the measure: ABI_RENEW=yes scripts/platforms.sh abi
platform_abi ()
{
  local abidw=(abidw --headers-dir "$PWD" --drop-private-types
    --exported-interfaces-only --no-corpus-path --no-comp-dir-path
    --no-show-locs --no-parameter-names --no-elf-needed)
  need abigail-tools && : >"$tmp/config.h" &&
    gcc -g -O1 -fPIC -shared -Wl,-soname,libeio.so.2 \
      -Wl,--version-script=libeio.map -I. '-DEIO_CONFIG_H="tests/nohave.h"' \
      eio.c eiotree.c -lpthread -o "$tmp/libeio.so" || return
  "${abidw[@]}" "$tmp/libeio.so" >"$tmp/libeio.abi" || return
  if [ "$ABI_RENEW" ]
  then
    cp "$tmp/libeio.abi" tests
  fi
  abidiff --no-added-syms tests/libeio.abi "$tmp/libeio.abi"
}

need $NEED_BUILD $NEED_TESTS || exit
passed=0 failed=0
# shellcheck disable=SC2048 # a list
for name in ${*:-$platforms}
do
  started=$SECONDS
  if "platform_$name" >"$tmp/$name.log" 2>&1
  then
    ((++passed))
    count=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$tmp/$name.log")
    rm -rf "${tmp:?}/$name" "$tmp/$name.check"
  else
    ((++failed))
    grep -E '^(FAIL|ERROR)|:[FE]:' "$tmp/$name.log" ||
      tail -n 20 "$tmp/$name.log"
    count="failed: $(tail -n 1 "$tmp/$name.log")"
  fi
  echo "$name: ${count:-passed} ($((SECONDS - started)) s)"
done

if ((failed))
then
  echo "Logs and programs are in $tmp"
else
  rm -rf "$tmp"
fi
echo "$passed passed, $failed failed"
((failed == 0))
