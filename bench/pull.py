# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Clients of an HTTP server that pull cold files, each its own one over and
# over: before each request the file is dropped from memory.  Runs for some
# seconds, and prints the megabytes a second that all of them got.
#
#   pull.py ADDRESS PORT SECONDS FILE...
#
# The file's name, without directories, is what is asked for.

import os
import selectors
import socket
import sys
import time


class Client:
    def __init__(self, address, path):
        self.file = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self.file).st_size
        self.request = ('GET /%s HTTP/1.1\r\nHost: x\r\n\r\n'
                        % os.path.basename(path)).encode()
        self.sock = socket.create_connection(address)
        self.ask()

    def ask(self):
        os.posix_fadvise(self.file, 0, 0, os.POSIX_FADV_DONTNEED)
        self.left = -1  # the header's length is not known
        self.sock.sendall(self.request)

    def receive(self):
        n = self.sock.recv_into(buffer)
        if not n:
            sys.exit('closed')
        if self.left < 0:
            end = buffer.find(b'\r\n\r\n', 0, n)
            if buffer[9:12] != b'200' or end < 0:
                sys.exit('not what was asked for')
            self.left = self.size + end + 4
        self.left -= n
        if not self.left:
            self.ask()
        return n


buffer = bytearray(1 << 18)
address, seconds = (sys.argv[1], int(sys.argv[2])), float(sys.argv[3])
selector = selectors.DefaultSelector()
for path in sys.argv[4:]:
    client = Client(address, path)
    selector.register(client.sock, selectors.EVENT_READ, client)

got, begun = 0, time.monotonic()
while (now := time.monotonic()) < begun + seconds:
    for key, _ in selector.select(begun + seconds - now):
        got += key.data.receive()
print('%.1f' % (got / (now - begun) / 1e6))
