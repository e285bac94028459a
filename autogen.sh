#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Makes ./configure in a checkout; a release tarball already has it.
# Wants autoconf 2.71, automake 1.16, libtool 2.4 and pkg-config (pkg.m4).

set -e
cd "$(dirname "$0")"
exec autoreconf --force --install --warnings=all "$@"
