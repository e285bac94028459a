# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Sourced by the other scripts.

# need PACKAGE...: sees to it that these Debian packages are there: root
# installs what is missing, anybody else is told its names.  On other systems,
# configure says what it lacks.
need ()
{
  command -v dpkg-query >/dev/null || return 0

  missing=
  for package
  do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed*) ;;
      *) missing="$missing $package" ;;
    esac
  done
  [ "$missing" ] || return 0

  if [ "$(id -u)" != 0 ]
  then
    echo "$0: these packages are missing:$missing" >&2
    echo "As root: apt-get install$missing" >&2
    return 1
  fi

  echo "Installing$missing"
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  apt-get update -qq || true # what is known already may do
  # shellcheck disable=SC2086 # a list
  apt-get install -qq -y --no-remove --no-install-recommends $missing >/dev/null
}

# What it takes to build a checkout and run its tests.
NEED_BUILD="gcc g++ libc6-dev make autoconf automake libtool pkg-config perl"
NEED_TESTS="check findutils binutils"

# What tests of examples do without, if they must.
NEED_EXAMPLES="python3 libev-dev libuv1-dev libevent-dev libglib2.0-dev
systemtap-sdt-dev attr acl"

# copy_sources FROM TO: copies the files that are in the source directory, not
# what was built there: git knows them in a checkout, and make cleans the copy
# of a release.  It ends in TO, which it makes.
copy_sources ()
{
  mkdir "$2" && cd "$1" &&
    if git ls-files --error-unmatch configure.ac >/dev/null 2>&1
    then
      git ls-files -z --cached --others --exclude-standard |
        xargs -0 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done' - |
        tar -c --null -T - -f -
    else
      tar -c --exclude=./.git -f - .
    fi | (cd "$2" && tar -xf -) &&
    cd "$2" &&
    if [ -f config.status ]
    then
      make distclean
    fi
}

# For benchmarks that need a library, and cold files in $work: sets fstype and,
# unless it is set, BUILD to a directory there, where the library of $source is
# built.
prepare_bench ()
{
  fstype=$(df --output=fstype "$work" | tail -n 1)
  [ "$fstype" != tmpfs ] || echo "$work is in memory: no file will be cold."
  [ "$BUILD" ] && return

  echo "Building ..."
  BUILD=$work/obj
  (
    copy_sources "$source" "$work/src" &&
      { [ -x configure ] || ./autogen.sh; } && mkdir "$BUILD" &&
      cd "$BUILD" && ../src/configure --disable-shared && make libeio.la
  ) >"$work/log" 2>&1 && return
  tail -n 50 "$work/log"
  echo "failed: the build" >&2
  exit 1
}
