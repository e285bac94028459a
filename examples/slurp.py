#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

"""Prints the size and the first line of each file named, in the order in
which they could be read: the library from Python, through ctypes and without
a C compiler.

usage: [LIBEIO=PATH] slurp.py FILE...
"""

import ctypes
import os
import select
import sys
from ctypes import c_char_p, c_int, c_longlong, c_size_t, c_ssize_t, c_void_p

eio = ctypes.CDLL(os.environ.get("LIBEIO", "libeio.so.2"), use_errno=True)

# int (*) (eio_req *): called by eio_poll, so on the thread that polls.
CALLBACK = ctypes.CFUNCTYPE(c_int, c_void_p)


def declare(name, result, *parameters):
    """Types that are not int have to be said; off_t is long long where the
    library was built with large files, which it is by default."""
    function = getattr(eio, name)
    function.restype = result
    function.argtypes = parameters


declare("eio_poll_fd", c_int)
declare("eio_poll", c_int)
declare("eio_nreqs", ctypes.c_uint)
declare("eio_shutdown", c_int, c_int, ctypes.c_double)
declare("eio_slurp", c_void_p, c_char_p, c_void_p, c_size_t, c_longlong,
        c_int, CALLBACK, c_void_p)
declare("eio_req_result", c_ssize_t, c_void_p)
declare("eio_req_errno", c_int, c_void_p)
declare("eio_req_buf", c_void_p, c_void_p)
declare("eio_req_data", c_void_p, c_void_p)

paths = sys.argv[1:]
failed = 0


@CALLBACK
def slurped(req):
    """The buffer is freed when this returns, so what is needed is copied."""
    global failed
    path = paths[(eio.eio_req_data(req) or 0)]
    size = eio.eio_req_result(req)
    if size < 0:
        print(f"{path}: {os.strerror(eio.eio_req_errno(req))}",
              file=sys.stderr)
        failed = 1
    else:
        text = ctypes.string_at(eio.eio_req_buf(req), size)
        line = text.split(b"\n", 1)[0].decode(errors="replace")
        print(f"{path}: {size} bytes: {line}")
    return 0


def main():
    for index, path in enumerate(paths):
        if not eio.eio_slurp(os.fsencode(path), None, 0, 0, 0, slurped, index):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)

    loop = select.poll()
    loop.register(eio.eio_poll_fd(), select.POLLIN)
    while eio.eio_nreqs():
        loop.poll()
        eio.eio_poll()

    eio.eio_shutdown(0, -1)
    return failed


sys.exit(main())
