# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The libeio authors

# Tests examples/fileserver through raw sockets; run by test_fileserver.sh.
#
#   fileserver.py WORKDIR SERVER...
#
# In this file: 1 the tree, 2 server and client, 3 tests of one connection or
# some, 4 tests that start a server of their own, 5 main.

import email.utils
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

work, command = sys.argv[1], sys.argv[2:]
root = work + '/root'
slow = len(command) > 1  # under valgrind

# --- 1  the tree -----------------------------------------------------------

hostile = '<b>&"\' %41?#\n.txt'
content = random.Random(1).randbytes


def write(path, data):
    os.makedirs(os.path.dirname(root + '/' + path), exist_ok=True)
    with open(root + '/' + path, 'wb') as file:
        file.write(data)


def make_tree():
    write('hello.txt', b'hello, world\n')
    write('empty', b'')
    write('sizes/16384', content(16384))
    write('sizes/16385', content(16385))
    write('big', content(3000000))
    write('index.html', b'<p>top\n')
    write('index/index.html', b'<p>index\n')
    write('page/sub/file', b'x')
    write('list/' + hostile, b'hostile')
    write('list/' + hostile + '.d/file', b'x')
    write('bad/index.html/file', b'x')
    write('secret/file', b'x')
    write('links/inside', b'inside')
    with open(work + '/outside', 'w') as file:
        file.write('outside')
    os.mkdir(work + '/root2')  # has the root's path as its beginning
    with open(work + '/root2/file', 'w') as file:
        file.write('outside')
    for name, target in (('rel', 'inside'), ('abs', root + '/hello.txt'),
                         ('up', '../../outside'), ('etc', '/etc/passwd'),
                         ('dir', '/etc'), ('beside', '../../root2'),
                         ('loop', 'loop'), ('null', '/dev/null'),
                         ('dangling', 'nothing'), ('top', '..')):
        os.symlink(target, root + '/links/' + name)
    os.mkfifo(root + '/fifo')
    socket.socket(socket.AF_UNIX).bind(root + '/socket')
    with open(root + '/sparse', 'wb') as file:
        file.truncate(5 << 30)
        file.seek(3 << 30)
        file.write(b'at 3 GiB')


# --- 2  server and client --------------------------------------------------


class Server:
    all = []

    def __init__(self, *options, **kwargs):
        self.process = subprocess.Popen(
            command + ['-p', '0', *options, root], stdout=subprocess.PIPE,
            text=True, **kwargs)
        Server.all.append(self.process)
        line = self.process.stdout.readline()
        match = re.fullmatch(r'listening on (.*):(\d+)\n', line)
        assert match, line
        self.address = match[1].strip('[]'), int(match[2])

    def connect(self, **kwargs):
        return Client(self.address, **kwargs)

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()
        assert status == 0, 'exit status %d' % status


class Response:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        return self.fields.get(name.lower())


class Client:
    def __init__(self, address, rcvbuf=0):
        self.sock = socket.socket(
            socket.AF_INET6 if ':' in address[0] else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(60 if slow else 20)
        self.sock.connect(address)
        self.data = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data.encode('latin-1') if isinstance(data, str)
                          else data)

    def more(self):
        data = self.sock.recv(1 << 16)
        self.data += data
        return data

    def closed(self):
        """Nothing comes but the end."""
        try:
            return not self.data and not self.more()
        except ConnectionResetError:
            return True

    def header(self):
        while b'\r\n\r\n' not in self.data:
            assert self.more(), 'closed after %r' % self.data
        head, self.data = self.data.split(b'\r\n\r\n', 1)
        first, *lines = head.decode('latin-1').split('\r\n')
        version, status, reason = first.split(' ', 2)
        assert version == 'HTTP/1.1' and reason
        names = [line.split(':')[0].lower() for line in lines]
        assert len(set(names)) == len(names), names
        return Response(int(status), {
            name: line.split(': ', 1)[1]
            for name, line in zip(names, lines)}, b'')

    def receive(self, head=False):
        response = self.header()
        size = int(response['Content-Length'] or 0)
        if head:
            size = 0
        parts, got = [self.data], len(self.data)
        while got < size:
            part = self.sock.recv(1 << 18)
            assert part, 'closed after %d of %d bytes' % (got, size)
            parts.append(part)
            got += len(part)
        body = b''.join(parts)
        response.body, self.data = body[:size], body[size:]
        assert email.utils.parsedate_to_datetime(response['Date'])
        return response

    def get(self, target, *fields, method='GET', version='1.1', host='x'):
        lines = ['%s %s HTTP/%s' % (method, target, version), *fields]
        if host is not None:
            lines.insert(1, 'Host: ' + host)
        self.send('\r\n'.join(lines) + '\r\n\r\n')
        return self.receive(head=method == 'HEAD')


def check(response, status, body=None, **fields):
    assert response.status == status, 'status %d' % response.status
    if body is not None:
        assert response.body == body, 'body %r' % response.body[:99]
    for name, value in fields.items():
        got = response[name.replace('_', '-')]
        assert got == value, '%s: %s' % (name, got)


def read(path):
    with open(root + '/' + path, 'rb') as file:
        return file.read()


def count_descriptors(server):
    return len(os.listdir('/proc/%d/fd' % server.process.pid))


def check_descriptors(server, before):
    """What the clients have left behind is closed."""
    for _ in range(100):
        if count_descriptors(server) <= before:
            return
        time.sleep(0.1)
    raise AssertionError('%d descriptors instead of %d' % (
        count_descriptors(server), before))


# --- 3  tests of one connection or some ------------------------------------


def test_get(server):
    with server.connect() as c:
        for path in ('hello.txt', 'empty', 'big', 'sizes/16384',
                     'sizes/16385', 'page/sub/file'):
            check(c.get('/' + path), 200, read(path), Accept_Ranges='bytes',
                  Connection=None)
        check(c.get('/hello.txt'), 200, Content_Length='13',
              Content_Type='text/plain; charset=utf-8')


def test_head(server):
    with server.connect() as c:
        for path in ('/hello.txt', '/big', '/nothing', '/page/', '/page',
                     '/index/'):
            got = c.get(path)
            head = c.get(path, method='HEAD')
            got.fields.pop('date'), head.fields.pop('date')
            assert head.fields == got.fields and not c.data
            assert head.status == got.status
        check(c.get('/big', 'Range: bytes=1-2', method='HEAD'), 200)


def test_methods(server):
    for method, status in (('POST', 405), ('PUT', 405), ('DELETE', 405),
                           ('OPTIONS', 405), ('CONNECT', 405), ('get', 501),
                           ('BREW', 501), ('G(T', 400), ('', 400)):
        with server.connect() as c:
            check(c.get('/hello.txt', method=method), status,
                  Allow='GET, HEAD' if status == 405 else None)


def test_keep_alive(server):
    for version, field, stays in (
            ('1.1', 'X: y', True), ('1.1', 'Connection: close', False),
            ('1.1', 'Connection: x, Close', False),
            ('1.1', 'Connection: closed', True),
            ('1.1', 'X: y\r\nConnection: x\r\nConnection: close', False),
            ('1.0', 'X: y', False), ('1.0', 'Connection: Keep-Alive', True),
            ('1.0', 'Connection: keep-alive, close', False)):
        for path in '/hello.txt', '/nothing', '/big':
            with server.connect() as c:
                response = c.get(path, field, version=version)
                assert response['Connection'] == (
                    'close' if not stays else
                    'keep-alive' if version == '1.0' else None)
                if stays:
                    check(c.get('/hello.txt'), 200)
                else:
                    assert c.closed()


def test_pipelining(server):
    paths = ['/hello.txt', '/big', '/nothing', '/page', '/sizes/16385'] * 20
    with server.connect() as c:
        sender = threading.Thread(target=c.send, args=(''.join(
            'GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % path for path in paths),))
        sender.start()
        for path in paths:
            response = c.receive()
            if path in ('/hello.txt', '/big', '/sizes/16385'):
                check(response, 200, read(path))
            else:
                check(response, 404 if path == '/nothing' else 301)
        sender.join()
    # Those that come behind the last one are not answered.
    with server.connect() as c:
        c.send('GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
               'GET /empty HTTP/1.1\r\nHost: x\r\n\r\n')
        check(c.receive(), 200, b'')
        assert c.closed()


def test_half_closed(server):
    with server.connect() as c:
        c.send('GET /big HTTP/1.1\r\nHost: x\r\n\r\n'
               'GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n')
        c.sock.shutdown(socket.SHUT_WR)
        check(c.receive(), 200, read('big'))
        check(c.receive(), 200, read('hello.txt'))
        assert c.closed()


def test_pieces(server):
    text = ('\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n'
            'GET /empty HTTP/1.1\nHost: x\n\n')
    with server.connect() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in text:
            c.send(byte)
        check(c.receive(), 200, read('hello.txt'))
        check(c.receive(), 200, b'')


def test_malformed(server):
    for text in ('x', 'GET', 'GET /', 'GET / ', 'GET  / HTTP/1.1',
                 'GET / HTTP/1.1 ', 'GET / HTTP/1', 'GET / HTTP/11',
                 'GET / HTTP/1.x', 'GET / http/1.1', ' GET / HTTP/1.1',
                 'GET x HTTP/1.1', 'GET * HTTP/1.1', 'GET http:///x HTTP/1.1',
                 'GET /\0 HTTP/1.1', 'GET /\x01 HTTP/1.1',
                 'GET /\xff HTTP/1.1', 'GET /#x HTTP/1.1',
                 'GET /%4 HTTP/1.1', 'GET /%zz HTTP/1.1', 'GET /% HTTP/1.1',
                 'GET /%00 HTTP/1.1', 'GET /hello.txt%00.png HTTP/1.1',
                 'GET / HTTP/1.1\r\nx', 'GET / HTTP/1.1\r\n: x',
                 'GET / HTTP/1.1\r\nA : x', 'GET / HTTP/1.1\r\n A: x',
                 'GET / HTTP/1.1\r\nA: x\r\n y', 'GET / HTTP/1.1\r\nA: x\ry',
                 'GET / HTTP/1.1\r\nA: \x7f', 'GET / HTTP/1.1\r\nA: \0',
                 'GET / HTTP/1.1\r\nHost: y', 'GET / HTTP/1.1\r\nA(: x',
                 'GET / HTTP/1.1\r\nContent-Length: x',
                 'GET / HTTP/1.1\r\nContent-Length: -1',
                 'GET / HTTP/1.1\r\nContent-Length:'):
        with server.connect() as c:
            c.send(text + '\r\nHost: x\r\n\r\n')
            response = c.receive()
            assert response.status == 400, (text, response.status)
            assert c.closed(), text
    for version, status in (('2.0', 505), ('0.9', 505), ('1.2', 200)):
        with server.connect() as c:
            check(c.get('/hello.txt', version=version), status)


def test_host(server):
    for host, version, status in ((None, '1.1', 400), ('', '1.1', 200),
                                  ('a b', '1.1', 400), ('a/b', '1.1', 400),
                                  ('[::1]:80', '1.1', 200),
                                  (None, '1.0', 200)):
        with server.connect() as c:
            check(c.get('/hello.txt', host=host, version=version), status)


def test_large_header(server):
    rest = 8192 - len('GET /empty HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n')
    with server.connect() as c:
        check(c.get('/empty', 'A: ' + rest * 'a'), 200, b'')
        check(c.get('/empty', 'A: ' + (rest + 1) * 'a'), 431)
        assert c.closed()
    with server.connect() as c:
        try:
            for _ in range(100):
                c.send(8192 * 'a')
        except ConnectionError:
            pass  # it does not have to take all of it
        check(c.receive(), 431)
    for path in 7000 * 'a', 300 * 'a', 3500 * 'a/':
        with server.connect() as c:
            check(c.get('/' + path), 404)


def test_bodies(server):
    hidden = 'GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n'
    for method in 'GET', 'POST':
        for fields in ('Content-Length: %d' % len(hidden),
                       'Content-Length: 0\r\nContent-Length: 9',
                       'Transfer-Encoding: chunked',
                       'Transfer-Encoding: chunked\r\nContent-Length: 0'):
            with server.connect() as c:
                c.send('%s /empty HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s'
                       % (method, fields, hidden))
                check(c.receive(), 200 if method == 'GET' else 405,
                      Connection='close')
                assert c.closed()
    with server.connect() as c:
        check(c.get('/empty', 'Content-Length: 0'), 200)
        check(c.get('/hello.txt'), 200)
    # A response arrives although the client goes on sending.
    with server.connect() as c:
        c.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n'
               + 500000 * 'x')
        check(c.receive(), 405)
        assert c.closed()


def test_targets(server):
    for target, path in (('http://host/hello.txt', 'hello.txt'),
                         ('HTTPS://u@host:1/hello.txt?a/b', 'hello.txt'),
                         ('/hello.txt?x', 'hello.txt'),
                         ('/hello.txt?a?b=/../', 'hello.txt'),
                         ('/%68ello%2Etxt', 'hello.txt'),
                         ('//hello.txt', 'hello.txt'),
                         ('/./page//./sub/./file', 'page/sub/file'),
                         ('/list/%3Cb%3e%26%22%27%20%2541%3f%23%0a.txt',
                          'list/' + hostile),
                         ('/index/', 'index/index.html'),
                         ('/index/.', 'index/index.html'),
                         ('http://host/index/?', 'index/index.html')):
        with server.connect() as c:
            check(c.get(target), 200, read(path))
    for target in ('http://host', 'http://host?x', '/', '/.', '//', '/?'):
        with server.connect() as c:
            check(c.get(target), 200,
                  Content_Type='text/html; charset=utf-8')
    for target in ('/hello.txt/', '/hello.txt/.', '/hello.txt/x', '/nothing',
                   '/%2fetc', '/page%2fsub', '/HELLO.TXT', '/links/dangling'):
        with server.connect() as c:
            check(c.get(target), 404)


def test_traversal(server):
    for target in ('/..', '/../', '/../outside', '/%2e%2e/outside',
                   '/%2E./outside', '/.%2e/root2/file', '/page/..',
                   '/page/../hello.txt', '/./../outside', '//../outside',
                   'http://host/../outside', '/..%2foutside',
                   '/page/%2e%2e%2f%2e%2e%2foutside', '/links/up',
                   '/links/etc', '/links/dir/passwd', '/links/dir/',
                   '/links/dir', '/links/beside/file', '/links/loop',
                   '/links/null', '/..;/x', '/...', '/..\\outside'):
        with server.connect() as c:
            response = c.get(target)
            assert response.status in (403, 404), (target, response.status)
            assert b'outside' not in response.body
            assert b'root' not in response.body
    with server.connect() as c:
        check(c.get('/links/rel'), 200, b'inside')
        check(c.get('/links/abs'), 200, read('hello.txt'))
        check(c.get('/links/top/hello.txt'), 200, read('hello.txt'))


def test_directories(server):
    with server.connect() as c:
        check(c.get('/index'), 301, Location='/index/')
        check(c.get('/page/sub?a=%20'), 301, Location='/page/sub/?a=%20')
        check(c.get('//page//sub'), 301, Location='/page/sub/')
        quoted = '/list/%3Cb%3E%26%22%27%20%2541%3F%23%0A.txt.d'
        check(c.get(quoted), 301, Location=quoted + '/')
        check(c.get('/bad/'), 403)  # its index.html is a directory
        check(c.get('/page/'), 403)  # there is none


def test_irregular(server):
    with server.connect() as c:
        check(c.get('/fifo'), 403)
        check(c.get('/socket'), 403)


def test_last_modified(server):
    write('changing', b'a')
    os.utime(root + '/changing', (1, 1))
    with server.connect() as c:
        check(c.get('/changing'), 200, b'a',
              Last_Modified='Thu, 01 Jan 1970 00:00:01 GMT')


def test_ranges(server):
    for path in 'hello.txt', 'big':
        data = read(path)
        size = len(data)
        with server.connect() as c:
            for text, begin, end in (
                    ('0-0', 0, 1), ('0-', 0, size), ('3-7', 3, 8),
                    ('%d-' % (size - 1), size - 1, size),
                    ('1-99999999999999999999999999', 1, size),
                    ('-1', size - 1, size), ('-5', size - 5, size),
                    ('-99999999999999999999999999', 0, size)):
                check(c.get('/' + path, 'Range: bytes=' + text), 206,
                      data[begin:end], Content_Range='bytes %d-%d/%d' % (
                          begin, end - 1, size))
            for text in ('%d-' % size, '-0', '99999999999999999999999999-'):
                check(c.get('/' + path, 'Range: bytes=' + text), 416,
                      Content_Range='bytes */%d' % size)
            for text in ('bytes=', 'bytes=-', 'bytes=a-b', 'bytes=3-2',
                         'bytes=1', 'bytes=1-2x', 'bytes=--1', 'lines=1-2',
                         'bytes 1-2', 'bytes=0-0,2-3', 'bytes=+1-2'):
                check(c.get('/' + path, 'Range: ' + text), 200, data,
                      Content_Range=None)
            check(c.get('/' + path, 'Range: bytes=1-2', 'If-Range: "a"'),
                  200, data, Content_Range=None)
    with server.connect() as c:
        check(c.get('/empty', 'Range: bytes=0-'), 416)
        check(c.get('/empty', 'Range: bytes=-1'), 200, b'')


def test_large_file(server):
    at = 3 << 30
    with server.connect() as c:
        check(c.get('/sparse', method='HEAD'), 200,
              Content_Length=str(5 << 30))
        check(c.get('/sparse', 'Range: bytes=%d-%d' % (at, at + 7)), 206,
              b'at 3 GiB', Content_Range='bytes %d-%d/%d' % (
                  at, at + 7, 5 << 30))
        check(c.get('/sparse', 'Range: bytes=%d-%d' % (at - 999999, at + 7)),
              206, bytes(999999) + b'at 3 GiB')
        if slow:
            return
        size = (2 << 30) + 9
        c.send('GET /sparse HTTP/1.1\r\nHost: x\r\nRange: bytes=1-%d\r\n\r\n'
               % size)
        assert c.header()['Content-Length'] == str(size)
        left = size - len(c.data)
        buffer = bytearray(1 << 20)
        while left:
            n = c.sock.recv_into(buffer, min(left, len(buffer)))
            assert n
            left -= n
        c.data = b''
        check(c.get('/hello.txt'), 200)


def test_slow_clients(server):
    clients = [server.connect(rcvbuf=4096) for _ in range(8)]
    for c in clients:
        c.send('GET /big HTTP/1.1\r\nHost: x\r\n\r\n')
    time.sleep(0.2)
    with server.connect() as c:
        check(c.get('/big'), 200, read('big'))
    for c in clients:
        check(c.receive(), 200, read('big'))
        c.sock.close()


def test_aborts(server):
    for i in range(20 if slow else 200):
        with server.connect(rcvbuf=4096) as c:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              b'\1\0\0\0\0\0\0\0')
            for path in ('/big', '/hello.txt', '/list/', '/big'):
                c.send('GET %s HTTP/1.1\r\nHost: x\r\n\r\n' % path)
            if i % 4 == 1:
                c.more()
            elif i % 4 == 2:
                time.sleep(0.001)
    with server.connect() as c:
        check(c.get('/big'), 200, read('big'))


def test_shrinking(server):
    for size in 10, 20 << 20:
        write('shrinking', bytes(size))
        with server.connect(rcvbuf=4096) as c:
            c.send('GET /shrinking HTTP/1.1\r\nHost: x\r\n\r\n')
            c.more()
            os.truncate(root + '/shrinking', 0)
            got = len(c.data)
            while size > 10 and (part := c.sock.recv(1 << 16)):
                got += len(part)
            assert size == 10 or got < size
    with server.connect() as c:
        check(c.get('/shrinking'), 200, b'')


def test_many(server):
    def fetch():
        try:
            with server.connect() as c:
                for path in ('hello.txt', 'big', 'sizes/16384', 'empty'):
                    check(c.get('/' + path), 200, read(path))
        except Exception as error:
            errors.append(error)

    errors = []
    threads = [threading.Thread(target=fetch) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


# --- 4  tests that start a server of their own -----------------------------


def own_timeout(*options):
    server = Server('-t', '0.5', *options)
    before = count_descriptors(server)
    begun = time.time()
    idle, partial, slow_header, unread = clients = [
        server.connect(rcvbuf=4096) for _ in range(4)]
    check(idle.get('/hello.txt'), 200)
    partial.send('GET / HTTP/1.1\r\nHo')
    unread.send('GET /sparse HTTP/1.1\r\nHost: x\r\n\r\n')
    slow_header.send('GET / HTTP/1.1\r\nX: ')
    try:
        while time.time() < begun + 10:
            slow_header.send('x')
            time.sleep(0.05)
        raise AssertionError('a slow header may take for ever')
    except ConnectionError:
        pass
    check_descriptors(server, before)
    assert idle.closed() and partial.closed()
    size = 0
    try:
        while part := unread.sock.recv(1 << 16):
            size += len(part)
    except ConnectionError:
        pass
    assert size < 5 << 30
    for c in clients:
        c.sock.close()
    server.stop()


def own_descriptors(*options):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))

    if slow:
        return
    server = Server('-t', '1', *options, preexec_fn=limit)
    clients = [server.connect() for _ in range(40)]
    used = [float(x) for x in open(
        '/proc/%d/stat' % server.process.pid).read().split()[13:15]]
    time.sleep(0.5)
    ticks = sum(float(x) for x in open(
        '/proc/%d/stat' % server.process.pid).read().split()[13:15])
    assert ticks - sum(used) < 25, 'it is busy doing nothing'
    # These wait until idle ones are reaped.
    for c in clients[-3:]:
        check(c.get('/hello.txt'), 200)
    for c in clients:
        c.sock.close()
    server.stop()


def own_stop(*options):
    for sig in signal.SIGTERM, signal.SIGINT:
        server = Server(*options)
        idle, busy, stuck = [server.connect(rcvbuf=4096) for _ in range(3)]
        check(idle.get('/hello.txt'), 200)
        stuck.send('GET /sparse HTTP/1.1\r\nHost: x\r\n\r\n')
        busy.send('GET /big HTTP/1.1\r\nHost: x\r\n\r\n')
        response = busy.header()
        stuck.header()
        server.process.send_signal(sig)
        assert idle.closed()
        try:
            server.connect()
            raise AssertionError('it goes on accepting')
        except ConnectionRefusedError:
            pass
        while len(busy.data) < int(response['Content-Length']):
            assert busy.more()
        assert busy.data == read('big')
        server.stop(sig)  # the second one
        for c in idle, busy, stuck:
            c.sock.close()


def own_stop_under_load(*options):
    server = Server(*options)
    clients = [server.connect() for _ in range(30)]
    for c in clients:
        c.send(9 * 'GET /big HTTP/1.1\r\nHost: x\r\n\r\n')
    server.process.send_signal(signal.SIGTERM)
    for c in clients:
        c.sock.close()
    server.stop()


def own_wide_root(*options):
    """The root directory is below itself, too."""
    process = subprocess.Popen([*command, '-p', '0', *options, '/'],
                               stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline().split(':')[1])
    with Client(('127.0.0.1', port)) as c:
        check(c.get(root + '/links/up'), 200, b'outside')
        check(c.get('/dev/null'), 403)
    process.terminate()
    process.stdout.close()
    assert process.wait(60) == 0


def own_addresses(*options):
    try:
        socket.socket(socket.AF_INET6).bind(('::1', 0))
    except OSError:
        return
    server = Server('-a', '::1', '-w', '1', *options)
    with server.connect() as c:
        check(c.get('/big'), 200, read('big'))
    server.stop()


def own_usage(*options):
    for wrong in ([], ['-w', '0', root], ['-w', 'x', root], ['-x', root],
                  ['-t', '-1', root], ['-a', 'nowhere', root], [root, root]):
        assert subprocess.run([*command, *options, *wrong],
                              stderr=subprocess.DEVNULL).returncode == 2
    assert subprocess.run([*command, *options, root + '/nothing'],
                          stderr=subprocess.DEVNULL).returncode == 1


# --- 5  main ---------------------------------------------------------------

passed = failed = 0


def run(name, function, *args):
    global passed, failed
    try:
        function(*args)
        passed += 1
    except Exception as error:
        failed += 1
        line = error.__traceback__.tb_next.tb_lineno
        print('failed: %s, line %d: %r' % (name, line, error))


def main():
    make_tree()
    tests = dict(globals())
    for options in [], ['-s']:
        server = Server(*options)
        before = count_descriptors(server)
        for name, function in tests.items():
            label = ' '.join([name, *options])
            if name.startswith('test_'):
                run(label, function, server)
            elif name.startswith('own_'):
                run(label, function, *options)
        run(' '.join(['descriptors', *options]), check_descriptors, server,
            before)
        run(' '.join(['stop', *options]), server.stop)
    print('%d passed, %d failed' % (passed, failed))
    return failed > 0


try:
    status = main()
finally:
    for process in Server.all:  # of tests that failed
        if process.poll() is None:
            process.kill()
sys.exit(status)
