/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/* fileserver: serves the files below a directory by HTTP/1.1.
 *
 * One thread has all connections, in one loop of epoll(7), and must never wait
 * for a disk.  So whatever is done to a file is a request to libeio, and the
 * library's descriptor is one more in the set of epoll's.  With -s the same
 * program executes the same requests itself, where it stands: to be compared.
 *
 *   READING ───────> WORKING ────────────> SENDING ───────> READING,
 *   a header         open, fstat, then     ^     │  all      or DISCARDING
 *                    a read if it is       │     v  sent     what still comes,
 *                    small, or a listing   WORKING           until the client
 *                                          sendfile,         has closed
 *                                          by chunks
 *
 * A connection has at most one request of the library's in flight, which is
 * part of it.  So its memory is the library's from eio_submit to destroy: who
 * wants to close it meanwhile marks it dead, and destroy does the rest.
 *
 * What is sent by sendfile may be large and cold.  It goes by chunks, in turn,
 * which keep all workers but one busy at most: so who opens a file, or reads a
 * small one, finds a worker.  Small files that are in memory are read at once
 * (eio_set_inline).
 *
 * Only what is below DIR is served, all of it, dot files too.  ".." in a path
 * is refused.  Symbolic links are followed, but what has been opened is asked
 * where it is (/proc/self/fd), and refused if that is not below DIR.  What this
 * does not prevent: whoever may make links and device files below DIR can have
 * devices opened (not read), which may do something; hard links and mounts are
 * below DIR by definition; and when DIR itself is renamed, everything is
 * refused until a restart.
 *
 * In this file: 1 state, 2 connections, 3 file work, 4 requests, 5 responses,
 * 6 finding what to send, 7 sending and receiving, 8 the event loop, 9 main. */

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "eio.h"

/*****************************************************************************
 * 1  State                                                                  *
 *****************************************************************************/

enum
{
  HEADER_MAX = 8192, /* of a request */
  SMALL = 16384,     /* such files are read; larger ones go by sendfile */
  OUT_MAX = SMALL + 8192 + 4096, /* and a redirection fits, see there */
  CHUNK = 256 * 1024, /* that one sendfile sends, so that others get a turn */
  DISCARD_MAX = 1 << 20, /* of what is sent to who does not listen any more */
  TURN_MAX = 64, /* events, accepts or callbacks in a turn of the loop */
  GRACE = 5      /* seconds that responses have when a signal came */
};

enum state
{
  READING,
  WORKING,
  SENDING,
  DISCARDING
};

/* Header fields that are looked at later. */
enum field
{
  HOST,
  IF_MODIFIED_SINCE,
  IF_NONE_MATCH,
  IF_RANGE,
  RANGE,
  FIELDS
};

static const char *const field_names[FIELDS] = { "Host", "If-Modified-Since",
                                                 "If-None-Match", "If-Range",
                                                 "Range" };

/* One request and its response.  The strings are in conn.in. */
struct exchange
{
  int minor; /* of HTTP/1.x */
  bool head; /* the method */
  bool close, keep_alive;
  const char *query; /* null: none */
  const char *fields[FIELDS];
  bool slash; /* the path ended with one */

  int file, dir;
  struct stat st;
  char *listing;
  size_t listing_len, listing_sent;
  off_t offs, left; /* what remains to be sent of file */
};

struct conn
{
  eio_req req; /* first: a pointer to it is one to the connection */
  void (*then) (struct conn *c);
  struct conn *queued;      /* the next one in a queue */
  struct conn *prev, *next; /* in server.conns */
  double deadline;
  enum state state;
  bool waiting;  /* in a queue */
  bool busy;     /* req is the library's */
  bool dead;     /* to be freed when it is neither */
  bool writable; /* the socket has become so since req was submitted */
  int sock;
  size_t in_len, in_used; /* bytes there, and bytes of this request */
  size_t out_len, out_sent;
  size_t discarded;
  struct exchange x;
  char path[PATH_MAX + sizeof "/index.html"]; /* relative to the root */
  char in[HEADER_MAX + 1];
  char out[OUT_MAX];
};

struct queue
{
  struct conn *head, **tail;
};

static struct
{
  bool sync;
  unsigned workers;
  double idle;
} opt = { .workers = 4, .idle = 30 };

static struct
{
  eio_wd root;
  char root_path[PATH_MAX];
  size_t root_len;

  /* In the order of their deadlines, as all have the same time. */
  struct conn conns;
  size_t nconns, max_conns;

  struct queue urgent; /* with -s: all but sendfile */
  struct queue bulk;   /* sendfile */
  unsigned nsending;   /* what the library has of that */

  int epoll, listener, signals;
  double now;
  double resume;  /* when to accept again; 0 while it does */
  double stop_by; /* 0 until a signal came */
  char date[30];
} server;

static void
fail_program (const char *what, int errorno)
{
  fprintf (stderr, "fileserver: %s: %s\n", what, strerror (errorno));
  exit (EXIT_FAILURE);
}

static double
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*****************************************************************************
 * 2  Connections                                                            *
 *****************************************************************************/

static void
unlink_conn (struct conn *c)
{
  c->prev->next = c->next;
  c->next->prev = c->prev;
}

/* Gives it its time anew: when something of it has been done, which a part of
 * a header is not. */
static void
touch (struct conn *c)
{
  unlink_conn (c);
  c->deadline = server.now + opt.idle;
  c->next = &server.conns;
  c->prev = server.conns.prev;
  c->prev->next = c->next->prev = c;
}

/* Closing a file may block, too, but nobody waits for it. */
static void
close_file (int *fd)
{
  if (*fd >= 0 && (opt.sync || !eio_close (*fd, EIO_PRI_DEFAULT, 0, 0)))
    close (*fd);
  *fd = -1;
}

static void
reset_exchange (struct conn *c)
{
  close_file (&c->x.file);
  close_file (&c->x.dir);
  free (c->x.listing);
  c->x = (struct exchange){ .file = -1, .dir = -1 };
  c->out_len = c->out_sent = 0;
}

static void
free_conn (struct conn *c)
{
  reset_exchange (c);
  unlink_conn (c);
  close (c->sock);
  free (c);
  --server.nconns;
}

/* Until the library is done with it, the socket's number must not become
 * another's, for a worker may be about to send to it. */
static void
close_conn (struct conn *c)
{
  c->dead = true;
  if (c->busy || c->waiting)
    shutdown (c->sock, SHUT_RDWR);
  else
    free_conn (c);
}

static bool
open_conn (int sock)
{
  struct conn *c = calloc (1, sizeof *c);
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
                               .data.ptr = c };
  int on = 1;

  if (!c || epoll_ctl (server.epoll, EPOLL_CTL_ADD, sock, &event))
    {
      free (c);
      return false;
    }
  setsockopt (sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->sock = sock;
  c->x.file = c->x.dir = -1;
  reset_exchange (c);
  c->prev = c->next = c;
  touch (c);
  ++server.nconns;
  return true;
}

/*****************************************************************************
 * 3  File work                                                              *
 *                                                                           *
 * Fill c->req, and submit it; "then" is called when it is done.             *
 *****************************************************************************/

static void
push_conn (struct queue *queue, struct conn *c)
{
  if (!queue->head)
    queue->tail = &queue->head;
  c->queued = 0;
  c->waiting = true;
  *queue->tail = c;
  queue->tail = &c->queued;
}

static struct conn *
pop_conn (struct queue *queue)
{
  struct conn *c = queue->head;

  if (c)
    {
      queue->head = c->queued;
      c->waiting = false;
    }
  return c;
}

static int
finish_req (eio_req *req)
{
  struct conn *c = (struct conn *)req;

  if (req->type == EIO_OPEN)
    c->x.file = (int)EIO_RESULT (req);
  if (!c->dead)
    c->then (c);
  return 0;
}

static int
finish_sendfile (eio_req *req)
{
  --server.nsending;
  return finish_req (req);
}

/* Not called if finish submitted it again. */
static void
destroy_req (eio_req *req)
{
  struct conn *c = (struct conn *)req;

  c->busy = false;
  if (c->dead && !c->waiting)
    free_conn (c);
}

static void
submit_now (struct conn *c)
{
  c->busy = true;
  eio_submit (&c->req);
}

static void
submit (struct conn *c, int type, void (*then) (struct conn *))
{
  c->then = then;
  c->state = WORKING;
  c->req.type = (signed char)type;
  c->req.finish = type == EIO_SENDFILE ? finish_sendfile : finish_req;
  c->req.destroy = destroy_req;

  if (type == EIO_SENDFILE)
    push_conn (&server.bulk, c);
  else if (opt.sync)
    push_conn (&server.urgent, c);
  else
    submit_now (c);
}

/* O_NONBLOCK: a FIFO is opened at once, and refused when it is seen. */
static void
submit_open (struct conn *c, void (*then) (struct conn *))
{
  c->req.wd = server.root;
  c->req.ptr1 = *c->path ? c->path : ".";
  c->req.int1 = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  submit (c, EIO_OPEN, then);
}

static void
submit_fstat (struct conn *c, void (*then) (struct conn *))
{
  c->req.int1 = c->x.file;
  c->req.ptr2 = &c->x.st;
  submit (c, EIO_FSTAT, then);
}

static void
submit_read (struct conn *c, void (*then) (struct conn *))
{
  c->req.int1 = c->x.file;
  c->req.ptr2 = c->out + c->out_len;
  c->req.size = (size_t)c->x.left;
  c->req.offs = c->x.offs;
  submit (c, EIO_READ, then);
}

static void
submit_sendfile (struct conn *c, void (*then) (struct conn *))
{
  c->writable = false;
  c->req.int1 = c->sock;
  c->req.int2 = c->x.file;
  c->req.offs = c->x.offs;
  c->req.size = c->x.left < CHUNK ? (size_t)c->x.left : CHUNK;
  submit (c, EIO_SENDFILE, then);
}

static void
submit_custom (struct conn *c, void (*execute) (eio_req *),
               void (*then) (struct conn *))
{
  c->req.int1 = c->x.dir;
  c->req.feed = execute;
  submit (c, EIO_CUSTOM, then);
}

/* -s: a request as a worker would execute it. */
static void
execute_here (eio_req *req)
{
  int fd = req->int1;

  errno = 0;
  if (req->type == EIO_OPEN)
    req->result = openat (*(int *)req->wd, req->ptr1, req->int1);
  else if (req->type == EIO_FSTAT)
    req->result = fstat (fd, req->ptr2);
  else if (req->type == EIO_READ)
    req->result = pread (fd, req->ptr2, req->size, req->offs);
  else if (req->type == EIO_SENDFILE)
    req->result = eio_sendfile_sync (fd, (int)req->int2, req->offs, req->size);
  else
    req->feed (req);
  req->errorno = req->result < 0 ? errno : 0;
}

/* In each turn.  With -s, others get their turn after each sendfile. */
static void
run_queues (void)
{
  unsigned limit = opt.sync || opt.workers == 1 ? 1 : opt.workers - 1;
  struct conn *c;

  while ((c = pop_conn (&server.urgent))
         || (server.nsending < limit && (c = pop_conn (&server.bulk))))
    {
      bool bulk = c->req.type == EIO_SENDFILE;

      if (c->dead)
        {
          free_conn (c);
          continue;
        }
      server.nsending += bulk;
      if (!opt.sync)
        {
          submit_now (c);
          continue;
        }
      execute_here (&c->req);
      c->req.finish (&c->req);
      if (bulk)
        break;
    }
}

/*****************************************************************************
 * 4  Requests                                                               *
 *                                                                           *
 * What parses returns 0, or the status of the response that refuses it.     *
 *****************************************************************************/

#define DIGITS   "0123456789"
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

/* Takes a byte of a path, which may be written as %41; -1 if it is none. */
static int
take_byte (const char **raw)
{
  const char *p = *raw;
  char hex[3] = { 0 };

  *raw += 1;
  if (*p != '%')
    return (unsigned char)*p;
  if (strspn (p + 1, DIGITS "abcdefABCDEF") < 2)
    return -1;
  memcpy (hex, p + 1, 2);
  *raw += 2;
  return (int)strtol (hex, 0, 16);
}

/* Makes c->path of it: names with one slash between them, none of which is
 * "." or "..". */
static int
parse_path (struct conn *c, const char *raw)
{
  size_t len = 0, begin, name;
  int byte;

  for (c->x.slash = true; *raw;)
    {
      if (*raw == '/')
        {
          ++raw;
          c->x.slash = true;
          continue;
        }
      begin = len;
      if (len)
        c->path[len++] = '/';
      for (name = len; *raw && *raw != '/'; c->path[len++] = (char)byte)
        {
          byte = take_byte (&raw);
          if (byte <= 0)
            return 400;
          if (byte == '/' || len >= PATH_MAX - 2)
            return 404; /* no name has one, no path is so long */
        }
      c->path[len] = 0;
      c->x.slash = !strcmp (c->path + name, ".");
      if (c->x.slash)
        len = begin;
      if (!strcmp (c->path + name, ".."))
        return 403;
    }
  c->path[len] = 0;
  return 0;
}

/* "/path?query", or "http://host/path?query". */
static int
parse_target (struct conn *c, char *target)
{
  char *query;

  for (char *p = target; *p; ++p)
    if (*p <= ' ' || *p > '~' || *p == '#')
      return 400;

  if (!strncasecmp (target, "http://", 7)
      || !strncasecmp (target, "https://", 8))
    {
      target = strchr (target, ':') + 3;
      if (strchr ("/?", *target)) /* or at the end: no host */
        return 400;
      target += strcspn (target, "/?");
    }
  else if (*target != '/')
    return 400;

  query = strchr (target, '?');
  if (query)
    *query++ = 0;
  c->x.query = query;
  return parse_path (c, target);
}

static int
parse_method (struct conn *c, const char *method)
{
  static const char others[] = "POST PUT DELETE CONNECT OPTIONS TRACE PATCH";

  c->x.head = !strcmp (method, "HEAD");
  if (c->x.head || !strcmp (method, "GET"))
    return 0;
  if (!consists_of (method, IN_TOKEN))
    return 400;
  return has_word (others, method) ? 405 : 501;
}

static int
parse_request_line (struct conn *c, char *line)
{
  char *target = line + strcspn (line, " ");
  char *version = target + (*target ? 1 + strcspn (target + 1, " ") : 0);
  int status;

  if (!*target || !*version)
    return 400;
  *target++ = *version++ = 0;

  if (strncmp (version, "HTTP/", 5) || strlen (version) != 8
      || version[6] != '.' || !strchr (DIGITS, version[5])
      || !strchr (DIGITS, version[7]))
    return 400;
  if (version[5] != '1')
    return 505;
  c->x.minor = version[7] != '0';

  status = parse_method (c, line);
  return status ? status : parse_target (c, target);
}

/* A body is not read: the connection ends with the response. */
static int
take_field (struct conn *c, const char *name, char *value)
{
  if (!strcasecmp (name, "Connection"))
    {
      c->x.close |= has_word (value, "close");
      c->x.keep_alive |= has_word (value, "keep-alive");
    }
  else if (!strcasecmp (name, "Transfer-Encoding"))
    c->x.close = true;
  else if (!strcasecmp (name, "Content-Length"))
    {
      if (!consists_of (value, DIGITS))
        return 400;
      c->x.close |= !consists_of (value, "0");
    }

  for (int i = 0; i < FIELDS; ++i)
    if (!strcasecmp (name, field_names[i]))
      {
        if (i == HOST && (c->x.fields[i] || value[strcspn (value, " /?#@\\")]))
          return 400;
        if (!c->x.fields[i])
          c->x.fields[i] = value;
      }
  return 0;
}

static int
parse_field (struct conn *c, char *line)
{
  char *value = strchr (line, ':');
  char *end = line + strlen (line);

  if (!value)
    return 400;
  *value++ = 0;
  value += strspn (value, " \t");
  while (end > value && strchr (" \t", end[-1]))
    *--end = 0;
  for (char *p = value; p < end; ++p)
    if ((unsigned char)*p < ' ' ? *p != '\t' : *p == '\177')
      return 400;
  return consists_of (line, IN_TOKEN) ? take_field (c, line, value) : 400;
}

/* Takes a line from the header; it ends with LF or CR LF. */
static char *
take_line (char **header)
{
  char *line = *header;
  char *end = strchr (line, '\n');

  *header = end + 1;
  if (end > line && end[-1] == '\r')
    --end;
  *end = 0;
  return line;
}

static int
parse_header (struct conn *c)
{
  char *header = c->in;
  char *line;
  int status;

  if (memchr (c->in, 0, c->in_used))
    return 400;
  status = parse_request_line (c, take_line (&header));
  while (!status && *(line = take_line (&header)))
    status = parse_field (c, line);
  if (!status && c->x.minor && !c->x.fields[HOST])
    status = 400;
  return status;
}

/*****************************************************************************
 * 5  Responses                                                              *
 *****************************************************************************/

static const char *
get_reason (int status)
{
  static const struct
  {
    int status;
    const char *reason;
  } reasons[] = {
    { 200, "OK" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 416, "Range Not Satisfiable" },
    { 431, "Request Header Fields Too Large" },
    { 501, "Not Implemented" },
    { 503, "Service Unavailable" },
    { 505, "HTTP Version Not Supported" },
  };

  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; ++i)
    if (reasons[i].status == status)
      return reasons[i].reason;
  return "Internal Server Error";
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
format_date (char *to, size_t size, time_t when)
{
  struct tm tm;

  if (!gmtime_r (&when, &tm)
      || !strftime (to, size, "%a, %d %b %Y %H:%M:%S GMT", &tm))
    *to = 0;
}

static void
begin_header (struct conn *c, int status)
{
  put (c, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, get_reason (status),
       server.date);
}

static void
end_header (struct conn *c)
{
  if (c->x.close || server.stop_by > 0 || (!c->x.minor && !c->x.keep_alive))
    {
      c->x.close = true;
      put (c, "Connection: close\r\n");
    }
  else if (!c->x.minor)
    put (c, "Connection: keep-alive\r\n");
  put (c, "\r\n");
  c->state = SENDING;
}

/* A response that says no more than its status. */
static void
respond (struct conn *c, int status)
{
  c->x.left = 0;
  begin_header (c, status);
  if (status == 405)
    put (c, "Allow: GET, HEAD\r\n");
  if (status == 416)
    put (c, "Content-Range: bytes */%lld\r\n", (long long)c->x.st.st_size);
  put (c, "Content-Type: text/plain\r\nContent-Length: %zu\r\n",
       strlen (get_reason (status)) + 5);
  end_header (c);
  if (!c->x.head)
    put (c, "%d %s\n", status, get_reason (status));
}

/* For what was no request for a file.  Since the connection ends, nobody can
 * keep the loop busy with requests that need no file work. */
static void
refuse (struct conn *c, int status)
{
  c->x.close = true;
  respond (c, status);
}

static int
get_status (int errorno)
{
  if (errorno == ENOENT || errorno == ENOTDIR || errorno == ENAMETOOLONG)
    return 404;
  if (errorno == EMFILE || errorno == ENFILE || errorno == ENOMEM)
    return 503;
  /* ENXIO, ENODEV: a socket, or a device that is not there. */
  return errorno == EACCES || errorno == EPERM || errorno == ELOOP
                 || errorno == ENXIO || errorno == ENODEV
             ? 403
             : 500;
}

/* As in a URL; to has room for three times as much. */
static const char *
encode (char *to, const char *from)
{
  char *p = to;

  for (; *from; ++from)
    if (strchr (ALNUM "-._~/", *from))
      *p++ = *from;
    else
      p += sprintf (p, "%%%02X", (unsigned char)*from);
  *p = 0;
  return to;
}

/* A header takes at most HEADER_MAX bytes, so path and query together are not
 * longer either, and the path at most thrice when it is encoded again. */
static void
redirect_to_directory (struct conn *c)
{
  char path[3 * PATH_MAX];

  begin_header (c, 301);
  put (c, "Location: /%s/%s%s\r\nContent-Length: 0\r\n",
       encode (path, c->path), c->x.query ? "?" : "",
       c->x.query ? c->x.query : "");
  end_header (c);
}

static void
put_escaped (FILE *out, const char *text)
{
  static const char special[] = "<>&\"";
  static const char *const escaped[] = { "&lt;", "&gt;", "&amp;", "&quot;" };

  for (; *text; ++text)
    {
      const char *found = strchr (special, *text);

      if (found)
        fputs (escaped[found - special], out);
      else
        putc (*text, out);
    }
}

/* [worker] Makes the page for the directory.  Its path may have become that
 * of another, but not what the descriptor is. */
static void
make_listing (eio_req *req)
{
  struct conn *c = (struct conn *)req;
  FILE *out = open_memstream (&c->x.listing, &c->x.listing_len);
  struct dirent **entries = 0;
  char path[sizeof "/proc/self/fd/" + 10], url[3 * NAME_MAX + 1];
  int n;

  snprintf (path, sizeof path, "/proc/self/fd/%d", req->int1);
  n = out ? scandir (path, &entries, 0, alphasort) : -1;
  if (n >= 0)
    fputs ("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<ul>\n", out);
  for (int i = 0; i < n; free (entries[i++]))
    {
      const char *name = entries[i]->d_name;
      const char *slash = entries[i]->d_type == DT_DIR ? "/" : "";

      if (!strcmp (name, ".") || (!strcmp (name, "..") && !*c->path))
        continue;
      fprintf (out, "<li><a href=\"./%s%s\">", encode (url, name), slash);
      put_escaped (out, name);
      fprintf (out, "%s</a>\n", slash);
    }
  free (entries);
  req->result = out && fclose (out) ? -1 : n;
}

/*****************************************************************************
 * 6  Finding what to send                                                   *
 *****************************************************************************/

static void advance (struct conn *c);

static const char *
get_type (const char *path)
{
  /* clang-format off */
  static const char *const types[][2] = {
    { ".html", "text/html; charset=utf-8" }, { ".jpg", "image/jpeg" },
    { ".htm", "text/html; charset=utf-8" },  { ".jpeg", "image/jpeg" },
    { ".txt", "text/plain; charset=utf-8" }, { ".png", "image/png" },
    { ".md", "text/plain; charset=utf-8" },  { ".gif", "image/gif" },
    { ".css", "text/css; charset=utf-8" },   { ".webp", "image/webp" },
    { ".js", "text/javascript" },            { ".svg", "image/svg+xml" },
    { ".json", "application/json" },         { ".ico", "image/x-icon" },
    { ".xml", "application/xml" },           { ".woff2", "font/woff2" },
    { ".wasm", "application/wasm" },         { ".mp3", "audio/mpeg" },
    { ".pdf", "application/pdf" },           { ".mp4", "video/mp4" },
    { ".gz", "application/gzip" },           { ".webm", "video/webm" },
    { ".zip", "application/zip" },
  };
  /* clang-format on */
  const char *suffix = strrchr (path, '.');

  for (size_t i = 0; suffix && i < sizeof types / sizeof *types; ++i)
    if (!strcasecmp (suffix, types[i][0]))
      return types[i][1];
  return "application/octet-stream";
}

/* Whether a list of entity tags has this one.  Weak ones only match where the
 * response has no body. */
static bool
has_etag (const char *list, const char *etag, bool weak)
{
  size_t len = strlen (etag);

  if (!strcmp (list, "*"))
    return true;
  while (*(list += strspn (list, " \t,")))
    {
      bool is_weak = !strncmp (list, "W/", 2);
      const char *end;

      list += is_weak ? 2 : 0;
      if (*list != '"' || !(end = strchr (list + 1, '"')))
        return false;
      if ((size_t)(end + 1 - list) == len && !memcmp (list, etag, len)
          && (weak || !is_weak))
        return true;
      list = end + 1;
    }
  return false;
}

static bool
parse_date (const char *text, time_t *when)
{
  static const char *const formats[] = { "%a, %d %b %Y %H:%M:%S GMT",
                                         "%A, %d-%b-%y %H:%M:%S GMT",
                                         "%a %b %d %H:%M:%S %Y" };

  for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i)
    {
      struct tm tm = { 0 };
      const char *end = strptime (text, formats[i], &tm);

      if (end && !*end)
        {
          *when = timegm (&tm);
          return true;
        }
    }
  return false;
}

/* Whether the client has it already. */
static bool
is_known (const struct exchange *x, const char *etag)
{
  time_t when;

  if (x->fields[IF_NONE_MATCH])
    return has_etag (x->fields[IF_NONE_MATCH], etag, true);
  return x->fields[IF_MODIFIED_SINCE]
         && parse_date (x->fields[IF_MODIFIED_SINCE], &when)
         && x->st.st_mtime <= when;
}

/* A number too large is as good as the largest. */
static bool
take_number (const char **text, long long *n)
{
  const char *begin = *text;

  for (*n = 0; **text && strchr (DIGITS, **text); ++*text)
    *n = *n > LLONG_MAX / 10 - 1 ? LLONG_MAX / 10 : *n * 10 + (**text - '0');
  return *text > begin;
}

static bool
wants_range (const struct exchange *x, const char *etag)
{
  const char *unless = x->fields[IF_RANGE];
  time_t when;

  return x->fields[RANGE] && !x->head
         && (!unless || has_etag (unless, etag, false)
             || (parse_date (unless, &when) && when == x->st.st_mtime));
}

/* Chooses what to send of the file, and the status.  What is no range, and
 * several of them, are ignored. */
static int
choose_range (struct exchange *x, const char *etag)
{
  const char *p = x->fields[RANGE];
  long long first, last, size = x->st.st_size;

  x->offs = 0;
  x->left = (off_t)size;
  if (!wants_range (x, etag) || strncasecmp (p, "bytes=", 6))
    return 200;

  p += 6;
  if (*p == '-')
    {
      ++p;
      if (!take_number (&p, &last) || *p)
        return 200;
      if (!last)
        return 416;
      if (!size)
        return 200;
      first = last < size ? size - last : 0;
      last = size - 1;
    }
  else
    {
      if (!take_number (&p, &first) || *p++ != '-')
        return 200;
      if (!take_number (&p, &last))
        last = LLONG_MAX;
      if (*p || last < first)
        return 200;
      if (first >= size)
        return 416;
      last = last < size ? last : size - 1;
    }
  x->offs = (off_t)first;
  x->left = (off_t)(last + 1 - first);
  return 206;
}

/* A file that has become shorter is not what was promised. */
static void
finish_read (struct conn *c)
{
  if (EIO_RESULT (&c->req) != (eio_ssize_t)c->x.left)
    {
      close_conn (c);
      return;
    }
  c->out_len += (size_t)c->x.left;
  c->x.left = 0;
  c->state = SENDING;
  advance (c);
}

static void
respond_with_file (struct conn *c)
{
  struct exchange *x = &c->x;
  char etag[64], date[30];
  int status;

  snprintf (etag, sizeof etag, "\"%llx.%lx-%llx-%llx\"",
            (long long)x->st.st_mtim.tv_sec, x->st.st_mtim.tv_nsec,
            (long long)x->st.st_size, (unsigned long long)x->st.st_ino);
  format_date (date, sizeof date, x->st.st_mtime);

  status = is_known (x, etag) ? 304 : choose_range (x, etag);
  if (status == 416)
    {
      respond (c, status);
      return;
    }

  begin_header (c, status);
  put (c, "Last-Modified: %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n", date,
       etag);
  if (status == 206)
    put (c, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)x->offs,
         (long long)(x->offs + x->left - 1), (long long)x->st.st_size);
  if (status != 304)
    put (c, "Content-Type: %s\r\nContent-Length: %lld\r\n", get_type (c->path),
         (long long)x->left);
  end_header (c);

  if (x->head || status == 304)
    x->left = 0;
  else if (x->left && x->left <= SMALL)
    submit_read (c, finish_read);
}

static void
finish_listing (struct conn *c)
{
  if (EIO_RESULT (&c->req) < 0)
    respond (c, 500);
  else
    {
      begin_header (c, 200);
      put (c,
           "Content-Type: text/html; charset=utf-8\r\n"
           "Content-Length: %zu\r\n",
           c->x.listing_len);
      end_header (c);
      c->x.listing_sent = c->x.head ? c->x.listing_len : 0;
    }
  advance (c);
}

/* What has been opened is asked where it is.  This never waits: the kernel
 * answers from memory. */
static bool
is_below_root (int fd)
{
  char link[32], path[PATH_MAX];
  ssize_t len;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  len = readlink (link, path, sizeof path);
  return len >= (ssize_t)server.root_len
         && !memcmp (path, server.root_path, server.root_len)
         && (len == (ssize_t)server.root_len || path[server.root_len] == '/');
}

static void finish_open (struct conn *c);

static void
finish_fstat (struct conn *c)
{
  struct exchange *x = &c->x;
  bool in_index = x->dir >= 0;

  if (EIO_RESULT (&c->req) < 0)
    respond (c, 500);
  else if (S_ISREG (x->st.st_mode))
    {
      if (x->slash && !in_index)
        respond (c, 404);
      else
        respond_with_file (c);
    }
  else if (!S_ISDIR (x->st.st_mode) || in_index)
    respond (c, 403);
  else if (!x->slash)
    redirect_to_directory (c);
  else
    {
      x->dir = x->file;
      x->file = -1;
      strcat (c->path, *c->path ? "/index.html" : "index.html");
      submit_open (c, finish_open);
    }
  advance (c);
}

static void
finish_open (struct conn *c)
{
  if (c->x.file < 0 && c->req.errorno == ENOENT && c->x.dir >= 0)
    {
      c->path[strlen (c->path) - strlen ("index.html")] = 0;
      submit_custom (c, make_listing, finish_listing);
    }
  else if (c->x.file < 0)
    respond (c, get_status (c->req.errorno));
  else if (!is_below_root (c->x.file))
    respond (c, 403);
  else
    submit_fstat (c, finish_fstat);
  advance (c);
}

/*****************************************************************************
 * 7  Sending and receiving                                                  *
 *                                                                           *
 * epoll tells changes only (EPOLLET), so each goes on until the socket says *
 * EAGAIN.  A step returns whether another one is to follow at once; if not, *
 * the connection may be gone.                                               *
 *****************************************************************************/

/* After a call on the socket that failed. */
static bool
handle_error (struct conn *c)
{
  if (errno == EINTR)
    return true;
  if (errno != EAGAIN)
    close_conn (c);
  return false;
}

/* Where the header of a request in c->in ends, 0: not yet. */
static size_t
find_end (struct conn *c)
{
  char *p = c->in;

  while ((p = memchr (p, '\n', (size_t)(c->in + c->in_len - p))))
    {
      ++p;
      if (*p == '\n')
        return (size_t)(p + 1 - c->in);
      if (*p == '\r' && p[1] == '\n')
        return (size_t)(p + 2 - c->in);
    }
  return 0;
}

static void
drop_input (struct conn *c, size_t n)
{
  if (!n)
    return;
  c->in_len -= n;
  memmove (c->in, c->in + n, c->in_len);
  c->in[c->in_len] = 0;
}

static bool
receive (struct conn *c)
{
  ssize_t n;
  int status;

  drop_input (c, strspn (c->in, "\r\n"));
  c->in_used = find_end (c);
  if (c->in_used)
    {
      touch (c);
      status = parse_header (c);
      if (status)
        refuse (c, status);
      else
        submit_open (c, finish_open);
      return true;
    }
  if (c->in_len == HEADER_MAX)
    {
      refuse (c, 431);
      return true;
    }

  n = recv (c->sock, c->in + c->in_len, HEADER_MAX - c->in_len, 0);
  if (n < 0)
    return handle_error (c);
  if (!n)
    {
      close_conn (c);
      return false;
    }
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

  if (n < 0)
    return handle_error (c);
  c->discarded += (size_t)n;
  if (n && c->discarded < DISCARD_MAX)
    return true;
  close_conn (c);
  return false;
}

static void
finish_sending (struct conn *c)
{
  off_t n = EIO_RESULT (&c->req);

  if (n > 0)
    {
      touch (c);
      c->x.offs += n;
      c->x.left -= n;
    }
  else if (n == 0 || c->req.errorno != EAGAIN)
    {
      close_conn (c); /* the file has become shorter, or something failed */
      return;
    }

  /* If the socket became writable before the worker knew that it was not,
   * nobody is going to say so again. */
  c->state = SENDING;
  if (n > 0 || c->writable)
    advance (c);
}

/* Returns whether all has been sent. */
static bool
send_bytes (struct conn *c, const char *bytes, size_t len, size_t *sent,
            bool more)
{
  while (*sent < len)
    {
      ssize_t n = send (c->sock, bytes + *sent, len - *sent,
                        MSG_NOSIGNAL | (more ? MSG_MORE : 0));

      if (n >= 0)
        {
          touch (c);
          *sent += (size_t)n;
        }
      else if (!handle_error (c))
        return false;
    }
  return true;
}

static bool
transmit (struct conn *c)
{
  struct exchange *x = &c->x;
  bool close;

  if (!send_bytes (c, c->out, c->out_len, &c->out_sent,
                   x->left || x->listing_sent < x->listing_len)
      || !send_bytes (c, x->listing, x->listing_len, &x->listing_sent, false))
    return false;
  if (x->left)
    {
      submit_sendfile (c, finish_sending);
      return true;
    }

  close = x->close;
  reset_exchange (c);
  if (close || server.stop_by > 0)
    {
      shutdown (c->sock, SHUT_WR);
      c->state = DISCARDING;
    }
  else
    {
      drop_input (c, c->in_used);
      c->state = READING;
    }
  return true;
}

/* Goes on as far as possible without waiting. */
static void
advance (struct conn *c)
{
  static bool (*const steps[]) (struct conn *) = { [READING] = receive,
                                                   [WORKING] = 0,
                                                   [SENDING] = transmit,
                                                   [DISCARDING] = discard };

  while (steps[c->state] && steps[c->state](c))
    ;
}

/*****************************************************************************
 * 8  The event loop                                                         *
 *****************************************************************************/

static void
watch (int fd, uint32_t events, void *what)
{
  struct epoll_event event = { .events = events, .data.ptr = what };

  if (epoll_ctl (server.epoll, EPOLL_CTL_ADD, fd, &event))
    fail_program ("epoll_ctl", errno);
}

/* While there are as many connections as there can be, or no descriptors, the
 * listener would be readable all the time. */
static void
pause_accepting (void)
{
  epoll_ctl (server.epoll, EPOLL_CTL_DEL, server.listener, 0);
  server.resume = server.now + 0.1;
}

static void
accept_conns (void)
{
  for (int i = 0; i < TURN_MAX; ++i)
    {
      int sock = -1;

      if (server.nconns < server.max_conns)
        {
          sock = accept4 (server.listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (sock < 0 && errno == EAGAIN)
            return;
          if (sock < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        }
      if (sock < 0)
        {
          pause_accepting ();
          return;
        }
      if (!open_conn (sock))
        close (sock);
    }
}

/* What is being answered has a few seconds left; a second signal ends it. */
static void
take_signal (void)
{
  struct signalfd_siginfo info;

  if (read (server.signals, &info, sizeof info) != sizeof info)
    return;
  if (server.stop_by > 0)
    {
      server.stop_by = server.now;
      return;
    }
  server.stop_by = server.now + GRACE;
  server.resume = 0;
  close (server.listener);
  for (struct conn *next, *c = server.conns.next; c != &server.conns; c = next)
    {
      next = c->next;
      if (c->state == READING || c->state == DISCARDING)
        close_conn (c);
    }
}

/* For file work there is no limit of time. */
static void
reap_conns (void)
{
  struct conn *c;

  while ((c = server.conns.next) != &server.conns && c->deadline <= server.now)
    if (c->busy || c->waiting)
      touch (c);
    else
      close_conn (c);
}

/* Milliseconds until something has to be done without an event. */
static int
get_timeout (void)
{
  double until = server.now + 3600;

  if (opt.sync && (server.urgent.head || server.bulk.head))
    return 0;
  if (server.nconns && server.conns.next->deadline < until)
    until = server.conns.next->deadline;
  if (server.resume > 0 && server.resume < until)
    until = server.resume;
  if (server.stop_by > 0 && server.stop_by < until)
    until = server.stop_by;
  return until <= server.now ? 0 : (int)((until - server.now) * 1000) + 1;
}

/* An event may be for a connection that a callback closes: so callbacks are
 * called when all of a turn's have been seen, and so is what closes others. */
static void
handle_events (struct epoll_event *events, int n)
{
  bool polls = false, signals = false;

  for (int i = 0; i < n; ++i)
    if (events[i].data.ptr == &server.epoll)
      polls = true;
    else if (events[i].data.ptr == &server.signals)
      signals = true;
    else if (events[i].data.ptr == &server.listener)
      accept_conns ();
    else
      {
        struct conn *c = events[i].data.ptr;

        c->writable |= !!(events[i].events & EPOLLOUT);
        if (events[i].events & (EPOLLERR | EPOLLHUP) && c->state == WORKING)
          close_conn (c); /* nobody wants the answer any more */
        else
          advance (c);
      }

  if (polls)
    eio_poll ();
  run_queues ();
  reap_conns ();
  if (signals)
    take_signal ();
}

static void
run_loop (void)
{
  struct epoll_event events[TURN_MAX];

  while (!(server.stop_by > 0)
         || (server.nconns && server.now < server.stop_by))
    {
      int n = epoll_wait (server.epoll, events, TURN_MAX, get_timeout ());

      if (n < 0 && errno != EINTR)
        fail_program ("epoll_wait", errno);
      server.now = get_time ();
      format_date (server.date, sizeof server.date, time (0));
      if (server.resume > 0 && server.resume <= server.now)
        {
          server.resume = 0;
          watch (server.listener, EPOLLIN, &server.listener);
        }
      handle_events (events, n);
    }
}

/* Closes what is left, of which the library may have something. */
static void
end_loop (void)
{
  struct conn *c, *next;

  while (pop_conn (&server.urgent) || pop_conn (&server.bulk))
    ;
  for (c = server.conns.next; c != &server.conns; c = next)
    {
      next = c->next;
      close_conn (c);
    }
  eio_shutdown (EIO_SHUTDOWN_DRAIN, -1);
  eio_wd_close_sync (server.root);
  close (server.signals);
  close (server.epoll);
}

/*****************************************************************************
 * 9  Main                                                                   *
 *****************************************************************************/

static const char usage[] =
    "Usage: fileserver [-a ADDRESS] [-p PORT] [-s] [-w WORKERS] [-t SECONDS]"
    " DIR\n"
    "Serve the files below DIR by HTTP.\n\n"
    "  -a  listen on this numeric address; initially 127.0.0.1\n"
    "  -p  and this port; initially 8080; 0: any\n"
    "  -s  do file work synchronously, for comparison\n"
    "  -w  threads for file work, 1 to 1000; initially 4\n"
    "  -t  how long a client may do nothing, in seconds; initially 30\n\n"
    "SIGTERM and SIGINT end it when what is being sent has been sent, after\n"
    "5 seconds at most.\n";

static void
refuse_usage (void)
{
  fputs (usage, stderr);
  exit (2);
}

static double
parse_number (const char *arg, double min, double max)
{
  char *end;
  double n = strtod (arg, &end);

  if (end == arg || *end || !(n >= min && n <= max))
    refuse_usage ();
  return n;
}

static void
open_root (const char *dir)
{
  char link[32];
  ssize_t len;

  server.root = eio_wd_open_sync (EIO_CWD, dir);
  if (server.root == EIO_INVALID_WD)
    fail_program (dir, errno);
  snprintf (link, sizeof link, "/proc/self/fd/%d", *(int *)server.root);
  len = readlink (link, server.root_path, sizeof server.root_path);
  if (len <= 0 || len == sizeof server.root_path)
    fail_program (link, len < 0 ? errno : ENAMETOOLONG);
  server.root_len = len == 1 ? 0 : (size_t)len; /* "/" is before all */
}

static void
open_listener (const char *address, const char *port)
{
  struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                            .ai_socktype = SOCK_STREAM };
  struct addrinfo *info;
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  char host[64], serv[8];
  int on = 1;

  if (getaddrinfo (address, port, &hints, &info))
    refuse_usage ();
  server.listener = socket (info->ai_family,
                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt (server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind (server.listener, info->ai_addr, info->ai_addrlen)
      || listen (server.listener, 1024))
    fail_program (address, errno);
  freeaddrinfo (info);

  getsockname (server.listener, (struct sockaddr *)&bound, &size);
  getnameinfo ((struct sockaddr *)&bound, size, host, sizeof host, serv,
               sizeof serv, NI_NUMERICHOST | NI_NUMERICSERV);
  printf (strchr (host, ':') ? "listening on [%s]:%s\n"
                             : "listening on %s:%s\n",
          host, serv);
  fflush (stdout);
}

/* Before there are threads, so that none gets them. */
static void
catch_signals (void)
{
  sigset_t set;

  signal (SIGPIPE, SIG_IGN);
  sigemptyset (&set);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGTERM);
  sigprocmask (SIG_BLOCK, &set, 0);
  server.signals = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (server.signals < 0)
    fail_program ("signalfd", errno);
}

/* A connection needs a descriptor, and two while it is being answered. */
static void
fit_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit))
    fail_program ("getrlimit", errno);
  server.max_conns = limit.rlim_cur > 34 ? (limit.rlim_cur - 32) / 2 : 1;
}

int
main (int argc, char **argv)
{
  const char *address = "127.0.0.1", *port = "8080";
  int option;

  while ((option = getopt (argc, argv, "a:p:sw:t:")) != -1)
    if (option == 'a')
      address = optarg;
    else if (option == 'p')
      port = optarg;
    else if (option == 's')
      opt.sync = true;
    else if (option == 'w')
      opt.workers = (unsigned)parse_number (optarg, 1, 1000);
    else if (option == 't')
      opt.idle = parse_number (optarg, 0.01, 86400);
    else
      refuse_usage ();
  if (optind != argc - 1)
    refuse_usage ();

  server.conns.prev = server.conns.next = &server.conns;
  server.now = get_time ();
  fit_descriptor_limit ();
  catch_signals ();
  server.epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (eio_poll_fd () < 0 || server.epoll < 0)
    fail_program ("event loop", errno);
  eio_set_parallel (opt.workers);
  eio_set_inline (SMALL);
  eio_set_max_poll_reqs (TURN_MAX);
  open_root (argv[optind]);
  open_listener (address, port);

  watch (eio_poll_fd (), EPOLLIN, &server.epoll);
  watch (server.signals, EPOLLIN, &server.signals);
  watch (server.listener, EPOLLIN, &server.listener);
  run_loop ();
  end_loop ();
  return EXIT_SUCCESS;
}
