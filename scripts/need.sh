# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Sourced by the other scripts.  need PACKAGE...: sees to it that these Debian
# packages are there: root installs what is missing, anybody else is told its
# names.  On other systems, configure says what it lacks.

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
  apt-get install -qq -y --no-install-recommends $missing >/dev/null
}

# What it takes to build a checkout and run its tests.
NEED_BUILD="gcc g++ libc6-dev make autoconf automake libtool pkg-config perl"
NEED_TESTS="check findutils binutils"
