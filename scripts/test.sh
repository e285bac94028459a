#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Builds the library and runs all of its tests, on a fresh Debian machine too:
# as root it installs what is missing, otherwise it says what that is.
#
#   scripts/test.sh [CONFIGURE-ARGUMENT...]
#
# The source directory stays as it is: the build happens in a copy, under the
# directory BUILD, which must not exist yet and is left for you, or in a
# temporary one, which is left only when something failed.  MAKEFLAGS is
# respected; otherwise, as many jobs run as there are processors.

source=$(cd "$(dirname "$0")/.." && pwd) || exit
. "$source/scripts/common.sh"
need $NEED_BUILD $NEED_TESTS || exit

if [ "$BUILD" ]
then
  mkdir -p "$(dirname "$BUILD")" && mkdir "$BUILD" || exit
  BUILD=$(cd "$BUILD" && pwd)
  keep=yes
else
  BUILD=$(mktemp -d "${TMPDIR:-/tmp}/libeio-test.XXXXXX") || exit
  keep=no
fi
: "${MAKEFLAGS=-j$(nproc 2>/dev/null || echo 1)}"
export MAKEFLAGS

# Says what goes on; what the step prints is shown only when it fails.
step ()
{
  echo "$1 ..."
  shift
  "$@" >"$BUILD/step.log" 2>&1 && return
  tail -n 50 "$BUILD/step.log" | cut -c 1-300
  echo "failed: $*"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

echo "Building in $BUILD"
mkdir "$BUILD/obj" || exit
step "Copying the sources" copy_sources "$source" "$BUILD/src"
cd "$BUILD/src" || exit
[ -x configure ] || step "Making configure" ./autogen.sh
cd "$BUILD/obj" || exit
step "Configuring" ../src/configure "$@"
step "Compiling" make
grep 'warning:' "$BUILD/step.log" | sort -u

echo "Testing ..."
make check >"$BUILD/check.log" 2>&1
result=$?
grep -E '^(PASS|FAIL|SKIP|ERROR|XPASS|[^ ]*error:)' "$BUILD/check.log"
"$source/scripts/summary.sh" . >"$BUILD/summary"
sed '$d' "$BUILD/summary"
summary=$(tail -n 1 "$BUILD/summary")
case $summary in
  0\ passed,\ 0\ failed*) # the tests did not even compile
    tail -n 50 "$BUILD/check.log" | cut -c 1-300
    summary="0 passed, 1 failed, 0 skipped"
    result=1 ;;
  *\ 0\ failed*) ;;
  *) result=1 ;;
esac

if [ $result != 0 ] || [ $keep = yes ]
then
  echo "Logs and programs are in $BUILD"
else
  rm -rf "$BUILD"
fi
echo "$summary"
exit $result
