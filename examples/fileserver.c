/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* fileserver: serves the files below a directory by HTTP/1.1.
 *
 * One thread has all connections, in one loop of epoll(7), and must never wait
 * for a disk.  So whatever is done to a file is a request to libeio, whose
 * descriptor is one more in the set of epoll's.  With -s the same program
 * executes the same requests itself, where it stands: to be compared.
 *
 *   READING ────> WORKING ─────────> SENDING ───────> READING, or DISCARDING
 *   a header      open, fstat,       ^     │  all     what still comes, until
 *                 a small read       │     v  sent    the client has closed
 *                                    WORKING
 *                                    sendfile, by chunks
 *
 * A connection has at most one request of the library's in flight, which is
 * part of it.  So its memory is the library's from eio_submit to destroy: who
 * wants to close it meanwhile marks it CLOSED, and destroy does the rest.
 *
 * What is sent by sendfile may be large and cold.  It has the lowest priority,
 * which all workers but one accept (eio_set_reserved): so who opens a file, or
 * reads a small one, finds a worker.
 *
 * Only what is below DIR is served, dot files too; of a directory, its
 * index.html.  ".." is refused.  Symbolic links are followed, but what has been
 * opened is asked where it is, and refused if that is not below DIR.  This
 * does not prevent who may make links below DIR from having devices opened (not
 * read); hard links and mounts are below DIR by definition; and when DIR itself
 * is renamed, everything is refused until a restart.
 *
 * In this file: 1 state, 2 connections, 3 file work, 4 requests, 5 responses,
 * 6 finding what to send, 7 sending and receiving, 8 the event loop, 9 main. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "eio.h"

/* --- 1 State ------------------------------------------------------------- */

enum
{
  HEADER_MAX = 8192, /* of a request */
  SMALL = 16384,     /* such files are read; larger ones go by sendfile */
  OUT_MAX = SMALL + 8192 + 4096, /* and a redirection fits, see there */
  CHUNK = 256 * 1024, /* that one sendfile sends, so that others get a turn */
  DISCARD_MAX = 1 << 20, /* of what is sent to who does not listen any more */
  TURN_MAX = 64,         /* events or callbacks in a turn of the loop */
  TICK = 100,            /* milliseconds between looks at what has no event */
  GRACE = 5,             /* seconds that responses have when a signal came */
  /* O_NONBLOCK: a FIFO is opened at once, and refused when it is seen. */
  OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
};

/* CLOSED: to be freed as soon as the library is done with it. */
enum state
{
  READING,
  WORKING,
  SENDING,
  DISCARDING,
  CLOSED
};

/* One request and its response.  The strings are in conn.in. */
struct exchange
{
  int minor; /* of HTTP/1.x */
  bool head; /* the method */
  bool close, keep_alive, host, if_range;
  const char *query, *range; /* range is null if there is none */
  bool slash;                /* the path ended with one */
  bool index;                /* it is the index.html of what was asked for */
  int file;
  struct stat st;
  off_t offs, left; /* what remains to be sent of file */
};

struct conn
{
  eio_req req; /* first: a pointer to it is one to the connection */
  void (*then) (struct conn *c);
  TAILQ_ENTRY (conn) link; /* in server.conns */
  double deadline;
  enum state state;
  bool busy;     /* req is the library's */
  bool writable; /* as far as is known */
  int sock;
  size_t in_len, in_used; /* bytes there, and bytes of this request */
  size_t out_len, out_sent, discarded;
  struct exchange x;
  char path[HEADER_MAX + sizeof "./index.html"]; /* begins with "." */
  char in[HEADER_MAX + 1];                       /* ends with a 0 */
  char out[OUT_MAX];
};

static struct
{
  bool sync; /* -s */
  unsigned workers;
  double idle;
  char root[PATH_MAX];       /* "" is "/" */
  TAILQ_HEAD (, conn) conns; /* by deadline, as all have the same time */
  size_t nconns, max_conns;
  int epoll, listener, signals;
  bool acceptable, signalled; /* something waits there */
  double now;
  double stop_by; /* 0 until a signal came */
} server = { .workers = 4, .idle = 30 };

static void advance (struct conn *c);
static void finish_open (struct conn *c);

static int
watch (int fd, uint32_t events, void *what)
{
  struct epoll_event event = { .events = events, .data.ptr = what };

  return epoll_ctl (server.epoll, EPOLL_CTL_ADD, fd, &event);
}

/* --- 2 Connections ------------------------------------------------------- */

/* Gives it its time anew: when something of it has been done, which a part of
 * a header is not. */
static void
touch (struct conn *c)
{
  c->deadline = server.now + server.idle;
  TAILQ_REMOVE (&server.conns, c, link);
  TAILQ_INSERT_TAIL (&server.conns, c, link);
}

/* Closing a file may block, too, but nobody waits for it. */
static void
close_file (struct conn *c)
{
  int fd = c->x.file;

  if (fd >= 0 && (server.sync || !eio_close (fd, EIO_PRI_DEFAULT, 0, 0)))
    close (fd);
  c->x.file = -1;
}

static void
free_conn (struct conn *c)
{
  close_file (c);
  TAILQ_REMOVE (&server.conns, c, link);
  close (c->sock);
  free (c);
  --server.nconns;
}

/* Until the library is done with it, the socket's number must not become
 * another's, for a worker may be about to send to it. */
static void
close_conn (struct conn *c)
{
  if (c->busy && c->state == WORKING)
    eio_cancel (&c->req);
  c->state = CLOSED;
  shutdown (c->sock, SHUT_RDWR);
  if (!c->busy)
    free_conn (c);
}

static void
close_conns (bool all)
{
  for (struct conn *next, *c = TAILQ_FIRST (&server.conns); c; c = next)
    {
      next = TAILQ_NEXT (c, link);
      if (all || c->state == READING || c->state == DISCARDING)
        close_conn (c);
    }
}

static void
open_conn (int sock)
{
  struct conn *c = calloc (1, sizeof *c);
  int on = 1;

  if (!c || watch (sock, EPOLLIN | EPOLLOUT | EPOLLET, c))
    {
      free (c);
      close (sock);
      return;
    }
  setsockopt (sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->sock = sock;
  c->x.file = -1;
  c->writable = true;
  TAILQ_INSERT_TAIL (&server.conns, c, link);
  touch (c);
  ++server.nconns;
}

/* --- 3 File work --------------------------------------------------------- */

static int
finish_req (eio_req *req)
{
  struct conn *c = (struct conn *)req;

  c->state = SENDING;
  c->then (c);
  advance (c);
  return 0;
}

/* Not called if finish submitted it again. */
static void
destroy_req (eio_req *req)
{
  struct conn *c = (struct conn *)req;

  c->busy = false;
  if (c->state == CLOSED)
    free_conn (c);
}

/* -s: a request as a worker would execute it. */
static void
execute_here (eio_req *req)
{
  int fd = req->int1;

  errno = 0;
  if (req->type == EIO_OPEN)
    req->result = open (req->ptr1, req->int1);
  else if (req->type == EIO_FSTAT)
    req->result = fstat (fd, req->ptr2);
  else if (req->type == EIO_READ)
    req->result = pread (fd, req->ptr2, req->size, req->offs);
  else
    req->result = eio_sendfile_sync (fd, (int)req->int2, req->offs, req->size);
  req->errorno = req->result < 0 ? errno : 0;
}

/* -s: sends a chunk for who has waited longest; returns whether there was
 * one, so that others get their turn after each. */
static bool
send_chunk_here (void)
{
  struct conn *c = TAILQ_FIRST (&server.conns);

  while (c && c->state != WORKING)
    c = TAILQ_NEXT (c, link);
  if (!c)
    return false;
  c->busy = true;
  execute_here (&c->req);
  finish_req (&c->req);
  destroy_req (&c->req);
  return true;
}

/* Fills in what requests of any type need, and submits it, as the last thing
 * that a function does; "then" is called when it is done. */
static void
submit (struct conn *c, int type, int int1, void *buf,
        void (*then) (struct conn *))
{
  bool bulk = type == EIO_SENDFILE;

  c->then = then;
  c->state = WORKING;
  c->req.type = (signed char)type;
  c->req.pri = bulk ? EIO_PRI_MIN : EIO_PRI_DEFAULT;
  c->req.finish = finish_req;
  c->req.destroy = destroy_req;
  c->req.ptr1 = c->path;
  c->req.ptr2 = buf;
  c->req.int1 = int1;
  c->req.int2 = c->x.file;
  c->req.offs = c->x.offs;
  c->req.size = c->x.left < CHUNK ? (size_t)c->x.left : CHUNK;

  if (!server.sync)
    {
      c->busy = true;
      eio_submit (&c->req);
    }
  else if (!bulk)
    {
      execute_here (&c->req);
      c->state = SENDING;
      then (c);
    }
}

/* --- 4 Requests ---------------------------------------------------------- */

/* What parses returns 0, or the status of the response that refuses it. */

#define DIGITS   "0123456789"
#define HEX      DIGITS "abcdefABCDEF"
#define ALNUM    DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define IN_TOKEN ALNUM "!#$%&'*+-.^_`|~"

static bool
consists_of (const char *string, const char *set)
{
  return *string && !string[strspn (string, set)];
}

/* Whether a list has this word, in any case. */
static bool
has_word (const char *list, const char *word)
{
  size_t len = strlen (word);

  for (; *(list += strspn (list, " \t,")); list += strcspn (list, " \t,"))
    if (!strncasecmp (list, word, len)
        && (!list[len] || strchr (" \t,", list[len])))
      return true;
  return false;
}

/* Replaces %41 and its like, where it stands. */
static int
decode (char *path)
{
  char *to = path;

  for (; *path; ++path, ++to)
    {
      *to = *path;
      if (*path == '%')
        {
          char hex[3] = { path[1], path[1] ? path[2] : 0 };

          if (strspn (hex, HEX) != 2)
            return 400;
          *to = (char)strtol (hex, 0, 16);
          if (!*to || *to == '/')
            return *to ? 404 : 400; /* no name has a slash */
          path += 2;
        }
    }
  *to = 0;
  return 0;
}

/* Makes c->path of it: "." and names, each with one slash before it. */
static int
parse_path (struct conn *c, char *raw)
{
  char *end = stpcpy (c->path, ".");
  const char *name;
  int status = decode (raw);

  while (!status && (name = strsep (&raw, "/")))
    {
      c->x.slash = !*name || !strcmp (name, ".");
      if (!strcmp (name, ".."))
        status = 403;
      else if (!c->x.slash)
        end = stpcpy (stpcpy (end, "/"), name);
    }
  return status;
}

/* "/path?query", or "http://host/path?query". */
static int
parse_target (struct conn *c, char *target)
{
  size_t host;
  char *path;

  for (const char *p = target; *p; ++p)
    if (*p <= ' ' || *p > '~' || *p == '#')
      return 400;

  host = !strncasecmp (target, "http://", 7)    ? 7
         : !strncasecmp (target, "https://", 8) ? 8
                                                : 0;
  if (host ? strchr ("/?", target[host]) != 0 : *target != '/')
    return 400;
  target += host + strcspn (target + host, "/?");
  path = strsep (&target, "?");
  c->x.query = target ? target : "";
  return parse_path (c, path);
}

static int
parse_request_line (struct conn *c, char *line)
{
  const char *others = "POST PUT DELETE CONNECT OPTIONS TRACE PATCH";
  const char *method = strsep (&line, " ");
  char *target = strsep (&line, " ");
  const char *version = line;
  int major;

  if (!version || strlen (version) != 8
      || sscanf (version, "HTTP/%1d.%1d", &major, &c->x.minor) != 2)
    return 400;
  if (major != 1)
    return 505;
  if (!consists_of (method, IN_TOKEN))
    return 400;
  c->x.head = !strcmp (method, "HEAD");
  if (!c->x.head && strcmp (method, "GET"))
    return has_word (others, method) ? 405 : 501;
  return parse_target (c, target);
}

/* A body is not read: the connection ends with the response. */
static int
parse_field (struct exchange *x, char *line)
{
  const char *name = strsep (&line, ":"), *value;
  char *end;

  if (!line || !consists_of (name, IN_TOKEN))
    return 400;
  for (end = line; *end; ++end)
    if (iscntrl ((unsigned char)*end) && *end != '\t')
      return 400;
  while (end > line && strchr (" \t", end[-1]))
    *--end = 0;
  value = line + strspn (line, " \t");

  if (!strcasecmp (name, "Connection"))
    {
      x->close |= has_word (value, "close");
      x->keep_alive |= has_word (value, "keep-alive");
    }
  else if (!strcasecmp (name, "Transfer-Encoding"))
    x->close = true;
  else if (!strcasecmp (name, "Content-Length"))
    {
      if (!consists_of (value, DIGITS))
        return 400;
      x->close |= !consists_of (value, "0");
    }
  else if (!strcasecmp (name, "Host"))
    {
      if (x->host || value[strcspn (value, " /?#@\\")])
        return 400;
      x->host = true;
    }
  else if (!strcasecmp (name, "Range"))
    x->range = value;
  else if (!strcasecmp (name, "If-Range"))
    x->if_range = true;
  return 0;
}

/* Takes a line from the header; it ends with LF or CR LF. */
static char *
take_line (char **header)
{
  char *line = strsep (header, "\n");
  size_t len = strlen (line);

  if (len && line[len - 1] == '\r')
    line[len - 1] = 0;
  return line;
}

/* Where the header in c->in ends, 0: not yet.  Empty lines before it count as
 * part of it. */
static size_t
find_end (struct conn *c)
{
  char *p = c->in + strspn (c->in, "\r\n");

  while ((p = memchr (p, '\n', (size_t)(c->in + c->in_len - p))))
    {
      p += p[1] == '\r' ? 2 : 1;
      if (*p == '\n')
        return (size_t)(p + 1 - c->in);
    }
  return 0;
}

static int
parse_header (struct conn *c)
{
  char *line, *header = c->in + strspn (c->in, "\r\n");
  int status;

  if (memchr (c->in, 0, c->in_used))
    return 400;
  status = parse_request_line (c, take_line (&header));
  while (!status && *(line = take_line (&header)))
    status = parse_field (&c->x, line);
  return !status && c->x.minor && !c->x.host ? 400 : status;
}

/* --- 5 Responses --------------------------------------------------------- */

static const char *
get_status_text (int status)
{
  static const char *const texts[] = { /* clang-format off */
    "200 OK", "206 Partial Content", "301 Moved Permanently",
    "400 Bad Request", "403 Forbidden", "404 Not Found",
    "405 Method Not Allowed", "416 Range Not Satisfiable",
    "431 Request Header Fields Too Large", "501 Not Implemented",
    "503 Service Unavailable", "505 HTTP Version Not Supported"
  }; /* clang-format on */

  for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i)
    if (atoi (texts[i]) == status)
      return texts[i];
  return "500 Internal Server Error";
}

/* Appends to the header, for which there is always room. */
static void __attribute__ ((format (printf, 2, 3)))
put (struct conn *c, const char *format, ...)
{
  size_t room = sizeof c->out - c->out_len;
  va_list args;
  int len;

  va_start (args, format);
  len = vsnprintf (c->out + c->out_len, room, format, args);
  va_end (args);
  c->out_len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

static void
put_date (struct conn *c, const char *name, time_t when)
{
  struct tm tm;
  char date[30];

  if (gmtime_r (&when, &tm)
      && strftime (date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm))
    put (c, "%s: %s\r\n", name, date);
}

/* All of a header but what only some have, and the empty line. */
static void
begin_response (struct conn *c, int status, const char *type, off_t length)
{
  struct exchange *x = &c->x;

  x->close |= server.stop_by > 0 || (!x->minor && !x->keep_alive);
  put (c, "HTTP/1.1 %s\r\n", get_status_text (status));
  put_date (c, "Date", time (0));
  put (c, "Content-Type: %s\r\nContent-Length: %lld\r\n", type,
       (long long)length);
  if (x->close || !x->minor)
    put (c, "Connection: %s\r\n", x->close ? "close" : "keep-alive");
  c->state = SENDING;
}

/* A response that says no more than its status.  It has room for a redirection:
 * what has been opened has a path shorter than PATH_MAX, which is at most
 * thrice as long when it is encoded, and the query was in a header. */
static void
respond (struct conn *c, int status)
{
  const char *text = get_status_text (status);

  c->x.left = 0;
  begin_response (c, status, "text/plain", (off_t)strlen (text) + 1);
  if (status == 301)
    {
      put (c, "Location: ");
      for (const char *p = c->path + 1; *p; ++p)
        put (c, strchr (ALNUM "-._~/", *p) ? "%c" : "%%%02X",
             (unsigned char)*p);
      put (c, "/%s%s\r\n", *c->x.query ? "?" : "", c->x.query);
    }
  if (status == 405)
    put (c, "Allow: GET, HEAD\r\n");
  if (status == 416)
    put (c, "Content-Range: bytes */%lld\r\n", (long long)c->x.st.st_size);
  put (c, "\r\n");
  if (!c->x.head)
    put (c, "%s\n", text);
}

static int
get_status (int errorno, bool index)
{
  if (errorno == ENOENT || errorno == ENOTDIR || errorno == ENAMETOOLONG)
    return index ? 403 : 404;
  if (errorno == EMFILE || errorno == ENFILE || errorno == ENOMEM)
    return 503;
  return errorno == EIO ? 500 : 403;
}

/* --- 6 Finding what to send ---------------------------------------------- */

static const char *
get_type (const char *path)
{
  static const char *const types[][2] = {
    { ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript" },
    { ".txt", "text/plain; charset=utf-8" }, { ".png", "image/png" },
    { ".css", "text/css; charset=utf-8" },   { ".jpg", "image/jpeg" },
    { ".json", "application/json" },         { ".svg", "image/svg+xml" }
  };
  const char *suffix = strrchr (path, '.');

  for (size_t i = 0; i < sizeof types / sizeof *types; ++i)
    if (!strcasecmp (suffix, types[i][0]))
      return types[i][1];
  return "application/octet-stream";
}

/* Chooses what to send of the file, and the status.  What is no range, and
 * several of them, are ignored, and so are conditions: nothing here says what
 * If-Range could be about.  A number too large is as good as the largest. */
static int
choose_range (struct exchange *x)
{
  const char *range = x->range, *dash;
  long long first, last, size = x->st.st_size;

  x->offs = 0;
  x->left = x->st.st_size;
  if (!range || x->if_range || x->head || strncasecmp (range, "bytes=", 6))
    return 200;
  range += 6;
  dash = strchr (range, '-');
  if (!consists_of (range, DIGITS "-") || !dash || strchr (dash + 1, '-')
      || !range[1])
    return 200;

  first = dash > range ? strtoll (range, 0, 10) : 0;
  last = dash[1] ? strtoll (dash + 1, 0, 10) : LLONG_MAX;
  if (dash == range) /* the last so many */
    {
      if (last && !size)
        return 200;
      first = last < size ? size - last : 0;
      last = LLONG_MAX;
    }
  else if (last < first)
    return 200;

  if (first >= size)
    return 416;
  x->offs = (off_t)first;
  x->left = (off_t)((last < size ? last + 1 : size) - first);
  return 206;
}

/* If a file has become shorter, that is not what the header promised. */
static void
finish_read (struct conn *c)
{
  bool whole = EIO_RESULT (&c->req) == (eio_ssize_t)c->x.left;

  c->out_len = whole ? c->out_len + (size_t)c->x.left : 0;
  c->x.left = 0;
  if (!whole)
    respond (c, 500);
}

static void
respond_with_file (struct conn *c)
{
  struct exchange *x = &c->x;
  int status = choose_range (x);

  if (status == 416)
    {
      respond (c, status);
      return;
    }

  begin_response (c, status, get_type (c->path), x->left);
  put_date (c, "Last-Modified", x->st.st_mtime);
  put (c, "Accept-Ranges: bytes\r\n");
  if (status == 206)
    put (c, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)x->offs,
         (long long)(x->offs + x->left - 1), (long long)x->st.st_size);
  put (c, "\r\n");

  if (x->head)
    x->left = 0;
  else if (x->left && x->left <= SMALL)
    submit (c, EIO_READ, x->file, c->out + c->out_len, finish_read);
}

static void
finish_fstat (struct conn *c)
{
  struct exchange *x = &c->x;

  if (EIO_RESULT (&c->req) < 0)
    respond (c, 500);
  else if (S_ISREG (x->st.st_mode) && (!x->slash || x->index))
    respond_with_file (c);
  else if (S_ISREG (x->st.st_mode))
    respond (c, 404);
  else if (!S_ISDIR (x->st.st_mode) || x->index)
    respond (c, 403);
  else if (!x->slash)
    respond (c, 301);
  else
    {
      close_file (c);
      x->index = true;
      strcat (c->path, "/index.html");
      submit (c, EIO_OPEN, OPEN_FLAGS, 0, finish_open);
    }
}

/* What has been opened is asked where it is.  This never waits: the kernel
 * answers from memory. */
static bool
is_below_root (int fd)
{
  size_t root_len = strlen (server.root);
  char link[32], path[PATH_MAX] = "";

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  return readlink (link, path, sizeof path - 1) > 0
         && !memcmp (path, server.root, root_len)
         && (!path[root_len] || path[root_len] == '/');
}

static void
finish_open (struct conn *c)
{
  c->x.file = (int)EIO_RESULT (&c->req);
  if (c->x.file < 0)
    respond (c, get_status (c->req.errorno, c->x.index));
  else if (!is_below_root (c->x.file))
    respond (c, 403);
  else
    submit (c, EIO_FSTAT, c->x.file, &c->x.st, finish_fstat);
}

/* --- 7 Sending and receiving --------------------------------------------- */

/* epoll tells changes only (EPOLLET), so each goes on until the socket says
 * EAGAIN.  A step returns whether another one is to follow at once; if not,
 * the connection may be gone. */

/* After a call on the socket that failed, or found the end. */
static bool
handle_end (struct conn *c, ssize_t n)
{
  if (n < 0 && errno == EINTR)
    return true;
  if (n == 0 || errno != EAGAIN)
    close_conn (c);
  return false;
}

/* What is wrong with a request ends its connection: so nobody keeps the loop
 * busy with requests that need no file work. */
static bool
receive (struct conn *c)
{
  ssize_t n;

  c->in_used = find_end (c);
  if (c->in_used || c->in_len == HEADER_MAX)
    {
      int status = c->in_used ? parse_header (c) : 431;

      touch (c);
      c->x.close |= status != 0;
      if (status)
        respond (c, status);
      else
        submit (c, EIO_OPEN, OPEN_FLAGS, 0, finish_open);
      return true;
    }

  n = recv (c->sock, c->in + c->in_len, HEADER_MAX - c->in_len, 0);
  if (n <= 0)
    return handle_end (c, n);
  c->in_len += (size_t)n;
  c->in[c->in_len] = 0;
  return true;
}

/* If a socket is closed before all that came has been read, the other side
 * loses what it has not read: so this reads until it has closed, too. */
static bool
discard (struct conn *c)
{
  ssize_t n = recv (c->sock, c->in, HEADER_MAX, 0);

  if (n <= 0)
    return handle_end (c, n);
  c->discarded += (size_t)n;
  if (c->discarded < DISCARD_MAX)
    return true;
  close_conn (c);
  return false;
}

/* When a worker finds the socket full, it may have become writable again
 * before this is called: nobody is going to say so another time. */
static void
finish_sending (struct conn *c)
{
  off_t n = EIO_RESULT (&c->req);

  if (n > 0)
    {
      touch (c);
      c->writable = true;
      c->x.offs += n;
      c->x.left -= n;
    }
  else if (n == 0 || c->req.errorno != EAGAIN)
    close_conn (c); /* the file has become shorter, or something failed */
}

static bool
end_response (struct conn *c)
{
  bool close = c->x.close || server.stop_by > 0;

  close_file (c);
  c->x = (struct exchange){ .file = -1 };
  c->out_len = c->out_sent = 0;
  if (close)
    {
      shutdown (c->sock, SHUT_WR);
      c->state = DISCARDING;
    }
  else
    {
      c->in_len -= c->in_used;
      memmove (c->in, c->in + c->in_used, c->in_len + 1);
      c->state = READING;
    }
  return true;
}

static bool
transmit (struct conn *c)
{
  struct exchange *x = &c->x;

  if (c->out_sent < c->out_len)
    {
      ssize_t n = send (c->sock, c->out + c->out_sent,
                        c->out_len - c->out_sent,
                        MSG_NOSIGNAL | (x->left ? MSG_MORE : 0));

      if (n < 0)
        return handle_end (c, n);
      touch (c);
      c->out_sent += (size_t)n;
      return true;
    }
  if (!x->left)
    return end_response (c);
  if (!c->writable)
    return false;

  c->writable = false;
  submit (c, EIO_SENDFILE, c->sock, 0, finish_sending);
  return true;
}

/* Goes on as far as possible without waiting. */
static void
advance (struct conn *c)
{
  static bool (*const steps[]) (struct conn *) = { receive, 0, transmit,
                                                   discard, 0 }; /* by state */

  while (steps[c->state] && steps[c->state](c))
    ;
}

/* --- 8 The event loop ---------------------------------------------------- */

/* While there are as many connections as there can be, or no descriptors,
 * those that wait are looked at again in each turn. */
static void
accept_conns (void)
{
  while (server.nconns < server.max_conns)
    {
      int sock = accept4 (server.listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);

      server.acceptable = sock >= 0 || errno != EAGAIN;
      if (sock >= 0)
        open_conn (sock);
      else if (errno != EINTR && errno != ECONNABORTED)
        return;
    }
}

/* What is being answered has a few seconds left; a second signal ends it. */
static void
take_signal (void)
{
  struct signalfd_siginfo info;
  bool again = server.stop_by > 0;

  server.signalled = false;
  if (read (server.signals, &info, sizeof info) != sizeof info)
    return;
  server.stop_by = server.now + (again ? 0 : GRACE);
  if (again)
    return;
  server.acceptable = false;
  close (server.listener);
  close_conns (false);
}

/* For file work there is no limit of time. */
static void
reap_conns (void)
{
  struct conn *c;

  while ((c = TAILQ_FIRST (&server.conns)) && c->deadline <= server.now)
    if (c->busy || c->state == WORKING)
      touch (c);
    else
      close_conn (c);
}

static void
handle_event (void *what, uint32_t events)
{
  struct conn *c = what;

  if (what == &server.listener)
    server.acceptable = true;
  else if (what == &server.signals)
    server.signalled = true;
  else if (what != &server.epoll)
    {
      c->writable |= !!(events & EPOLLOUT);
      if (events & (EPOLLERR | EPOLLHUP) && c->state == WORKING)
        close_conn (c); /* nobody wants the answer any more */
      else
        advance (c);
    }
}

/* An event may be for a connection that a callback closes: so callbacks are
 * called when all of a turn's have been seen, and so is what closes others. */
static void
run_loop (void)
{
  struct epoll_event events[TURN_MAX];
  struct timespec now;
  bool more = false; /* to do without an event */

  while (!(server.stop_by > 0)
         || (server.nconns && server.now < server.stop_by))
    {
      int timeout = more ? 0 : server.nconns || server.acceptable ? TICK : -1;
      int n = epoll_wait (server.epoll, events, TURN_MAX, timeout);

      clock_gettime (CLOCK_MONOTONIC, &now);
      server.now = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
      for (int i = 0; i < n; ++i)
        handle_event (events[i].data.ptr, events[i].events);
      eio_poll ();
      more = server.sync && send_chunk_here ();
      reap_conns ();
      if (server.acceptable)
        accept_conns ();
      if (server.signalled)
        take_signal ();
    }
}

/* --- 9 Main -------------------------------------------------------------- */

static void
refuse_usage (void)
{
  fputs ("Usage: fileserver [-a ADDRESS] [-p PORT] [-s] [-w WORKERS]"
         " [-t SECONDS] DIR\n"
         "Initially, -a 127.0.0.1 -p 8080 -w 4 -t 30; -t: how long clients may"
         "\ndo nothing; -s: file work in the loop, for comparison.\n",
         stderr);
  exit (2);
}

static void
open_listener (const char *address, const char *port)
{
  struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                            .ai_socktype = SOCK_STREAM };
  struct addrinfo *info;
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  char serv[8];
  int on = 1;

  if (getaddrinfo (address, port, &hints, &info))
    refuse_usage ();
  server.listener = socket (info->ai_family,
                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt (server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind (server.listener, info->ai_addr, info->ai_addrlen)
      || listen (server.listener, 1024)
      || watch (server.listener, EPOLLIN | EPOLLET, &server.listener))
    err (EXIT_FAILURE, "%s", address);
  freeaddrinfo (info);

  getsockname (server.listener, (struct sockaddr *)&bound, &size);
  getnameinfo ((struct sockaddr *)&bound, size, 0, 0, serv, sizeof serv,
               NI_NUMERICSERV);
  printf (strchr (address, ':') ? "listening on [%s]:%s\n"
                                : "listening on %s:%s\n",
          address, serv);
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  const char *address = "127.0.0.1", *port = "8080";
  struct rlimit limit;
  sigset_t set;
  int option;

  while ((option = getopt (argc, argv, "a:p:sw:t:")) != -1)
    if (option == 'a')
      address = optarg;
    else if (option == 'p')
      port = optarg;
    else if (option == 's')
      server.sync = true;
    else if (option == 'w')
      server.workers = (unsigned)atoi (optarg);
    else if (option == 't')
      server.idle = atof (optarg);
    else
      refuse_usage ();
  if (optind != argc - 1 || server.workers - 1 >= 1000 || !(server.idle > 0))
    refuse_usage ();

  if (chdir (argv[optind]) || !getcwd (server.root, sizeof server.root))
    err (EXIT_FAILURE, "%s", argv[optind]);
  if (!server.root[1])
    server.root[0] = 0;
  TAILQ_INIT (&server.conns);

  /* A connection needs a descriptor, and two while it is being answered. */
  getrlimit (RLIMIT_NOFILE, &limit);
  server.max_conns = limit.rlim_cur > 34 ? (limit.rlim_cur - 32) / 2 : 1;

  /* Before there are threads, so that none gets them. */
  signal (SIGPIPE, SIG_IGN);
  sigemptyset (&set);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGTERM);
  sigprocmask (SIG_BLOCK, &set, 0);
  server.signals = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

  server.epoll = epoll_create1 (EPOLL_CLOEXEC);
  eio_set_parallel (server.workers);
  eio_set_reserved (EIO_PRI_DEFAULT, 1);
  eio_set_ageing (1);
  eio_set_inline (SMALL);
  eio_set_max_poll_reqs (TURN_MAX);
  if (watch (eio_poll_fd (), EPOLLIN, &server.epoll)
      || watch (server.signals, EPOLLIN, &server.signals))
    err (EXIT_FAILURE, "event loop");
  open_listener (address, port);
  run_loop ();
  close_conns (true);
  eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
  return EXIT_SUCCESS;
}
