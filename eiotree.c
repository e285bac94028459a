/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/*****************************************************************************
 * 0  About                                                                  *
 *                                                                           *
 * Contents, bottom up:                                                      *
 *   1  Types                                                                *
 *   2  Paths and errors                                                     *
 *   3  Directories: the nodes, and which descriptors are open               *
 *   4  Reaching a directory, on a worker                                    *
 *   5  Reading a directory, on a worker                                     *
 *   6  Going on: what is to be done next, on the poll thread                *
 *   7  Jobs: what happens to them                                           *
 *   8  Groups: beginning and end                                            *
 *   9  Removing   10  Walking   11  Copying   12  Public functions          *
 *                                                                           *
 * A tree is a group with room for a number of jobs, which are EIO_CUSTOM    *
 * requests. A job belongs to one directory: it reads a batch of its entries *
 * (READ), does something with a slice of a batch (WORK), or leaves the      *
 * directory, when all that is in it is done (LEAVE). It is filled and       *
 * looked at by the poll thread, and in between it belongs to a worker. So   *
 * nothing needs a lock: a worker sees its job, the batch, and of            *
 * directories only what does not change: parent, name and identity.         *
 *                                                                           *
 * Life of a directory, with the functions that take the steps:              *
 *                                                                           *
 *    found ─1→ to do ─2→ READ ─3→ listed ─4→ LEAVE ─4→ gone                 *
 *                ↑─────────┘↑─────── ENOTEMPTY ┘                            *
 *                                                                           *
 *    1 eio__tree_push  2 eio__tree_feed  3 eio__tree_end_read               *
 *    4 eio__tree_settle, when it has neither children nor jobs              *
 *                                                                           *
 * What is to be done is a stack: the tree is gone through depth first, so   *
 * that few directories are half done. Directories that are half done need a *
 * descriptor each when one goes on with them; of those only so many stay    *
 * open. One that was closed is reached again from below, by "..", or else   *
 * from an open one above, by names; and it has to be the same as before.    *
 *****************************************************************************/

#ifdef EIO_CONFIG_H
# include EIO_CONFIG_H
#else
# include "config.h"
#endif

#ifndef _GNU_SOURCE
# define _GNU_SOURCE 1
#endif

#include "eiotree.h"
#include "ecb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#if HAVE_XATTR
# include <sys/xattr.h>
#endif

/*****************************************************************************
 * 1  Types                                                                  *
 *****************************************************************************/

enum
{
  EIO__TREE_MAXREQ = 8, /* if the caller does not say */
  EIO__TREE_MAXREQ_MAX = 256,
  EIO__TREE_OPEN = 64,      /* directories that are kept open */
  EIO__TREE_BATCH = 256,    /* entries that are read at a time, */
  EIO__TREE_NAMES = 16384,  /* and bytes of names */
  EIO__TREE_SLICE = 64,     /* entries that are worked on at a time */
  EIO__TREE_RESCANS = 100,  /* of a directory that others fill meanwhile */
  EIO__TREE_RETRIES = 4,    /* of the only job, without descriptors */
  EIO__TREE_ERRORS = 10000, /* that are kept */
  EIO__TREE_SPARES = 32,    /* batches that are kept for the next jobs */
  EIO__TREE_GARBAGE = 32    /* descriptors to be closed by the next jobs */
};

/* What is to be done with a directory, and what a job does. */
enum
{
  EIO__TREE_NOTHING,
  EIO__TREE_BEGIN, /* look at the path */
  EIO__TREE_READ,
  EIO__TREE_WORK,
  EIO__TREE_LEAVE,
  EIO__TREE_UP /* only reach the parent again */
};

typedef struct eio__tree eio__tree;
typedef struct eio__treedir eio__treedir;
typedef struct eio__treebatch eio__treebatch;
typedef struct eio__treejob eio__treejob;

/* Of a directory, and of what it is copied to; without that, only the first
 * is used. Both are open, or none. */
typedef struct
{
  int at[2];
} eio__treefds;

typedef struct
{
  dev_t dev;
  ino_t ino;
} eio__treeid;

static const eio__treefds eio__tree_no_fds = { { -1, -1 } };

/* A directory, from when its name is found until it has been left. The top is
 * above the root: what the path's last name is in. */
struct eio__treedir
{
  eio__treedir *parent;
  eio__treedir *next;          /* on tree->todo or tree->reading */
  eio__treedir *newer, *older; /* if it is open: by when it was used */
  eio__treedir *before, *after; /* of all */
  DIR *stream;                 /* while it is being read, between jobs */
  struct stat *st;             /* what entry is to get after its contents */
  ino_t inode;                 /* as the entry says */
  eio__treeid id[2];           /* once opened has been set */
  eio__treefds fds;
  unsigned int kids;  /* directories in it that are not gone */
  unsigned int jobs;  /* and batches, that are under way */
  unsigned int pins;  /* jobs that use fds */
  unsigned int climbs; /* jobs that are going to open it from below */
  unsigned char rescans;
  unsigned char todo;   /* EIO__TREE_*: it is on the stack for that */
  unsigned char opened; /* it has been */
  unsigned char listed; /* to the end */
  unsigned char left;
  unsigned char failed; /* something in it */
  unsigned char link;   /* a link led here, or may have */
  unsigned char lost;   /* ".." does not lead to the parent */
  char name[];
};

/* What has become of an entry. */
enum
{
  EIO__TREE_OPEN_ENTRY, /* nothing yet */
  EIO__TREE_DONE,
  EIO__TREE_GONE
};

typedef struct
{
  eio_dirent dirent;
  int error; /* of its own */
  unsigned char fate;
  unsigned char link; /* it is one, or may be */
} eio__treeentry;

struct eio__treebatch
{
  eio__treebatch *next;          /* on tree->slices or tree->spares */
  eio__treebatch *before, *after; /* of all */
  eio__treedir *dir;
  struct stat *st; /* of each, or null */
  int st_room;
  int n;
  int begun; /* so many are in jobs, or done */
  int done;
  int used; /* bytes of names */
  eio__treeentry entries[EIO__TREE_BATCH];
  char names[EIO__TREE_NAMES];
};

struct eio__treejob
{
  eio_req req;
  eio__tree *tree;
  eio__treejob *next; /* on tree->idle */
  int kind;
  eio__treedir *dir;
  eio__treedir *base; /* above dir, and open; null: go by ".." */
  eio__treebatch *batch;
  eio__treebatch *spare; /* READ: one to be used again, or null */
  int from, to; /* WORK */

  /* For the worker: descriptors of others, which are pinned. */
  eio__treefds base_fds;
  eio__treefds dir_fds; /* or none */

  /* The job's own, until its end hands them on. */
  eio__treefds new_parent_fds, new_fds;
  DIR *stream;
  int closing[4];

  /* The outcome. */
  int error;
  int end;     /* of the directory */
  int foreign; /* the directory is on another device */
  int lost;    /* ".." did not lead to the parent */
  eio__treeid id[2]; /* of the directory that was opened */
  struct stat st;    /* BEGIN, and that directory's */
};

/* What makes a kind of tree. */
typedef struct
{
  void (*begin) (eio__treejob *job); /* [worker] */

  /* Does one entry, whose fate and error it sets.  [worker] */
  void (*entry) (eio__treejob *job, eio__treebatch *batch, int i);

  /* Whether that is to be called for it.  [any thread] */
  int (*wants) (const eio__tree *tree, const eio__treeentry *entry);

  /* Makes what a directory is copied to, unless it is there.  [worker] */
  int (*enter) (eio__treejob *job, int in);

  /* Leaves a directory: 0, or -1 with errno. Null: there is nothing to do.
   * [worker] */
  int (*leave) (eio__treejob *job, int parent_fd);
  int leaves_open; /* it needs the directory, else what that is in */

  /* It could not be opened: 0 if that is all right.  [worker] */
  int (*unopened) (eio__treejob *job, int parent_fd, int error);
} eio__treekind;

typedef struct
{
  int errorno;
  char *path; /* null: memory was out */
} eio__treeerror;

struct eio__tree
{
  eio_req grp;
  const eio__treekind *kind;
  eio_cb cb;
  int (*entry) (eio_req *walk, const char *dir, const eio_dirent *dirent,
                const char *name, const struct stat *st);
  int sides; /* 2: something is copied */
  int flags;
  int stat;   /* entries need a status */
  int follow; /* links */
  int xdev;
  int stopped; /* nothing new is begun */
  int done;    /* all of it, or as much as entry wanted */
  dev_t dev;   /* of the root */

  eio__treejob *idle;
  unsigned int running;
  unsigned int limit; /* of running: less when descriptors run out */
  eio__treedir *todo;
  eio__treedir *reading; /* the same, of which a part has been read */
  eio__treebatch *slices, **last_slice; /* with entries to work on */
  eio__treedir *top, *root;
  eio__treedir *dirs;                   /* all */
  eio__treebatch *batches;              /* all */
  eio__treebatch *spares;               /* to be used again */
  eio__treedir *newest, *oldest;        /* that are open */
  unsigned int starved; /* so many jobs in sequence, while alone */
  unsigned int nopen, may_open; /* at most, but for those in use */
  unsigned int nspares, ngarbage;
  int garbage[EIO__TREE_GARBAGE];

  int error; /* the first */
  eio__treeerror *errors;
  unsigned int nerrors, errors_room;

  uint64_t ndone; /* entries; atomic: eio_tree_progress */
  uint64_t bytes; /* copied; the same */
  int complete;   /* atomic, too */

  /* The path of one directory, for entry. */
  char *path;
  size_t path_len, path_room;
  eio__treedir *path_of;

  char *given;     /* as the caller said, */
  char *in, *name; /* what its last name is in, and that name */
  char *to_given, *to_in, *to_name; /* the same of the target */
  eio__treejob jobs[];
};

/*****************************************************************************
 * 2  Paths and errors                                                       *
 *****************************************************************************/

static size_t
eio__tree_slash (const char *path, size_t len)
{
  return !len || path[len - 1] != '/';
}

/* Puts the path of what is in dir into a buffer, whose last byte is at end,
 * or, if that is null, returns only how long it is. A null name: that of dir
 * itself. */
static size_t
eio__tree_build_path (const eio__tree *tree, const eio__treedir *dir,
                      const char *name, char *end)
{
  size_t given = strlen (tree->given), len = 0, n;

  for (; dir && dir != tree->top; dir = dir->parent)
    {
      if (name)
        {
          n = strlen (name);
          len += n;
          if (end)
            memcpy (end -= n, name, n);
          if (dir != tree->root || eio__tree_slash (tree->given, given))
            {
              ++len;
              if (end)
                *--end = '/';
            }
        }
      name = dir->name;
    }
  if (end)
    memcpy (end - given, tree->given, given);
  return len + given;
}

static char *
eio__tree_make_path (const eio__tree *tree, const eio__treedir *dir,
                     const char *name)
{
  size_t len = eio__tree_build_path (tree, dir, name, 0);
  char *path = malloc (len + 1);

  if (path)
    {
      path[len] = 0;
      eio__tree_build_path (tree, dir, name, path + len);
    }
  return path;
}

static void
eio__tree_add_error (eio__tree *tree, const eio__treedir *dir,
                     const char *name, int error)
{
  if (!tree->error)
    tree->error = error;
  if (tree->nerrors == EIO__TREE_ERRORS)
    return;

  if (tree->nerrors == tree->errors_room)
    {
      unsigned int room = tree->errors_room ? tree->errors_room * 4 : 4;
      eio__treeerror *errors
          = realloc (tree->errors, room * sizeof *tree->errors);

      if (!errors)
        return;
      tree->errors = errors;
      tree->errors_room = room;
    }
  tree->errors[tree->nerrors].errorno = error;
  tree->errors[tree->nerrors].path = eio__tree_make_path (tree, dir, name);
  ++tree->nerrors;
}

/* Of a directory, which therefore cannot go, nor that which it is in. */
static void
eio__tree_fail (eio__tree *tree, eio__treedir *dir, int error)
{
  eio__tree_add_error (tree, dir, 0, error);
  dir->failed = 1;
}

static void
eio__tree_count (eio__tree *tree)
{
  ecb_store_relaxed (tree->ndone, tree->ndone + 1);
}

/*****************************************************************************
 * 3  Directories                                                            *
 *                                                                           *
 * A directory that is open is on a list, the one used last in front, unless *
 * it is the top or the root, which stay open.                               *
 *****************************************************************************/

/* Returns null when memory is out. */
static eio__treedir *
eio__tree_make_dir (eio__tree *tree, eio__treedir *parent, const char *name)
{
  size_t size = strlen (name) + 1;
  eio__treedir *dir = calloc (1, sizeof *dir + size);

  if (!dir)
    return 0;
  memcpy (dir->name, name, size);
  dir->fds = eio__tree_no_fds;
  dir->parent = parent;
  if (parent)
    ++parent->kids;
  dir->after = tree->dirs;
  if (tree->dirs)
    tree->dirs->before = dir;
  tree->dirs = dir;
  return dir;
}

/* The next jobs close it, or the end. */
static void
eio__tree_discard_fd (eio__tree *tree, int fd)
{
  if (fd < 0)
    return;
  if (tree->ngarbage < EIO__TREE_GARBAGE)
    tree->garbage[tree->ngarbage++] = fd;
  else
    close (fd);
}

static void
eio__tree_discard_fds (eio__tree *tree, eio__treefds *fds)
{
  eio__tree_discard_fd (tree, fds->at[0]);
  eio__tree_discard_fd (tree, fds->at[1]);
  *fds = eio__tree_no_fds;
}

static int
eio__tree_is_fixed (const eio__tree *tree, const eio__treedir *dir)
{
  return dir == tree->top || dir == tree->root;
}

static int
eio__tree_is_open (const eio__tree *tree, const eio__treedir *dir)
{
  return dir->fds.at[0] >= 0 || dir == tree->top;
}

static void
eio__tree_unlink_open (eio__tree *tree, eio__treedir *dir)
{
  if (dir->newer)
    dir->newer->older = dir->older;
  else
    tree->newest = dir->older;
  if (dir->older)
    dir->older->newer = dir->newer;
  else
    tree->oldest = dir->newer;
  --tree->nopen;
}

static void
eio__tree_link_open (eio__tree *tree, eio__treedir *dir)
{
  dir->newer = 0;
  dir->older = tree->newest;
  if (tree->newest)
    tree->newest->newer = dir;
  else
    tree->oldest = dir;
  tree->newest = dir;
  ++tree->nopen;
}

static void
eio__tree_touch (eio__tree *tree, eio__treedir *dir)
{
  if (!eio__tree_is_fixed (tree, dir) && dir->fds.at[0] >= 0)
    {
      eio__tree_unlink_open (tree, dir);
      eio__tree_link_open (tree, dir);
    }
}

/* Takes its descriptors away from a directory. */
static eio__treefds
eio__tree_take_fds (eio__tree *tree, eio__treedir *dir)
{
  eio__treefds fds = dir->fds;

  if (fds.at[0] >= 0 && !eio__tree_is_fixed (tree, dir))
    eio__tree_unlink_open (tree, dir);
  dir->fds = eio__tree_no_fds;
  return fds;
}

static void
eio__tree_close_dir (eio__tree *tree, eio__treedir *dir)
{
  eio__treefds fds = eio__tree_take_fds (tree, dir);

  eio__tree_discard_fds (tree, &fds);
}

/* Closes the directory that was used least recently, but for those that are
 * in use. Returns 0 if there is none. */
static int
eio__tree_evict (eio__tree *tree)
{
  eio__treedir *dir = tree->oldest;

  while (dir && (dir->pins || dir->stream))
    dir = dir->newer;
  if (!dir)
    return 0;
  eio__tree_close_dir (tree, dir);
  return 1;
}

static void
eio__tree_give_fds (eio__tree *tree, eio__treedir *dir, eio__treefds *fds)
{
  if (fds->at[0] < 0)
    return;
  if (dir->fds.at[0] >= 0)
    {
      eio__tree_discard_fds (tree, fds); /* another job was faster */
      return;
    }
  dir->fds = *fds;
  *fds = eio__tree_no_fds;
  if (!eio__tree_is_fixed (tree, dir))
    eio__tree_link_open (tree, dir);
  while (tree->nopen > tree->may_open && eio__tree_evict (tree))
    continue;
}

/* From that of a directory to that of what it is in. */
static void
eio__tree_shorten_path (eio__tree *tree)
{
  eio__treedir *dir = tree->path_of, *parent = dir->parent;

  tree->path_of = dir == tree->root ? 0 : parent;
  tree->path_len -= strlen (dir->name);
  if (dir != tree->root
      && (parent != tree->root
          || eio__tree_slash (tree->given, strlen (tree->given))))
    --tree->path_len;
  tree->path[tree->path_len] = 0;
}

static void
eio__tree_free_dir (eio__tree *tree, eio__treedir *dir)
{
  if (tree->path_of == dir)
    eio__tree_shorten_path (tree);
  if (dir->before)
    dir->before->after = dir->after;
  else
    tree->dirs = dir->after;
  if (dir->after)
    dir->after->before = dir->before;
  if (dir->stream)
    closedir (dir->stream);
  eio__tree_close_dir (tree, dir);
  free (dir->st);
  free (dir);
}

static void
eio__tree_add_batch (eio__tree *tree, eio__treebatch *batch)
{
  batch->before = 0;
  batch->after = tree->batches;
  if (tree->batches)
    tree->batches->before = batch;
  tree->batches = batch;
}

static void
eio__tree_free_memory (eio__treebatch *batch)
{
  if (batch)
    free (batch->st);
  free (batch);
}

/* For the next job that reads. Freed here, by another thread than the one it
 * was allocated by, it would have malloc give memory back to the system and
 * ask for it again, and a page fault costs more than most of what is done for
 * a directory. */
static void
eio__tree_spare_batch (eio__tree *tree, eio__treebatch *batch)
{
  if (!batch)
    return;
  if (tree->nspares == EIO__TREE_SPARES)
    {
      eio__tree_free_memory (batch);
      return;
    }
  batch->next = tree->spares;
  tree->spares = batch;
  ++tree->nspares;
}

static void
eio__tree_free_batch (eio__tree *tree, eio__treebatch *batch)
{
  if (batch->before)
    batch->before->after = batch->after;
  else
    tree->batches = batch->after;
  if (batch->after)
    batch->after->before = batch->before;
  eio__tree_spare_batch (tree, batch);
}

/*****************************************************************************
 * 4  Reaching a directory [worker]                                          *
 *****************************************************************************/

static void
eio__tree_close_quietly (int fd)
{
  int saved = errno;

  close (fd);
  errno = saved;
}

static void
eio__tree_close_fds (eio__treefds *fds)
{
  int i;

  for (i = 0; i < 2; ++i)
    if (fds->at[i] >= 0)
      eio__tree_close_quietly (fds->at[i]);
  *fds = eio__tree_no_fds;
}

static const char *
eio__tree_name (const eio__tree *tree, const eio__treedir *dir, int side)
{
  return side && dir == tree->root ? tree->to_name : dir->name;
}

/* Of a directory that is no link, unless one is followed. */
static int
eio__tree_open_name (int in, const char *name, int follow)
{
  int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
              | (follow ? 0 : O_NOFOLLOW);
  int fd;

  do
    fd = openat (in, name, flags);
  while (fd < 0 && errno == EINTR);
  return fd;
}

static int
eio__tree_identify (int fd, eio__treeid *id, struct stat *st)
{
  if (fstat (fd, st))
    return -1;
  id->dev = st->st_dev;
  id->ino = st->st_ino;
  return 0;
}

static int
eio__tree_is_same (const eio__treeid *a, const eio__treeid *b)
{
  return a->dev == b->dev && a->ino == b->ino;
}

/* Opens a directory again, by its name, or by another: ENOENT if that is not
 * the same directory any more. */
static int
eio__tree_reopen (const eio__tree *tree, const eio__treedir *dir,
                  const eio__treefds *in, const char *name,
                  eio__treefds *fds)
{
  struct stat st;
  eio__treeid id;
  int i;

  *fds = eio__tree_no_fds;
  for (i = 0; i < tree->sides; ++i)
    {
      fds->at[i] = eio__tree_open_name (
          in->at[i], name ? name : eio__tree_name (tree, dir, i),
          dir->link && !i);
      if (fds->at[i] < 0)
        break;
      if (eio__tree_identify (fds->at[i], &id, &st)
          || !eio__tree_is_same (&id, &dir->id[i]))
        {
          errno = ENOENT;
          break;
        }
    }
  if (i == tree->sides)
    return 0;
  eio__tree_close_fds (fds);
  return -1;
}

/* By names from the base down, on which every directory has to be the one
 * that it was. */
static int
eio__tree_descend (eio__treejob *job, const eio__treedir *to,
                   eio__treefds *fds)
{
  const eio__treedir **way, *dir;
  eio__treefds in = job->base_fds;
  size_t n = 0, i = 0;
  int res = 0;

  for (dir = to; dir != job->base; dir = dir->parent)
    ++n;
  way = malloc (n * sizeof *way);
  if (!way)
    return -1;
  for (dir = to; dir != job->base; dir = dir->parent)
    way[i++] = dir;

  while (!res && i--)
    {
      res = eio__tree_reopen (job->tree, way[i], &in, 0, fds);
      if (in.at[0] != job->base_fds.at[0])
        eio__tree_close_fds (&in);
      in = *fds;
    }
  if (res)
    {
      int saved = errno;

      free (way);
      errno = saved;
      return -1;
    }
  free (way);
  return 0;
}

/* Sets *in to descriptors of what the job's directory is in. */
static int
eio__tree_reach_parent (eio__treejob *job, eio__treefds *in)
{
  const eio__treedir *parent = job->dir->parent;
  int res;

  if (job->base == parent)
    {
      *in = job->base_fds;
      return 0;
    }

  if (job->base)
    res = eio__tree_descend (job, parent, in);
  else
    {
      res = eio__tree_reopen (job->tree, parent, &job->dir_fds, "..", in);
      job->lost = res && errno != EMFILE && errno != ENFILE;
    }
  if (!res)
    job->new_parent_fds = *in;
  return res;
}

/* Opens a directory for the first time, and what it is copied to. */
static int
eio__tree_open_new (eio__treejob *job, const eio__treefds *in,
                    eio__treefds *fds)
{
  const eio__tree *tree = job->tree;
  eio__treedir *dir = job->dir;
  int i, res = 0, error;
  struct stat st;

  *fds = eio__tree_no_fds;
  fds->at[0] = eio__tree_open_name (in->at[0], dir->name, dir->link);
  if (fds->at[0] < 0)
    {
      error = errno;
      res = tree->kind->unopened
                ? tree->kind->unopened (job, in->at[0], error)
                : -1;
      errno = res ? error : ENOENT;
      return -1;
    }
  if (eio__tree_identify (fds->at[0], &job->id[0], &job->st))
    res = -1;
  if (!res && tree->kind->enter)
    {
      res = tree->kind->enter (job, in->at[1]);
      for (i = 1; i < tree->sides && !res; ++i)
        {
          fds->at[i] = eio__tree_open_name (
              in->at[i], eio__tree_name (tree, dir, i), 0);
          res = fds->at[i] < 0
                || eio__tree_identify (fds->at[i], &job->id[i], &st);
          if (res && errno == ENOENT)
            errno = ESTALE; /* the target: that is an error */
        }
    }
  if (res)
    eio__tree_close_fds (fds);
  return res ? -1 : 0;
}

/* Opens the job's directory, unless it is open. */
static int
eio__tree_reach (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  eio__treedir *dir = job->dir;
  eio__treefds in;

  if (job->dir_fds.at[0] >= 0)
    return 0;
  if (eio__tree_reach_parent (job, &in))
    return -1;
  if (dir->opened ? eio__tree_reopen (tree, dir, &in, 0, &job->new_fds)
                  : eio__tree_open_new (job, &in, &job->new_fds))
    return -1;
  job->dir_fds = job->new_fds;
  job->foreign = !dir->opened && tree->xdev && dir != tree->root
                 && job->id[0].dev != tree->dev;
  return 0;
}

/* Whether a link has led back to a directory above. */
static int
eio__tree_is_loop (const eio__treejob *job)
{
  const eio__treedir *dir = job->dir;

  if (!dir->link || dir->opened)
    return 0;
  for (dir = dir->parent; dir; dir = dir->parent)
    if (dir->opened && eio__tree_is_same (&dir->id[0], &job->id[0]))
      return 1;
  return 0;
}

/*****************************************************************************
 * 5  Reading a directory [worker]                                           *
 *****************************************************************************/

/* A stream takes a descriptor with it, but shares the position. */
static int
eio__tree_open_stream (eio__treejob *job)
{
  int fd = fcntl (job->dir_fds.at[0], F_DUPFD_CLOEXEC, 0);

  if (fd < 0)
    return -1;
  job->stream = fdopendir (fd);
  if (!job->stream)
    {
      eio__tree_close_quietly (fd);
      return -1;
    }
  if (job->dir->rescans)
    rewinddir (job->stream);
  return 0;
}

static int
eio__tree_entry_type (const struct dirent *de)
{
#ifdef DT_UNKNOWN
  return de->d_type < EIO_DT_MAX ? de->d_type : EIO_DT_UNKNOWN;
#else
  (void)de;
  return EIO_DT_UNKNOWN;
#endif
}

static int
eio__tree_mode_type (mode_t mode)
{
  return S_ISREG (mode)    ? EIO_DT_REG
         : S_ISDIR (mode)  ? EIO_DT_DIR
         : S_ISLNK (mode)  ? EIO_DT_LNK
         : S_ISCHR (mode)  ? EIO_DT_CHR
         : S_ISBLK (mode)  ? EIO_DT_BLK
         : S_ISFIFO (mode) ? EIO_DT_FIFO
         : S_ISSOCK (mode) ? EIO_DT_SOCK
                           : EIO_DT_UNKNOWN;
}

static void
eio__tree_add_entry (eio__treebatch *batch, const struct dirent *de)
{
  eio__treeentry *entry = &batch->entries[batch->n++];
  size_t len = strlen (de->d_name);

  memset (entry, 0, sizeof *entry);
  entry->dirent.nameofs = batch->used;
  entry->dirent.namelen = (unsigned short)len;
  entry->dirent.type = (unsigned char)eio__tree_entry_type (de);
  entry->dirent.inode = de->d_ino;
  entry->link = entry->dirent.type == EIO_DT_UNKNOWN
                || entry->dirent.type == EIO_DT_LNK;
  memcpy (batch->names + batch->used, de->d_name, len + 1);
  batch->used += (int)len + 1;
}

static int
eio__tree_is_dot (const char *name)
{
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Reads until the batch is full, or the directory ends, which is also where
 * it was removed. */
static void
eio__tree_fill_batch (eio__treejob *job, eio__treebatch *batch)
{
  const struct dirent *de;

  while (batch->n < EIO__TREE_BATCH
         && batch->used <= EIO__TREE_NAMES - (int)sizeof de->d_name)
    {
      errno = 0;
      de = readdir (job->stream);
      if (!de)
        {
          job->end = 1;
          job->error = errno == ENOENT ? 0 : errno;
          break;
        }
      if (!eio__tree_is_dot (de->d_name))
        eio__tree_add_entry (batch, de);
    }
}

static void
eio__tree_work (eio__treejob *job, int from, int to)
{
  const eio__tree *tree = job->tree;
  eio__treebatch *batch = job->batch;
  int i;

  for (i = from; i < to && !EIO_CANCELLED (&job->req); ++i)
    if (tree->kind->wants (tree, &batch->entries[i]))
      tree->kind->entry (job, batch, i);
}

/* Whether what is to be done with a batch is so little that it is not worth a
 * job of its own. */
static int
eio__tree_is_little (const eio__treejob *job, const eio__treebatch *batch)
{
  int i, n = 0;

  for (i = 0; i < batch->n; ++i)
    n += job->tree->kind->wants (job->tree, &batch->entries[i]);
  return n <= EIO__TREE_SLICE;
}

/* Returns null when memory is out. */
static eio__treebatch *
eio__tree_make_batch (eio__treejob *job)
{
  eio__treebatch *batch = job->spare ? job->spare : malloc (sizeof *batch);
  struct stat *st = job->spare ? batch->st : 0;
  int st_room = st ? batch->st_room : 0;

  if (!batch)
    return 0;
  job->spare = 0;
  memset (batch, 0, offsetof (eio__treebatch, entries));
  batch->dir = job->dir;
  batch->st = st;
  batch->st_room = st_room;
  return batch;
}

/* Has room for the status of each entry. */
static int
eio__tree_make_stats (eio__treebatch *batch)
{
  struct stat *st;

  if (batch->n <= batch->st_room)
    return 0;
  st = malloc ((size_t)batch->n * sizeof *st);
  if (!st)
    return -1;
  free (batch->st);
  batch->st = st;
  batch->st_room = batch->n;
  return 0;
}

static void
eio__tree_read (eio__treejob *job)
{
  eio__treebatch *batch;

  if (eio__tree_reach (job) || (!job->stream && !job->foreign
                                && !eio__tree_is_loop (job)
                                && eio__tree_open_stream (job)))
    {
      job->error = errno;
      return;
    }
  if (!job->stream)
    {
      job->end = 1;
      job->error = job->foreign ? 0 : ELOOP;
      return;
    }

  batch = eio__tree_make_batch (job);
  if (!batch)
    {
      job->error = ENOMEM;
      return;
    }
  job->batch = batch;
  eio__tree_fill_batch (job, batch);
  if (job->tree->stat && eio__tree_make_stats (batch))
    {
      job->error = ENOMEM;
      batch->n = 0;
    }
  if (eio__tree_is_little (job, batch))
    {
      eio__tree_work (job, 0, batch->n);
      batch->begun = batch->done = batch->n;
    }
  if (job->end)
    {
      closedir (job->stream);
      job->stream = 0;
    }
}

static void
eio__tree_leave (eio__treejob *job)
{
  const eio__treekind *kind = job->tree->kind;
  eio__treefds in = eio__tree_no_fds;

  if ((kind->leaves_open ? eio__tree_reach (job)
                         : eio__tree_reach_parent (job, &in))
      || kind->leave (job, in.at[0]))
    job->error = errno;
  else if (!kind->leaves_open)
    eio__tree_close_fds (&job->new_fds);
}

static void
eio__tree_execute (eio_req *req)
{
  eio__treejob *job = (eio__treejob *)req;
  eio__treefds fds;
  size_t i;

  for (i = 0; i < sizeof job->closing / sizeof *job->closing; ++i)
    if (job->closing[i] >= 0)
      {
        close (job->closing[i]);
        job->closing[i] = -1;
      }

  req->result = 0;
  switch (job->kind)
    {
    case EIO__TREE_BEGIN: job->tree->kind->begin (job); break;
    case EIO__TREE_READ: eio__tree_read (job); break;
    case EIO__TREE_WORK: eio__tree_work (job, job->from, job->to); break;
    case EIO__TREE_LEAVE: eio__tree_leave (job); break;
    case EIO__TREE_UP:
      if (eio__tree_reach_parent (job, &fds))
        job->error = errno;
      break;
    default: break;
    }
  errno = 0;
}

/*****************************************************************************
 * 6  Going on [poll thread]                                                 *
 *****************************************************************************/

static void eio__tree_settle (eio__tree *tree, eio__treedir *dir);
static int eio__tree_finish_job (eio_req *req);
static void eio__tree_destroy_job (eio_req *req);

static int
eio__tree_is_over (const eio__tree *tree)
{
  return tree->stopped || EIO_CANCELLED (&tree->grp);
}

static void
eio__tree_push (eio__tree *tree, eio__treedir *dir, int what)
{
  eio__treedir **stack = dir->stream ? &tree->reading : &tree->todo;

  dir->todo = (unsigned char)what;
  dir->next = *stack;
  *stack = dir;
}

/* Fills one that is idle. */
static eio__treejob *
eio__tree_take_job (eio__tree *tree, int kind, eio__treedir *dir)
{
  eio__treejob *job = tree->idle;
  size_t i;

  tree->idle = job->next;
  memset (job, 0, sizeof *job);
  job->tree = tree;
  job->kind = kind;
  job->dir = dir;
  job->base_fds = job->dir_fds = eio__tree_no_fds;
  job->new_parent_fds = job->new_fds = eio__tree_no_fds;
  for (i = 0; i < sizeof job->closing / sizeof *job->closing; ++i)
    job->closing[i] = tree->ngarbage ? tree->garbage[--tree->ngarbage] : -1;
  if (kind == EIO__TREE_READ && tree->spares)
    {
      job->spare = tree->spares;
      tree->spares = job->spare->next;
      --tree->nspares;
    }
  job->req.type = EIO_CUSTOM;
  job->req.feed = eio__tree_execute;
  job->req.finish = eio__tree_finish_job;
  job->req.destroy = eio__tree_destroy_job;
  return job;
}

static void
eio__tree_submit (eio__tree *tree, eio__treejob *job)
{
  ++tree->running;
  eio_grp_add (&tree->grp, &job->req);
  eio_submit (&job->req);
}

/* Whether it needs what its directory is in, and not the directory. */
static int
eio__tree_climbs (const eio__treejob *job)
{
  return job->kind == EIO__TREE_UP
         || (job->kind == EIO__TREE_LEAVE && !job->tree->kind->leaves_open);
}

/* What the job may use of descriptors that are open. For READ of a directory
 * that is not open, and where ".." cannot be used, it is one above. */
static void
eio__tree_pin (eio__tree *tree, eio__treejob *job)
{
  eio__treedir *dir = job->dir, *base;
  int is_open = dir->fds.at[0] >= 0;

  if (job->kind == EIO__TREE_LEAVE && !tree->kind->leaves_open)
    job->new_fds = job->dir_fds = eio__tree_take_fds (tree, dir);
  else
    {
      job->dir_fds = dir->fds;
      eio__tree_touch (tree, dir);
    }
  ++dir->pins;

  if (is_open && !eio__tree_climbs (job))
    return;
  if (!eio__tree_is_open (tree, dir->parent) && is_open && !dir->lost)
    {
      ++dir->parent->climbs;
      return;
    }
  for (base = dir->parent; !eio__tree_is_open (tree, base);)
    base = base->parent;
  job->base = base;
  job->base_fds = base->fds;
  ++base->pins;
  eio__tree_touch (tree, base);
}

static void
eio__tree_unpin (eio__tree *tree, eio__treejob *job)
{
  eio__treedir *dir = job->dir;

  if (job->base)
    --job->base->pins;
  else if (eio__tree_climbs (job))
    --dir->parent->climbs;
  eio__tree_give_fds (tree, dir->parent, &job->new_parent_fds);
  eio__tree_give_fds (tree, dir, &job->new_fds);
  if (job->kind == EIO__TREE_READ)
    {
      dir->stream = job->stream;
      job->stream = 0;
    }
}

static void
eio__tree_feed_slice (eio__tree *tree)
{
  eio__treebatch *batch = tree->slices;
  eio__treejob *job
      = eio__tree_take_job (tree, EIO__TREE_WORK, batch->dir);

  job->batch = batch;
  job->from = batch->begun;
  job->to = batch->n - batch->begun < EIO__TREE_SLICE
                ? batch->n
                : batch->begun + EIO__TREE_SLICE;
  batch->begun = job->to;
  if (batch->begun == batch->n)
    {
      tree->slices = batch->next;
      if (!tree->slices)
        tree->last_slice = &tree->slices;
    }
  eio__tree_pin (tree, job);
  eio__tree_submit (tree, job);
}

/* Whether a job is about to open what this is in. */
static int
eio__tree_has_to_wait (const eio__tree *tree, const eio__treedir *dir)
{
  return dir->todo == EIO__TREE_READ && dir->fds.at[0] < 0
         && dir->parent->climbs && !eio__tree_is_open (tree, dir->parent);
}

static void
eio__tree_feed_dir (eio__tree *tree, eio__treedir **stack)
{
  eio__treedir *dir = *stack;
  eio__treejob *job = eio__tree_take_job (tree, dir->todo, dir);

  *stack = dir->next;
  dir->todo = EIO__TREE_NOTHING;
  ++dir->jobs;
  job->stream = dir->stream;
  dir->stream = 0;
  eio__tree_pin (tree, job);
  eio__tree_submit (tree, job);
}

/* Directories that have been begun come first: each has a stream open. */
static void
eio__tree_feed (eio__tree *tree)
{
  while (tree->idle && tree->running < tree->limit
         && !eio__tree_is_over (tree))
    if (tree->slices)
      eio__tree_feed_slice (tree);
    else if (tree->reading)
      eio__tree_feed_dir (tree, &tree->reading);
    else if (tree->todo && !eio__tree_has_to_wait (tree, tree->todo))
      eio__tree_feed_dir (tree, &tree->todo);
    else
      break;
}

/* --- entries ------------------------------------------------------------ */

/* The path of dir, for entry; null when memory is out. */
static const char *
eio__tree_show_path (eio__tree *tree, eio__treedir *dir)
{
  size_t len, from;

  if (tree->path_of && tree->path_of->parent == dir)
    eio__tree_shorten_path (tree);
  if (tree->path_of == dir)
    return tree->path;

  len = dir->parent == tree->path_of && dir != tree->root
            ? tree->path_len + strlen (dir->name)
                  + (dir->parent != tree->root
                     || eio__tree_slash (tree->given, strlen (tree->given)))
            : eio__tree_build_path (tree, dir, 0, 0);
  if (len >= tree->path_room)
    {
      size_t room = len * 2 + 256;
      char *path = realloc (tree->path, room);

      if (!path)
        return 0;
      tree->path = path;
      tree->path_room = room;
    }

  if (dir->parent == tree->path_of && dir != tree->root)
    {
      from = len - strlen (dir->name);
      tree->path[from - 1] = '/';
      memcpy (tree->path + from, dir->name, len - from);
    }
  else
    eio__tree_build_path (tree, dir, 0, tree->path + len);
  tree->path[len] = 0;
  tree->path_len = len;
  tree->path_of = dir;
  return tree->path;
}

/* Returns what entry says, or 0. */
static int
eio__tree_tell (eio__tree *tree, eio__treedir *dir, const eio_dirent *dirent,
                const char *name, const struct stat *st)
{
  const char *path = dir == tree->top ? "" : eio__tree_show_path (tree, dir);
  int res;

  if (!path)
    {
      eio__tree_add_error (tree, dir, name, ENOMEM);
      return 0;
    }
  res = tree->entry (&tree->grp, path, dirent, name, st);
  if (res == EIO_WALK_STOP)
    tree->stopped = tree->done = 1;
  return res;
}

/* A directory has been found: unless entry does not want it, it will be
 * read. */
static void
eio__tree_found_dir (eio__tree *tree, eio__treedir *parent,
                     const eio__treeentry *entry, const char *name,
                     const struct stat *st, int link)
{
  int later = tree->entry && tree->flags & EIO_WALK_POSTORDER;
  eio__treedir *dir;

  if (tree->entry && !later
      && (eio__tree_tell (tree, parent, &entry->dirent, name, st)
          || eio__tree_is_over (tree)))
    return;

  dir = eio__tree_make_dir (tree, parent, name);
  if (dir && later && st)
    {
      dir->st = malloc (sizeof *dir->st);
      if (dir->st)
        *dir->st = *st;
    }
  if (!dir || (later && st && !dir->st))
    {
      if (dir)
        {
          --parent->kids;
          eio__tree_free_dir (tree, dir);
        }
      eio__tree_add_error (tree, parent, name, ENOMEM);
      parent->failed = 1;
      return;
    }
  dir->inode = entry->dirent.inode;
  dir->link = (unsigned char)link;
  if (parent == tree->top)
    tree->root = dir;
  eio__tree_push (tree, dir, EIO__TREE_READ);
}

static void
eio__tree_found (eio__tree *tree, eio__treedir *parent,
                 eio__treeentry *entry, const char *name,
                 const struct stat *st, int link)
{
  if (entry->fate == EIO__TREE_GONE)
    return;
  if (entry->error)
    {
      eio__tree_add_error (tree, parent, name, entry->error);
      parent->failed = 1;
      return;
    }
  eio__tree_count (tree);
  if (entry->dirent.type == EIO_DT_DIR)
    eio__tree_found_dir (tree, parent, entry, name, st, link);
  else if (tree->entry)
    eio__tree_tell (tree, parent, &entry->dirent, name, st);
}

/* All that was to be done with a batch has been. */
static void
eio__tree_end_batch (eio__tree *tree, eio__treebatch *batch)
{
  int i;

  for (i = 0; i < batch->n && !eio__tree_is_over (tree); ++i)
    {
      eio__treeentry *entry = &batch->entries[i];

      eio__tree_found (tree, batch->dir, entry,
                       batch->names + entry->dirent.nameofs,
                       tree->flags & EIO_WALK_STAT && batch->st
                           ? &batch->st[i]
                           : 0,
                       tree->follow && entry->link);
    }
  eio__tree_free_batch (tree, batch);
}

/* --- directories -------------------------------------------------------- */

static void
eio__tree_tell_left (eio__tree *tree, eio__treedir *dir)
{
  eio_dirent dirent;

  memset (&dirent, 0, sizeof dirent);
  dirent.type = EIO_DT_DIR;
  dirent.namelen = (unsigned short)strlen (dir->name);
  dirent.inode = dir->inode;
  eio__tree_tell (tree, dir->parent, &dirent, dir->name, dir->st);
}

/* One that has neither children nor jobs is left, or gone; and so on
 * upwards. */
static void
eio__tree_settle (eio__tree *tree, eio__treedir *dir)
{
  while (dir != tree->top && dir->listed && !dir->kids && !dir->jobs
         && !dir->todo && !eio__tree_is_over (tree))
    {
      eio__treedir *parent = dir->parent;

      if (!dir->left && tree->kind->leave
          && (tree->kind->leaves_open ? dir->opened : !dir->failed))
        {
          eio__tree_push (tree, dir, EIO__TREE_LEAVE);
          return;
        }
      if (dir->left < 2 && tree->entry && tree->flags & EIO_WALK_POSTORDER)
        {
          dir->left = 2;
          ++dir->jobs; /* entry may poll */
          eio__tree_tell_left (tree, dir);
          --dir->jobs;
          continue;
        }
      if ((parent->kids > 1 || tree->kind->leaves_open)
          && !eio__tree_is_open (tree, parent)
          && !parent->climbs && dir->fds.at[0] >= 0 && dir->left < 3)
        {
          dir->left = 3;
          eio__tree_push (tree, dir, EIO__TREE_UP);
          return;
        }

      parent->failed |= dir->failed;
      --parent->kids;
      if (dir == tree->root)
        tree->stopped = tree->done = 1;
      eio__tree_free_dir (tree, dir);
      if (tree->root == dir)
        tree->root = 0;
      dir = parent;
    }
}

/*****************************************************************************
 * 7  Jobs                                                                   *
 *****************************************************************************/

/* If descriptors have run out: what can be closed is, and less will be in
 * flight from now on. Returns 0 if it is of no use to try again. */
static int
eio__tree_retry (eio__tree *tree, eio__treejob *job)
{
  int freed = tree->ngarbage > 0;

  if (job->error != EMFILE && job->error != ENFILE)
    return 0;
  tree->may_open = tree->nopen / 2;
  while (tree->nopen > tree->may_open && eio__tree_evict (tree))
    freed = 1;
  while (tree->ngarbage)
    close (tree->garbage[--tree->ngarbage]);
  if (tree->running)
    tree->limit = tree->running;
  return tree->running || (freed && ++tree->starved < EIO__TREE_RETRIES);
}

/* For the first time. */
static void
eio__tree_opened (eio__tree *tree, eio__treejob *job)
{
  eio__treedir *dir = job->dir;

  dir->id[0] = job->id[0];
  dir->id[1] = job->id[1];
  dir->opened = 1;
  if (!tree->kind->leaves_open)
    return;
  dir->st = malloc (sizeof *dir->st);
  if (dir->st)
    *dir->st = job->st;
  else
    eio__tree_fail (tree, dir, ENOMEM);
}

static void
eio__tree_end_read (eio__tree *tree, eio__treejob *job)
{
  eio__treedir *dir = job->dir;
  eio__treebatch *batch = job->batch;

  if (job->dir_fds.at[0] >= 0 && !dir->opened)
    eio__tree_opened (tree, job);
  job->batch = 0;
  if (batch)
    eio__tree_add_batch (tree, batch);

  if (job->error && !batch && eio__tree_retry (tree, job))
    {
      eio__tree_push (tree, dir, EIO__TREE_READ);
      return;
    }
  if (job->error == ENOENT && !batch)
    dir->left = 1;
  else if (job->error)
    eio__tree_fail (tree, dir, job->error);
  else if (job->foreign && !tree->entry && tree->sides == 1)
    eio__tree_fail (tree, dir, EXDEV);
  dir->listed = (unsigned char)(job->end || job->error);
  if (dir->listed && dir->stream)
    {
      closedir (dir->stream);
      dir->stream = 0;
    }

  if (batch && batch->done == batch->n)
    eio__tree_end_batch (tree, batch);
  else if (batch)
    {
      ++dir->jobs;
      ++dir->pins;
      batch->next = 0;
      *tree->last_slice = batch;
      tree->last_slice = &batch->next;
    }
  if (!dir->listed)
    eio__tree_push (tree, dir, EIO__TREE_READ);
}

static void
eio__tree_end_work (eio__tree *tree, eio__treejob *job)
{
  eio__treebatch *batch = job->batch;

  job->batch = 0;
  batch->done += job->to - job->from;
  if (batch->done == batch->n)
    {
      --job->dir->pins;
      eio__tree_end_batch (tree, batch);
    }
  else
    ++job->dir->jobs; /* still that of the batch */
}

static void
eio__tree_end_leave (eio__tree *tree, eio__treejob *job)
{
  eio__treedir *dir = job->dir;

  if (job->lost || (job->error && eio__tree_retry (tree, job)))
    {
      dir->lost |= (unsigned char)job->lost;
      eio__tree_push (tree, dir, EIO__TREE_LEAVE);
    }
  else if ((job->error == ENOTEMPTY || job->error == EEXIST)
           && dir->rescans < EIO__TREE_RESCANS)
    {
      ++dir->rescans;
      dir->listed = 0;
      eio__tree_push (tree, dir, EIO__TREE_READ);
    }
  else
    {
      if (job->error && job->error != ENOENT)
        eio__tree_fail (tree, dir, job->error);
      dir->left = 1;
    }
}

static void
eio__tree_end_begin (eio__tree *tree, eio__treejob *job)
{
  eio__treeentry entry;

  tree->top->fds = job->new_parent_fds;
  job->new_parent_fds = eio__tree_no_fds;
  if (job->error)
    {
      eio__tree_add_error (tree, 0, 0, job->error);
      tree->stopped = tree->done = 1;
      return;
    }

  memset (&entry, 0, sizeof entry);
  entry.dirent.type = (unsigned char)eio__tree_mode_type (job->st.st_mode);
  entry.dirent.namelen = (unsigned short)strlen (tree->name);
  entry.dirent.inode = job->st.st_ino;
  tree->dev = job->st.st_dev;
  eio__tree_found (tree, tree->top, &entry, tree->name,
                   tree->flags & EIO_WALK_STAT && tree->entry ? &job->st : 0,
                   job->end);
  if (!tree->root)
    tree->stopped = tree->done = 1;
}

static int
eio__tree_finish_job (eio_req *req)
{
  eio__treejob *job = (eio__treejob *)req;
  eio__tree *tree = job->tree;
  eio__treedir *dir = job->dir;

  if (req->result || EIO_CANCELLED (req))
    return 0;

  --tree->running;
  if (!job->error)
    tree->starved = 0;
  if (job->kind == EIO__TREE_BEGIN)
    {
      eio__tree_end_begin (tree, job);
      return 0;
    }

  /* The directory stays, and open, while entry runs. */
  eio__tree_unpin (tree, job);
  switch (job->kind)
    {
    case EIO__TREE_READ: eio__tree_end_read (tree, job); break;
    case EIO__TREE_WORK: eio__tree_end_work (tree, job); break;
    case EIO__TREE_LEAVE: eio__tree_end_leave (tree, job); break;
    default: break;
    }
  --dir->pins;
  --dir->jobs;
  eio__tree_settle (tree, dir);
  return 0;
}

/* What a cancelled job has opened is closed here. The job is idle only now, so
 * this is where others are begun; it is in its group until this returns. */
static void
eio__tree_destroy_job (eio_req *req)
{
  eio__treejob *job = (eio__treejob *)req;
  eio__tree *tree = job->tree;
  size_t i;

  if (EIO_CANCELLED (req))
    tree->stopped = 1;
  for (i = 0; i < sizeof job->closing / sizeof *job->closing; ++i)
    eio__tree_discard_fd (tree, job->closing[i]);
  eio__tree_discard_fds (tree, &job->new_parent_fds);
  eio__tree_discard_fds (tree, &job->new_fds);
  if (job->stream)
    closedir (job->stream);
  if (job->kind == EIO__TREE_READ)
    eio__tree_spare_batch (tree, job->batch);
  eio__tree_spare_batch (tree, job->spare);
  job->next = tree->idle;
  tree->idle = job;
  eio__tree_feed (tree);
}

/*****************************************************************************
 * 8  Groups                                                                 *
 *****************************************************************************/

static int
eio__tree_finish (eio_req *grp)
{
  eio__tree *tree = (eio__tree *)grp;

  if (!EIO_CANCELLED (grp))
    {
      if (!tree->done && !tree->error)
        tree->error = ECANCELED; /* by eio_grp_cancel */
      grp->result = tree->error ? -1 : 0;
      grp->errorno = tree->error;
    }
  ecb_store_relaxed (tree->complete, 1);
  return tree->cb ? tree->cb (grp) : 0;
}

static void
eio__tree_destroy (eio_req *grp)
{
  eio__tree *tree = (eio__tree *)grp;
  unsigned int i;

  while (tree->batches)
    eio__tree_free_batch (tree, tree->batches);
  while (tree->spares)
    {
      eio__treebatch *batch = tree->spares;

      tree->spares = batch->next;
      eio__tree_free_memory (batch);
    }
  tree->path_of = 0;
  while (tree->dirs)
    eio__tree_free_dir (tree, tree->dirs);
  while (tree->ngarbage)
    close (tree->garbage[--tree->ngarbage]);
  for (i = 0; i < tree->nerrors; ++i)
    free (tree->errors[i].path);
  free (tree->errors);
  free (tree->path);
  free (tree->given);
  free (tree->in);
  free (tree->to_given);
  free (tree->to_in);
  free (tree);
}

static const char *
eio__tree_last_name (const char *path, size_t len)
{
  while (len && path[len - 1] != '/')
    --len;
  return path + len;
}

/* Splits a path into what its last name is in, and that name; with slashes at
 * its end, of which the copy in given keeps record. */
static int
eio__tree_split (const char *path, char **given, char **in, char **name)
{
  size_t len = strlen (path);
  const char *last;

  *given = strdup (path);
  *in = malloc (len + 3);
  if (!*given || !*in)
    return -1;
  while (len && path[len - 1] == '/')
    --len;
  last = eio__tree_last_name (path, len);
  if (last == path)
    strcpy (*in, ".");
  else
    {
      memcpy (*in, path, (size_t)(last - path));
      (*in)[last - path] = 0;
    }
  *name = *in + strlen (*in) + 1;
  memcpy (*name, last, (size_t)(path + len - last));
  (*name)[path + len - last] = 0;
  return 0;
}

/* Returns null with errno ENOMEM. */
static eio__tree *
eio__tree_make (const eio__treekind *kind, const char *path,
                const char *new_path, unsigned int maxreq, eio_cb cb,
                void *data)
{
  eio__tree *tree;
  unsigned int i;

  if (!maxreq)
    maxreq = EIO__TREE_MAXREQ;
  if (maxreq > EIO__TREE_MAXREQ_MAX)
    maxreq = EIO__TREE_MAXREQ_MAX;
  tree = calloc (1, sizeof *tree + maxreq * sizeof *tree->jobs);
  if (!tree)
    return 0;

  tree->kind = kind;
  tree->sides = new_path ? 2 : 1;
  tree->cb = cb;
  tree->last_slice = &tree->slices;
  tree->limit = maxreq;
  tree->may_open = EIO__TREE_OPEN;
  for (i = 0; i < maxreq; ++i)
    {
      tree->jobs[i].next = tree->idle;
      tree->idle = &tree->jobs[i];
    }
  tree->grp.type = EIO_GROUP;
  tree->grp.pri = EIO_PRI_MAX;
  tree->grp.finish = eio__tree_finish;
  tree->grp.destroy = eio__tree_destroy;
  tree->grp.data = data;
  if (!eio__tree_split (path ? path : "", &tree->given, &tree->in, &tree->name)
      && (!new_path
          || !eio__tree_split (new_path, &tree->to_given, &tree->to_in,
                               &tree->to_name)))
    tree->top = eio__tree_make_dir (tree, 0, "");
  if (tree->top)
    return tree;
  eio__tree_destroy (&tree->grp);
  errno = ENOMEM;
  return 0;
}

/* Submits the group, with the first job in it. From then on, on another thread
 * than the one that polls, it may end at any time. */
static eio_req *
eio__tree_start (eio__tree *tree, int error)
{
  eio__treejob *job = eio__tree_take_job (tree, EIO__TREE_BEGIN, 0);
  eio_req *grp = &tree->grp;

  job->error = error;
  ++tree->running;
  eio_grp_add (grp, &job->req);
  eio_submit (grp);
  eio_submit (&job->req);
  return grp;
}

/*****************************************************************************
 * 9  Removing                                                               *
 *****************************************************************************/

/* Opens what the last names of the paths are in. */
static int
eio__tree_open_top (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  eio__treefds *fds = &job->new_parent_fds;

  fds->at[0] = eio__tree_open_name (AT_FDCWD, tree->in, 1);
  if (fds->at[0] >= 0 && tree->sides > 1)
    fds->at[1] = eio__tree_open_name (AT_FDCWD, tree->to_in, 1);
  return fds->at[tree->sides - 1] < 0 ? -1 : 0;
}

static int
eio__tree_had_slash (const char *path)
{
  return !eio__tree_slash (path, strlen (path));
}

/* A path that is no directory is removed as well, unless it ends in a
 * slash. */
static int
eio__rmtree_try_begin (eio__treejob *job)
{
  const eio__tree *tree = job->tree;

  if (eio__tree_open_top (job)
      || fstatat (job->new_parent_fds.at[0], tree->name, &job->st,
                  AT_SYMLINK_NOFOLLOW))
    return -1;
  if (S_ISDIR (job->st.st_mode))
    return 0;
  if (eio__tree_had_slash (tree->given))
    {
      errno = ENOTDIR;
      return -1;
    }
  return unlinkat (job->new_parent_fds.at[0], tree->name, 0);
}

static void
eio__rmtree_begin (eio__treejob *job)
{
  if (!job->error && eio__rmtree_try_begin (job))
    job->error = errno;
}

/* A directory is left to others, also one that has taken a file's place. */
static void
eio__rmtree_entry (eio__treejob *job, eio__treebatch *batch, int i)
{
  eio__treeentry *entry = &batch->entries[i];
  const char *name = batch->names + entry->dirent.nameofs;
  struct stat st;
  int error = 0;

  entry->fate = EIO__TREE_DONE;
  if (entry->dirent.type != EIO_DT_UNKNOWN)
    {
      if (!unlinkat (job->dir_fds.at[0], name, 0))
        return;
      error = errno;
    }
  if (error != ENOENT
      && !fstatat (job->dir_fds.at[0], name, &st, AT_SYMLINK_NOFOLLOW))
    {
      entry->dirent.type = (unsigned char)eio__tree_mode_type (st.st_mode);
      if (S_ISDIR (st.st_mode)
          || (!error && !unlinkat (job->dir_fds.at[0], name, 0)))
        return;
    }
  if (!error)
    error = errno;
  if (error == ENOENT)
    entry->fate = EIO__TREE_GONE;
  else
    entry->error = error;
}

static int
eio__rmtree_wants (const eio__tree *tree, const eio__treeentry *entry)
{
  (void)tree;
  return entry->dirent.type != EIO_DT_DIR;
}

static int
eio__rmtree_leave (eio__treejob *job, int parent_fd)
{
  return unlinkat (parent_fd, job->dir->name, AT_REMOVEDIR);
}

/* An empty directory can go even if it must not be read; a file or a link in
 * its place can go as well. */
static int
eio__rmtree_unopened (eio__treejob *job, int parent_fd, int error)
{
  if (error == EACCES)
    return unlinkat (parent_fd, job->dir->name, AT_REMOVEDIR);
  if (error == ENOTDIR || error == ELOOP)
    return unlinkat (parent_fd, job->dir->name, 0);
  return -1;
}

static const eio__treekind eio__rmtree_kind = {
  .begin = eio__rmtree_begin,
  .entry = eio__rmtree_entry,
  .wants = eio__rmtree_wants,
  .leave = eio__rmtree_leave,
  .unopened = eio__rmtree_unopened
};

/*****************************************************************************
 * 10  Walking                                                               *
 *****************************************************************************/

/* Of what a link leads to, if it leads anywhere and is to be followed. */
static int
eio__walk_stat (int in, const char *name, int follow, struct stat *st)
{
  if (follow && !fstatat (in, name, st, 0))
    return 0;
  return fstatat (in, name, st, AT_SYMLINK_NOFOLLOW);
}

/* job->end: whether the path may be a link that is followed. */
static void
eio__walk_begin (eio__treejob *job)
{
  const eio__tree *tree = job->tree;

  job->end = tree->follow || eio__tree_had_slash (tree->given);
  job->new_parent_fds.at[0] = AT_FDCWD;
  if (!job->error
      && eio__walk_stat (AT_FDCWD, tree->name, tree->follow, &job->st))
    job->error = errno;
}

static void
eio__walk_entry (eio__treejob *job, eio__treebatch *batch, int i)
{
  eio__treeentry *entry = &batch->entries[i];
  struct stat buf, *st = batch->st ? &batch->st[i] : &buf;

  entry->fate = EIO__TREE_DONE;
  if (!eio__walk_stat (job->dir_fds.at[0], batch->names + entry->dirent.nameofs,
                       job->tree->follow, st))
    entry->dirent.type = (unsigned char)eio__tree_mode_type (st->st_mode);
  else if (errno == ENOENT)
    entry->fate = EIO__TREE_GONE;
  else
    entry->error = errno;
}

static int
eio__walk_wants (const eio__tree *tree, const eio__treeentry *entry)
{
  return tree->stat || entry->dirent.type == EIO_DT_UNKNOWN
         || (tree->follow && entry->dirent.type == EIO_DT_LNK);
}

/* Something else has taken its place: it has vanished. */
static int
eio__walk_unopened (eio__treejob *job, int parent_fd, int error)
{
  (void)parent_fd;
  return error == ENOTDIR || (error == ELOOP && !job->dir->link) ? 0 : -1;
}

static const eio__treekind eio__walk_kind = {
  .begin = eio__walk_begin,
  .entry = eio__walk_entry,
  .wants = eio__walk_wants,
  .unopened = eio__walk_unopened
};

/*****************************************************************************
 * 11  Copying [worker]                                                      *
 *                                                                           *
 * The library's own eio_copy follows links, which somebody may put in the   *
 * place of a file; here everything is by descriptor, or refuses links.      *
 *****************************************************************************/

enum { EIO__CPTREE_CHUNK = 1024 * 1024 };

/* What is not allowed, or not possible there, is left out. */
static int
eio__cptree_forgives (int error)
{
  return error == EPERM || error == ENOSYS || error == ENOTSUP
         || error == EOPNOTSUPP;
}

static void
eio__cptree_times (const struct stat *st, struct timespec times[2])
{
#ifdef __APPLE__
  times[0] = st->st_atimespec;
  times[1] = st->st_mtimespec;
#else
  times[0] = st->st_atim;
  times[1] = st->st_mtim;
#endif
}

/* Has the target share the source's blocks. */
static int
eio__cptree_clone (int in, int out)
{
#if defined __linux__ && defined _IOW
  int res = ioctl (out, _IOW (0x94, 9, int), (void *)(intptr_t)in);

  if (res < 0 && errno == ENOTTY)
    errno = EOPNOTSUPP;
  return res;
#else
  (void)in, (void)out;
  errno = ENOSYS;
  return -1;
#endif
}

/* The next bytes from offset on that are no hole; to where the hole begins.
 * Returns 0, or -1 if there are none. */
static int
eio__cptree_find_data (int in, off_t offset, off_t size, off_t *data,
                       off_t *hole)
{
  *data = offset;
  *hole = size;
#if defined SEEK_DATA && defined SEEK_HOLE
  *data = lseek (in, offset, SEEK_DATA);
  if (*data < 0)
    {
      if (errno == ENXIO)
        return -1;
      *data = offset;
      return 0;
    }
  *hole = lseek (in, *data, SEEK_HOLE);
  if (*hole < 0 || *hole > size)
    *hole = size;
#endif
  return *data < size ? 0 : -1;
}

/* Returns 1 if the source ended before. */
static int
eio__cptree_range (eio__treejob *job, int in, int out, off_t offset, off_t end)
{
  if (lseek (out, offset, SEEK_SET) < 0)
    return -1;
  while (offset < end)
    {
      off_t left = end - offset;
      eio_ssize_t n = eio_sendfile_sync (
          out, in, offset,
          left < EIO__CPTREE_CHUNK ? (size_t)left : EIO__CPTREE_CHUNK);

      if (n < 0 && errno != EINTR)
        return -1;
      if (!n)
        return 1;
      if (EIO_CANCELLED (&job->req))
        {
          errno = ECANCELED;
          return -1;
        }
      if (n > 0)
        {
          offset += n;
          ecb_add_relaxed (job->tree->bytes, (uint64_t)n);
        }
    }
  return 0;
}

/* Holes stay holes. What does not tell its size, as in /proc, is read to its
 * end. */
static int
eio__cptree_data (eio__treejob *job, int in, int out, off_t size)
{
  off_t offset = 0, data, hole;
  int res = 0;

  if (!eio__cptree_clone (in, out))
    return 0;
  if (job->tree->flags & EIO_COPY_CLONE_ONLY)
    return -1;
  if (!size)
    {
      while (!res)
        {
          res = eio__cptree_range (job, in, out, offset,
                                   offset + EIO__CPTREE_CHUNK);
          offset += EIO__CPTREE_CHUNK;
        }
      return res < 0 ? -1 : 0;
    }

  while (!res && offset < size
         && !eio__cptree_find_data (in, offset, size, &data, &hole))
    {
      res = eio__cptree_range (job, in, out, data, hole);
      offset = hole;
    }
  return res ? res > 0 ? 0 : -1 : ftruncate (out, size);
}

#if HAVE_XATTR
static int
eio__cptree_xattr (int in, int out, const char *name)
{
  ssize_t n = fgetxattr (in, name, 0, 0);
  char *value;
  int res = -1, saved;

  if (n < 0)
    return errno == ENODATA || eio__cptree_forgives (errno) ? 0 : -1;
  value = malloc ((size_t)n + 1);
  if (!value)
    return -1;
  n = fgetxattr (in, name, value, (size_t)n);
  if (n >= 0)
    res = fsetxattr (out, name, value, (size_t)n, 0);
  saved = errno;
  free (value);
  errno = saved;
  return res && !eio__cptree_forgives (errno) ? -1 : 0;
}
#endif

static int
eio__cptree_xattrs (int in, int out)
{
#if HAVE_XATTR
  ssize_t n = flistxattr (in, 0, 0), i;
  char *names;
  int res = 0, saved;

  if (n <= 0)
    return n && !eio__cptree_forgives (errno) ? -1 : 0;
  names = malloc ((size_t)n);
  if (!names)
    return -1;
  n = flistxattr (in, names, (size_t)n);
  if (n < 0)
    res = -1;
  for (i = 0; i < n && !res; i += (ssize_t)strlen (names + i) + 1)
    res = eio__cptree_xattr (in, out, names + i);
  saved = errno;
  free (names);
  errno = saved;
  return res;
#else
  (void)in, (void)out;
  return 0;
#endif
}

/* What changes hands without its owner must not be executed as that. */
static mode_t
eio__cptree_mode (const struct stat *from, uid_t uid, gid_t gid)
{
  mode_t mode = from->st_mode & 07777;

  if (from->st_uid != uid)
    mode &= ~(mode_t)S_ISUID;
  if (from->st_gid != gid)
    mode &= ~(mode_t)S_ISGID;
  return mode;
}

/* Of a file or a directory. In this order: a new owner loses attributes, and
 * some cannot be written once the mode forbids it. */
static int
eio__cptree_status (const eio__tree *tree, int in, int out,
                    const struct stat *from)
{
  struct timespec times[2];
  struct stat to;

  if (tree->flags & EIO_COPY_OWNER
      && fchown (out, from->st_uid, from->st_gid)
      && fchown (out, (uid_t)-1, from->st_gid)
      && !eio__cptree_forgives (errno))
    return -1;
  if ((tree->flags & EIO_COPY_XATTR && eio__cptree_xattrs (in, out))
      || fstat (out, &to))
    return -1;
  if (fchmod (out, eio__cptree_mode (from, to.st_uid, to.st_gid))
      && !eio__cptree_forgives (errno))
    return -1;
  eio__cptree_times (from, times);
  if (tree->flags & EIO_COPY_TIMES && futimens (out, times)
      && !eio__cptree_forgives (errno))
    return -1;
  return tree->flags & EIO_COPY_SYNC ? fsync (out) : 0;
}

/* The same of a name: a link, or a special file. */
static int
eio__cptree_name_status (const eio__tree *tree, int to, const char *name,
                         const struct stat *from)
{
  struct timespec times[2];
  struct stat st;

  if (tree->flags & EIO_COPY_OWNER
      && fchownat (to, name, from->st_uid, from->st_gid, AT_SYMLINK_NOFOLLOW)
      && fchownat (to, name, (uid_t)-1, from->st_gid, AT_SYMLINK_NOFOLLOW)
      && !eio__cptree_forgives (errno))
    return -1;
  if (fstatat (to, name, &st, AT_SYMLINK_NOFOLLOW))
    return -1;
  if (!S_ISLNK (st.st_mode)
      && fchmodat (to, name, eio__cptree_mode (from, st.st_uid, st.st_gid),
                   AT_SYMLINK_NOFOLLOW)
      && !eio__cptree_forgives (errno))
    return -1;
  eio__cptree_times (from, times);
  return tree->flags & EIO_COPY_TIMES
                 && utimensat (to, name, times, AT_SYMLINK_NOFOLLOW)
                 && !eio__cptree_forgives (errno)
             ? -1
             : 0;
}

/* After EEXIST: removes what is there, but no directory. */
static int
eio__cptree_make_room (const eio__tree *tree, int to, const char *name)
{
  struct stat st;

  errno = EEXIST;
  if (tree->flags & EIO_COPY_EXCL
      || fstatat (to, name, &st, AT_SYMLINK_NOFOLLOW))
    return -1;
  if (S_ISDIR (st.st_mode))
    {
      errno = EISDIR;
      return -1;
    }
  return unlinkat (to, name, 0);
}

static int
eio__cptree_create (const eio__tree *tree, int to, const char *name)
{
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat (to, name, flags, 0600);

  if (fd < 0 && errno == EEXIST && !eio__cptree_make_room (tree, to, name))
    fd = openat (to, name, flags, 0600);
  return fd;
}

/* A target that is not complete is removed. */
static int
eio__cptree_file_to (eio__treejob *job, int in, const struct stat *st, int to,
                     const char *name)
{
  int out = eio__cptree_create (job->tree, to, name), res, saved;

  if (out < 0)
    return -1;
  res = eio__cptree_data (job, in, out, st->st_size);
  if (!res)
    res = eio__cptree_status (job->tree, in, out, st);
  saved = errno;
  if (close (out) && !res && errno != EINTR)
    {
      saved = errno;
      res = -1;
    }
  if (res)
    unlinkat (to, name, 0);
  errno = saved;
  return res;
}

/* The name of what is copied, in directories of the source and target. */
typedef struct
{
  int from, to;
  const char *name, *to_name;
} eio__cptree_place;

/* Opens it without waiting for anybody. What is no file any more has
 * vanished: -2. */
static int
eio__cptree_file (eio__treejob *job, const eio__cptree_place *p)
{
  struct stat st;
  int res, in = openat (p->from, p->name,
                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
                            | O_CLOEXEC);

  if (in < 0)
    return errno == ENOENT || errno == ELOOP ? -2 : -1;
  res = fstat (in, &st);
  if (!res)
    res = S_ISREG (st.st_mode)
              ? eio__cptree_file_to (job, in, &st, p->to, p->to_name)
              : -2;
  eio__tree_close_quietly (in);
  return res;
}

static int
eio__cptree_link (const eio__tree *tree, const eio__cptree_place *p,
                  const struct stat *st)
{
  size_t size = st->st_size > 0 ? (size_t)st->st_size + 2 : 8192;
  char *text = malloc (size);
  ssize_t n;
  int res = -1, saved;

  if (!text)
    return -1;
  n = readlinkat (p->from, p->name, text, size);
  if (n < 0 && (errno == ENOENT || errno == EINVAL))
    res = -2;
  else if (n == (ssize_t)size)
    errno = ENAMETOOLONG;
  else if (n >= 0)
    {
      text[n] = 0;
      res = symlinkat (text, p->to, p->to_name);
      if (res && errno == EEXIST
          && !eio__cptree_make_room (tree, p->to, p->to_name))
        res = symlinkat (text, p->to, p->to_name);
    }
  saved = errno;
  free (text);
  errno = saved;
  return res ? res : eio__cptree_name_status (tree, p->to, p->to_name, st);
}

static int
eio__cptree_node (const eio__tree *tree, const eio__cptree_place *p,
                  const struct stat *st)
{
  mode_t mode = (st->st_mode & S_IFMT) | 0600;
  int res = mknodat (p->to, p->to_name, mode, st->st_rdev);

  if (res && errno == EEXIST
      && !eio__cptree_make_room (tree, p->to, p->to_name))
    res = mknodat (p->to, p->to_name, mode, st->st_rdev);
  return res ? -1 : eio__cptree_name_status (tree, p->to, p->to_name, st);
}

/* Copies all but a directory. Sets *type. Returns 0, -1 with errno, or -2 if
 * it has vanished. */
static int
eio__cptree_copy (eio__treejob *job, const eio__cptree_place *p, int *type)
{
  struct stat st;

  if (*type == EIO_DT_REG)
    return eio__cptree_file (job, p);
  if (fstatat (p->from, p->name, &st, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT ? -2 : -1;
  *type = eio__tree_mode_type (st.st_mode);
  return S_ISDIR (st.st_mode)   ? 0
         : S_ISREG (st.st_mode) ? eio__cptree_file (job, p)
         : S_ISLNK (st.st_mode) ? eio__cptree_link (job->tree, p, &st)
                                : eio__cptree_node (job->tree, p, &st);
}

static void
eio__cptree_entry (eio__treejob *job, eio__treebatch *batch, int i)
{
  eio__treeentry *entry = &batch->entries[i];
  const char *name = batch->names + entry->dirent.nameofs;
  const eio__cptree_place place
      = { job->dir_fds.at[0], job->dir_fds.at[1], name, name };
  int type = entry->dirent.type;
  int res = eio__cptree_copy (job, &place, &type);

  entry->dirent.type = (unsigned char)type;
  entry->fate = res == -2 ? EIO__TREE_GONE : EIO__TREE_DONE;
  if (res == -1)
    entry->error = errno == ENOENT ? ESTALE : errno; /* of the target */
}

static int
eio__cptree_try_begin (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  eio__treefds *in = &job->new_parent_fds;
  eio__cptree_place place;
  struct stat st;
  int type, res;

  if (eio__tree_open_top (job)
      || fstatat (in->at[0], tree->name, &job->st, AT_SYMLINK_NOFOLLOW))
    return -1;
  type = eio__tree_mode_type (job->st.st_mode);
  if (type == EIO_DT_DIR)
    return 0;
  errno = ENOTDIR;
  if (eio__tree_had_slash (tree->given) || eio__tree_had_slash (tree->to_given))
    return -1;
  errno = EINVAL;
  if (!fstatat (in->at[1], tree->to_name, &st, AT_SYMLINK_NOFOLLOW)
      && st.st_dev == job->st.st_dev && st.st_ino == job->st.st_ino)
    return -1;
  place.from = in->at[0];
  place.to = in->at[1];
  place.name = tree->name;
  place.to_name = tree->to_name;
  res = eio__cptree_copy (job, &place, &type);
  if (res == -2)
    errno = ENOENT;
  return res;
}

static void
eio__cptree_begin (eio__treejob *job)
{
  if (!job->error && eio__cptree_try_begin (job))
    job->error = errno;
}

/* The directory that is being made is not copied into itself, nor one onto
 * itself. */
static int
eio__cptree_enter (eio__treejob *job, int in)
{
  const eio__tree *tree = job->tree;
  const eio__treedir *dir = job->dir;
  const char *name = eio__tree_name (tree, dir, 1);
  struct stat st;

  errno = EINVAL;
  if (dir != tree->root && eio__tree_is_same (&job->id[0], &tree->root->id[1]))
    return -1;
  if (!mkdirat (in, name, 0700))
    return 0;
  if (errno == ENOENT)
    errno = ESTALE;
  if (errno != EEXIST || tree->flags & EIO_COPY_EXCL)
    return -1;
  if (!fstatat (in, name, &st, AT_SYMLINK_NOFOLLOW)
      && st.st_dev == job->id[0].dev && st.st_ino == job->id[0].ino)
    {
      errno = EINVAL;
      return -1;
    }
  return 0;
}

static int
eio__cptree_leave (eio__treejob *job, int parent_fd)
{
  const struct stat *st = job->dir->st;

  (void)parent_fd;
  return !st ? 0
             : eio__cptree_status (job->tree, job->dir_fds.at[0],
                                   job->dir_fds.at[1], st);
}

static const eio__treekind eio__cptree_kind = {
  .begin = eio__cptree_begin,
  .entry = eio__cptree_entry,
  .wants = eio__rmtree_wants,
  .enter = eio__cptree_enter,
  .leave = eio__cptree_leave,
  .leaves_open = 1,
  .unopened = eio__walk_unopened
};

/*****************************************************************************
 * 12  Public functions                                                      *
 *****************************************************************************/

static int
eio__tree_path_error (const char *path)
{
  return !path ? EINVAL : !*path ? ENOENT : 0;
}

eio_req *
eio_rmtree (const char *path, int flags, unsigned int maxreq, eio_cb cb,
            void *data)
{
  eio__tree *tree
      = eio__tree_make (&eio__rmtree_kind, path, 0, maxreq, cb, data);
  int error = eio__tree_path_error (path);

  if (!tree)
    return 0;
  if (!error && !*tree->name)
    error = EBUSY; /* "/" */
  if (!error && (eio__tree_is_dot (tree->name) || flags & ~EIO_TREE_XDEV))
    error = EINVAL;
  tree->xdev = flags & EIO_TREE_XDEV;
  return eio__tree_start (tree, error);
}

eio_req *
eio_cptree (const char *path, const char *new_path, int flags,
            unsigned int maxreq, eio_cb cb, void *data)
{
  const int known = EIO_COPY_EXCL | EIO_COPY_ARCHIVE | EIO_COPY_SYNC
                    | EIO_COPY_CLONE_ONLY | EIO_TREE_XDEV;
  eio__tree *tree = eio__tree_make (&eio__cptree_kind, path,
                                    new_path ? new_path : "", maxreq, cb,
                                    data);
  int error = eio__tree_path_error (path);

  if (!tree)
    return 0;
  if (!error)
    error = eio__tree_path_error (new_path);
  if (!error && (!*tree->name || !*tree->to_name || flags & ~known))
    error = EINVAL;
  tree->flags = flags;
  tree->xdev = flags & EIO_TREE_XDEV;
  return eio__tree_start (tree, error);
}

eio_req *
eio_walk (const char *path, int flags, unsigned int maxreq,
          int (*entry) (eio_req *walk, const char *dir,
                        const eio_dirent *dirent, const char *name,
                        const struct stat *st),
          eio_cb cb, void *data)
{
  const int known = EIO_WALK_STAT | EIO_WALK_XDEV | EIO_WALK_POSTORDER
                    | EIO_WALK_FOLLOW;
  eio__tree *tree = eio__tree_make (&eio__walk_kind, path, 0, maxreq, cb, data);
  int error = eio__tree_path_error (path);

  if (!tree)
    return 0;
  if (!error && (!entry || flags & ~known))
    error = EINVAL;
  tree->name = tree->given;
  tree->entry = entry;
  tree->flags = flags;
  tree->stat = flags & EIO_WALK_STAT;
  tree->xdev = flags & EIO_WALK_XDEV;
  tree->follow = flags & EIO_WALK_FOLLOW;
  return eio__tree_start (tree, error);
}

int
eio_tree_errors (const eio_req *req, unsigned int i, const char **path)
{
  const eio__tree *tree = (const eio__tree *)req;
  static const eio__treeerror none;
  const eio__treeerror lost = { tree->error, 0 }; /* there was no memory */
  const eio__treeerror *error = i < tree->nerrors          ? &tree->errors[i]
                                : !i && !tree->nerrors ? &lost
                                                       : &none;

  if (path)
    *path = !error->errorno ? 0 : error->path ? error->path : "";
  return error->errorno;
}

int
eio_tree_progress (const eio_req *req, struct eio_progress *progress)
{
  const eio__tree *tree = (const eio__tree *)req;

  memset (progress, 0, sizeof *progress);
  progress->entries_done = ecb_load_relaxed (tree->ndone);
  progress->bytes_done = ecb_load_relaxed (tree->bytes);
  if (ecb_load_relaxed (tree->complete))
    {
      progress->entries_total = progress->entries_done;
      progress->bytes_total = progress->bytes_done;
    }
  return 0;
}
