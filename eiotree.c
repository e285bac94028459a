/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The libeio authors */

/*****************************************************************************
 * 0  About                                                                  *
 *                                                                           *
 * Contents, bottom up:                                                      *
 *   1  Types                                                                *
 *   2  Paths and errors                                                     *
 *   3  Directories: the nodes, and which descriptors are open               *
 *   4  Files: which were copied, and which have several names               *
 *   5  Reaching a directory, on a worker                                    *
 *   6  Reading a directory, on a worker                                     *
 *   7  Going on: what is to be done next, on the poll thread                *
 *   8  Jobs: what happens to them                                           *
 *   9  Groups: beginning and end                                            *
 *  10  Removing   11  Walking   12  Copying   13  Moving                    *
 *  14  Public functions                                                     *
 *                                                                           *
 * A tree is a group with room for a number of jobs, which are EIO_CUSTOM    *
 * requests. A job belongs to one directory: it reads a batch of its entries *
 * (READ), does something with a slice of a batch (WORK), or leaves the      *
 * directory, when all that is in it is done (LEAVE). It is filled and       *
 * looked at by the poll thread, and in between it belongs to a worker. So   *
 * nothing needs a lock: a worker sees its job, the batch, and of            *
 * directories only what does not change: parent, name and identity. Only    *
 * the files with several names are common to all workers: section 4.        *
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
  EIO__TREE_GARBAGE = 32,   /* descriptors to be closed by the next jobs, */
  EIO__TREE_CLOSING = 4     /* and by each of them */
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

/* How far the end of a directory is. */
enum
{
  EIO__TREE_INSIDE,
  EIO__TREE_LEFT,   /* or it has vanished */
  EIO__TREE_TOLD,   /* entry knows that, if it wants to */
  EIO__TREE_CLIMBED /* its parent has been reached again, or cannot be */
};

typedef struct eio__tree eio__tree;
typedef struct eio__treedir eio__treedir;
typedef struct eio__treebatch eio__treebatch;
typedef struct eio__treejob eio__treejob;
typedef struct eio__treefile eio__treefile;
typedef struct eio__treekind eio__treekind;

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
  unsigned char entered; /* kind->enter has succeeded */
  unsigned char opened; /* it has been */
  unsigned char listed; /* to the end */
  unsigned char end;    /* EIO__TREE_INSIDE ... */
  unsigned char failed; /* something in it */
  unsigned char link;   /* a link led here, or may have */
  unsigned char lost;   /* ".." does not lead to the parent */
  char name[];
};

/* A file that has more names than one, when files are to keep them: in a tree
 * by hashes, to which workers add, and from which nobody takes away. Who sets
 * the state from UNMADE to MAKING copies the file, and owns the rest till he
 * sets it to MADE, or, in vain, to UNMADE; then nothing changes any more. */
struct eio__treefile
{
  eio__treefile *child[4];
  eio__treeid id;
  int state;
  eio__treeid copy;
  uint64_t mark; /* of what was copied, under no name */
  char *path; /* of the first copy, by that of the source; a 0 for each / */
  char *name; /* its end */
};

enum
{
  EIO__TREE_UNMADE,
  EIO__TREE_MAKING,
  EIO__TREE_MADE
};

/* What has become of an entry. */
enum
{
  EIO__TREE_UNDECIDED, /* nothing yet: it may have to be tried again */
  EIO__TREE_DONE,
  EIO__TREE_GONE
};

typedef struct
{
  eio_dirent dirent;
  uint64_t mark; /* of what was copied, if that is to be removed, or 0 */
  int error;     /* of its own */
  unsigned char fate;
  unsigned char link; /* it is one, or may be */
} eio__treeentry;

struct eio__treebatch
{
  eio__treebatch *next;          /* on slices, waiting or spares of the tree */
  eio__treebatch *before, *after; /* of all */
  eio__treedir *dir;
  struct stat *st; /* of each, or null */
  int st_room;
  int n;
  int begun; /* so many are in jobs, or done */
  int done;
  int used; /* bytes of names */
  unsigned int round; /* tree->round when it was begun */
  int starved; /* descriptors ran out */
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
  unsigned int round; /* tree->round when it was begun */

  /* For the worker: descriptors of others, which are pinned. */
  eio__treefds base_fds;
  eio__treefds dir_fds; /* or none */

  /* The job's own, until its end hands them on. */
  eio__treefds new_parent_fds, new_fds;
  DIR *stream;
  int closing[EIO__TREE_CLOSING];

  /* The outcome. */
  int error;
  int end;     /* of the directory */
  int entered; /* the directory, which may not be open for all that */
  int moved;   /* BEGIN: there is nothing left to do */
  int link;    /* BEGIN: the path may be a link, which is followed */
  int made;    /* the first copy of a file with several names, or not */
  int starved; /* EMFILE or ENFILE, of an entry that is undecided */
  int foreign; /* the directory is on another device */
  int lost;    /* ".." did not lead to the parent */
  eio__treeid id[2]; /* of the directory that was opened */
  struct stat st;    /* BEGIN, and that directory's */
};

/* What makes a kind of tree. */
struct eio__treekind
{
  int (*begin) (eio__treejob *job); /* 0, or -1 with errno.  [worker] */

  /* Does one entry, whose fate and error it sets.  [worker] */
  void (*entry) (eio__treejob *job, eio__treebatch *batch, int i);

  /* Whether that is to be called for it.  [any thread] */
  int (*wants) (const eio__tree *tree, const eio__treeentry *entry);

  /* The directory has been opened; makes what it is copied to, unless it is
   * there.  [worker] */
  int (*enter) (eio__treejob *job, int in);

  /* Leaves a directory: 0, or -1 with errno. Null: there is nothing to do.
   * [worker] */
  int (*leave) (eio__treejob *job, int parent_fd);
  int leaves_open; /* it needs the directory, else what that is in */

  /* It could not be opened: 0 if that is all right.  [worker] */
  int (*unopened) (eio__treejob *job, int parent_fd, int error);

  int foreign_error; /* if a directory is on another device; 0: none */
  int moves;         /* it keeps marks, and gives up at the first error */
  const eio__treekind *then; /* to be done if there was no error */
};

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
  int flags;     /* EIO_COPY_* */
  int stat;      /* entries need a status */
  int postorder; /* entry is called for directories when they are left */
  int follow;    /* links */
  int replaces; /* a directory that is empty, or a file */
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
  eio__treefile *files; /* workers add to it */
  eio__treebatch *waiting; /* for files that others are making */
  unsigned int nwaiting;   /* so many, whose directories are open */
  unsigned int round; /* so many jobs have made such files */
  uint64_t *marks; /* a hash table: of what was copied; workers read it when
                      no more are added */
  size_t nmarks, marks_room; /* a power of two */
  unsigned int starved; /* so many jobs in sequence, while alone */
  unsigned int nopen, may_open; /* at most, but for those in use */
  unsigned int nspares, ngarbage;
  int garbage[EIO__TREE_GARBAGE];

  int error; /* the first */
  eio__treeerror *errors;
  unsigned int nerrors, errors_room;

  uint64_t ndone; /* entries; atomic: eio_tree_progress */
  uint64_t bytes; /* copied; the same */
  uint64_t total; /* entries; the same; 0: unknown */

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

static int
eio__tree_ends_in_slash (const char *path)
{
  size_t len = strlen (path);

  return len && path[len - 1] == '/';
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
          if (dir != tree->root || !eio__tree_ends_in_slash (tree->given))
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

/* Nothing more is begun, and it was not stopped from outside. */
static void
eio__tree_end (eio__tree *tree)
{
  tree->stopped = tree->done = 1;
}

static void
eio__tree_add_error (eio__tree *tree, const eio__treedir *dir,
                     const char *name, int error)
{
  if (!tree->error)
    tree->error = error;
  if (tree->kind->moves)
    eio__tree_end (tree); /* the source stays, whatever comes */
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
  ecb_add_count (tree->ndone, 1);
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
eio__tree_is_starved (int error)
{
  return error == EMFILE || error == ENFILE;
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
      && (parent != tree->root || !eio__tree_ends_in_slash (tree->given)))
    --tree->path_len;
  tree->path[tree->path_len] = 0;
}

static void
eio__tree_free_dir (eio__tree *tree, eio__treedir *dir)
{
  if (tree->path_of == dir)
    eio__tree_shorten_path (tree);
  if (dir == tree->dirs)
    tree->dirs = dir->after;
  else
    dir->before->after = dir->after;
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
 * 4  Files                                                                  *
 *                                                                           *
 * A mark stands for a file as it was when it was copied, or for a           *
 * directory. What has no mark is not removed when a tree is moved.          *
 *****************************************************************************/

/* Of when it was used, when it was written, and when it was changed. */
static void
eio__tree_times (const struct stat *st, struct timespec times[3])
{
#ifdef __APPLE__
  times[0] = st->st_atimespec;
  times[1] = st->st_mtimespec;
  times[2] = st->st_ctimespec;
#else
  times[0] = st->st_atim;
  times[1] = st->st_mtim;
  times[2] = st->st_ctim;
#endif
}

static uint64_t
eio__tree_mix (uint64_t hash, uint64_t value)
{
  hash = (hash ^ value) * UINT64_C (0x9e3779b97f4a7c15);
  return hash ^ hash >> 32;
}

static uint64_t
eio__tree_mix_time (uint64_t hash, const struct timespec *time)
{
  hash = eio__tree_mix (hash, (uint64_t)time->tv_sec);
  return eio__tree_mix (hash, (uint64_t)time->tv_nsec);
}

static eio__treeid
eio__tree_id (const struct stat *st)
{
  eio__treeid id;

  id.dev = st->st_dev;
  id.ino = st->st_ino;
  return id;
}

static int
eio__tree_is_same (const eio__treeid *a, const eio__treeid *b)
{
  return a->dev == b->dev && a->ino == b->ino;
}

static int
eio__tree_is_file (const eio__treeid *id, const struct stat *st)
{
  return id->dev == st->st_dev && id->ino == st->st_ino;
}

static uint64_t
eio__tree_hash_id (const eio__treeid *id)
{
  return eio__tree_mix (eio__tree_mix (0, (uint64_t)id->dev),
                        (uint64_t)id->ino);
}

/* Of a name in a directory, and what has it. When a file loses one of its
 * names, that changes its status: of one with several it must not count when
 * that was. Never 0. */
static uint64_t
eio__tree_mark (const eio__treeid *in, const char *name,
                const struct stat *st, int has_names)
{
  uint64_t mark = eio__tree_hash_id (in);
  struct timespec times[3];

  mark = eio__tree_mix (mark, (uint64_t)st->st_dev);
  mark = eio__tree_mix (mark, (uint64_t)st->st_ino);
  mark = eio__tree_mix (mark, S_ISDIR (st->st_mode) ? S_IFDIR : st->st_mode);
  for (; *name; ++name)
    mark = eio__tree_mix (mark, (unsigned char)*name);
  if (S_ISDIR (st->st_mode))
    return mark | 1;

  eio__tree_times (st, times);
  mark = eio__tree_mix (mark, (uint64_t)st->st_size);
  mark = eio__tree_mix (mark, (uint64_t)st->st_uid);
  mark = eio__tree_mix (mark, (uint64_t)st->st_gid);
  mark = eio__tree_mix_time (mark, &times[1]);
  return (has_names ? mark : eio__tree_mix_time (mark, &times[2])) | 1;
}

/* The same, whatever its name is. */
static uint64_t
eio__tree_mark_file (const struct stat *st, int has_names)
{
  static const eio__treeid nowhere;

  return eio__tree_mark (&nowhere, "", st, has_names);
}

/* Where a mark is, or belongs. */
static uint64_t *
eio__tree_find_mark (const eio__tree *tree, uint64_t mark)
{
  size_t i = (size_t)(mark >> 1) & (tree->marks_room - 1);

  while (tree->marks[i] && tree->marks[i] != mark)
    i = (i + 1) & (tree->marks_room - 1);
  return &tree->marks[i];
}

/* Whether it was copied, and is the same still.  [worker] */
static int
eio__tree_is_marked (const eio__tree *tree, const eio__treeid *in,
                     const char *name, const struct stat *st)
{
  return *eio__tree_find_mark (tree, eio__tree_mark (in, name, st, 0))
         || *eio__tree_find_mark (tree, eio__tree_mark (in, name, st, 1));
}

/* Returns -1 when memory is out. */
static int
eio__tree_grow_marks (eio__tree *tree)
{
  uint64_t *old = tree->marks;
  size_t room = tree->marks_room, i;
  uint64_t *marks = calloc (room ? room * 2 : 256, sizeof *marks);

  if (!marks)
    return -1;
  tree->marks = marks;
  tree->marks_room = room ? room * 2 : 256;
  for (i = 0; i < room; ++i)
    if (old[i])
      *eio__tree_find_mark (tree, old[i]) = old[i];
  free (old);
  return 0;
}

/* [poll thread] */
static void
eio__tree_add_mark (eio__tree *tree, const eio__treedir *dir,
                    const char *name, uint64_t mark)
{
  uint64_t *place;

  if (tree->nmarks * 2 >= tree->marks_room && eio__tree_grow_marks (tree))
    {
      eio__tree_add_error (tree, dir, name, ENOMEM);
      return;
    }
  place = eio__tree_find_mark (tree, mark);
  tree->nmarks += !*place;
  *place = mark;
}

/* Finds a file that has several names, or adds it. Returns null when memory is
 * out.  [worker] */
static eio__treefile *
eio__tree_find_file (eio__tree *tree, const eio__treeid *id)
{
  eio__treefile **slot = &tree->files, *file, *mine = 0;
  uint64_t hash = eio__tree_hash_id (id);

  for (;;)
    {
      file = ecb_load_acquire (*slot);
      if (!file)
        {
          if (!mine)
            mine = calloc (1, sizeof *mine);
          if (!mine)
            return 0;
          mine->id = *id;
          if (ecb_cas_seq_cst (*slot, file, mine))
            return mine;
        }
      else if (eio__tree_is_same (&file->id, id))
        break;
      else
        {
          slot = &file->child[hash & 3];
          hash = hash >> 2 | hash << 62;
        }
    }
  free (mine);
  return file;
}

/* And all below it, which is as deep as a logarithm. */
static void
eio__tree_free_files (eio__treefile *file)
{
  int i;

  if (!file)
    return;
  for (i = 0; i < 4; ++i)
    eio__tree_free_files (file->child[i]);
  free (file->path);
  free (file);
}

/*****************************************************************************
 * 5  Reaching a directory [worker]                                          *
 *****************************************************************************/

static void
eio__tree_close_quietly (int fd)
{
  int saved = errno;

  close (fd);
  errno = saved;
}

static void
eio__tree_free_quietly (void *memory)
{
  int saved = errno;

  free (memory);
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

static int
eio__tree_openat (int in, const char *name, int flags)
{
  int fd;

  do
    fd = openat (in, name, flags | O_CLOEXEC, 0600);
  while (fd < 0 && errno == EINTR);
  return fd;
}

/* Of a directory that is no link, unless one is followed. */
static int
eio__tree_open_name (int in, const char *name, int follow)
{
  return eio__tree_openat (in, name,
                           O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY
                             | (follow ? 0 : O_NOFOLLOW));
}

static int
eio__tree_identify (int fd, eio__treeid *id, struct stat *st)
{
  if (fstat (fd, st))
    return -1;
  *id = eio__tree_id (st);
  return 0;
}

/* Opens a directory again, by its name, or by another: ENOENT, or ESTALE for
 * the target, if that is not the same directory any more. */
static int
eio__tree_reopen (const eio__tree *tree, const eio__treedir *dir,
                  const eio__treefds *in, const char *name,
                  eio__treefds *fds)
{
  struct stat st;
  int i;

  *fds = eio__tree_no_fds;
  for (i = 0; i < tree->sides; ++i)
    {
      fds->at[i] = eio__tree_open_name (
          in->at[i], name ? name : eio__tree_name (tree, dir, i),
          dir->link && !i);
      if (fds->at[i] < 0 || fstat (fds->at[i], &st))
        break;
      if (!eio__tree_is_file (&dir->id[i], &st))
        {
          errno = ENOENT;
          break;
        }
    }
  if (i == tree->sides)
    return 0;
  if (i && errno == ENOENT)
    errno = ESTALE; /* the target: that is an error */
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
  eio__tree_free_quietly (way);
  return res;
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
      job->lost = res && !eio__tree_is_starved (errno);
    }
  if (!res)
    job->new_parent_fds = *in;
  return res;
}

/* The job's directory has been found: what the kind does then, and opens what
 * it is copied to, if anything. */
static int
eio__tree_enter (eio__treejob *job, const eio__treefds *in, eio__treefds *fds)
{
  const eio__tree *tree = job->tree;
  const eio__treedir *dir = job->dir;
  struct stat st;

  if (!tree->kind->enter)
    return 0;
  if (!dir->entered && tree->kind->enter (job, in->at[1]))
    return -1;
  job->entered = 1;
  if (tree->sides == 1)
    return 0;
  fds->at[1]
      = eio__tree_open_name (in->at[1], eio__tree_name (tree, dir, 1), 0);
  if (fds->at[1] >= 0 && !eio__tree_identify (fds->at[1], &job->id[1], &st))
    return 0;
  if (errno == ENOENT)
    errno = ESTALE; /* the target: that is an error */
  return -1;
}

/* Opens a directory for the first time, and what it is copied to. */
static int
eio__tree_open_new (eio__treejob *job, const eio__treefds *in,
                    eio__treefds *fds)
{
  const eio__treekind *kind = job->tree->kind;
  eio__treedir *dir = job->dir;
  int res, error;

  *fds = eio__tree_no_fds;
  fds->at[0] = eio__tree_open_name (in->at[0], dir->name, dir->link);
  if (fds->at[0] < 0)
    {
      error = errno;
      res = kind->unopened ? kind->unopened (job, in->at[0], error) : -1;
      errno = res ? error : ENOENT;
      return -1;
    }
  if (!eio__tree_identify (fds->at[0], &job->id[0], &job->st)
      && !eio__tree_enter (job, in, fds))
    return 0;
  eio__tree_close_fds (fds);
  return -1;
}

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

/* Of a job's directory, which is open. */
static const eio__treeid *
eio__tree_id_of (const eio__treejob *job)
{
  return job->dir->opened ? &job->dir->id[0] : &job->id[0];
}

/* Whether a link has led back to a directory above. */
static int
eio__tree_is_loop (const eio__treejob *job)
{
  const eio__treedir *dir = job->dir;

  if (!dir->link || dir->opened)
    return 0;
  for (dir = dir->parent; dir; dir = dir->parent)
    if (eio__tree_is_same (&dir->id[0], &job->id[0]))
      return 1;
  return 0;
}

/*****************************************************************************
 * 6  Reading a directory [worker]                                           *
 *****************************************************************************/

/* A stream takes a descriptor with it, but shares the position. */
static int
eio__tree_open_stream (eio__treejob *job)
{
  int fd;

  do
    fd = fcntl (job->dir_fds.at[0], F_DUPFD_CLOEXEC, 0);
  while (fd < 0 && errno == EINTR);
  if (fd < 0)
    return -1;
  do
    job->stream = fdopendir (fd);
  while (!job->stream && errno == EINTR);
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

static int
eio__tree_is_to_do (const eio__tree *tree, const eio__treeentry *entry)
{
  return entry->fate == EIO__TREE_UNDECIDED
         && tree->kind->wants (tree, entry);
}

static void
eio__tree_work (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  eio__treebatch *batch = job->batch;
  int i;

  for (i = job->from; i < job->to && !EIO_CANCELLED (&job->req); ++i)
    if (eio__tree_is_to_do (tree, &batch->entries[i]))
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
  eio__treebatch *batch = job->spare;
  struct stat *st = batch ? batch->st : 0;
  int st_room = batch ? batch->st_room : 0;

  if (!batch)
    batch = malloc (sizeof *batch);
  if (!batch)
    return 0;
  job->spare = 0;
  memset (batch, 0, offsetof (eio__treebatch, entries));
  batch->dir = job->dir;
  batch->round = job->round;
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
      job->to = batch->n;
      eio__tree_work (job);
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
  int i;

  for (i = 0; i < EIO__TREE_CLOSING; ++i)
    if (job->closing[i] >= 0)
      {
        close (job->closing[i]);
        job->closing[i] = -1;
      }

  req->result = 0;
  switch (job->kind)
    {
    case EIO__TREE_BEGIN:
      if (!job->error && job->tree->kind->begin (job))
        job->error = errno;
      break;
    case EIO__TREE_READ: eio__tree_read (job); break;
    case EIO__TREE_WORK: eio__tree_work (job); break;
    case EIO__TREE_LEAVE: eio__tree_leave (job); break;
    case EIO__TREE_UP:
      if (eio__tree_reach_parent (job, &fds))
        job->error = errno;
      break;
    }
  errno = 0;
}

/*****************************************************************************
 * 7  Going on [poll thread]                                                 *
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
  int i;

  tree->idle = job->next;
  memset (job, 0, sizeof *job);
  job->tree = tree;
  job->kind = kind;
  job->dir = dir;
  job->round = tree->round;
  job->base_fds = job->dir_fds = eio__tree_no_fds;
  job->new_parent_fds = job->new_fds = eio__tree_no_fds;
  for (i = 0; i < EIO__TREE_CLOSING; ++i)
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

/* Of directories, those that have been begun come first: each has a stream
 * open; and before all, if descriptors have run out. */
static void
eio__tree_feed (eio__tree *tree)
{
  while (tree->idle && tree->running < tree->limit
         && !eio__tree_is_over (tree))
    if (tree->slices && !(tree->starved && tree->reading))
      eio__tree_feed_slice (tree);
    else if (tree->reading)
      eio__tree_feed_dir (tree, &tree->reading);
    else if (tree->todo && tree->nwaiting < EIO__TREE_MAXREQ
             && !eio__tree_has_to_wait (tree, tree->todo))
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

  len = dir->parent == tree->path_of
            ? tree->path_len + strlen (dir->name)
                  + (dir->parent != tree->root
                     || !eio__tree_ends_in_slash (tree->given))
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

  if (dir->parent == tree->path_of)
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
    eio__tree_end (tree);
  return res;
}

/* A directory has been found: unless entry does not want it, it will be
 * read. */
static void
eio__tree_found_dir (eio__tree *tree, eio__treedir *parent,
                     const eio__treeentry *entry, const char *name,
                     const struct stat *st, int link)
{
  int later = tree->postorder;
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
  if (entry->mark)
    eio__tree_add_mark (tree, parent, name, entry->mark);
  eio__tree_count (tree);
  if (entry->dirent.type == EIO_DT_DIR)
    eio__tree_found_dir (tree, parent, entry, name, st, link);
  else if (tree->entry)
    eio__tree_tell (tree, parent, &entry->dirent, name, st);
}

static void
eio__tree_queue_batch (eio__tree *tree, eio__treebatch *batch)
{
  batch->next = 0;
  batch->round = tree->round;
  *tree->last_slice = batch;
  tree->last_slice = &batch->next;
}

/* If entries have to be tried again, that is done at once, or, if they only
 * wait for files that others are making, after one has been made. */
static int
eio__tree_put_back (eio__tree *tree, eio__treebatch *batch)
{
  int i = 0;

  while (i < batch->n && !eio__tree_is_to_do (tree, &batch->entries[i]))
    ++i;
  if (i == batch->n || eio__tree_is_over (tree))
    return 0;

  batch->begun = batch->done = i;
  ++batch->dir->jobs;
  ++batch->dir->pins;
  if (batch->round != tree->round || batch->starved)
    eio__tree_queue_batch (tree, batch);
  else
    {
      batch->next = tree->waiting;
      tree->waiting = batch;
      ++tree->nwaiting;
    }
  batch->starved = 0;
  return 1;
}

static void
eio__tree_wake (eio__tree *tree)
{
  eio__treebatch *batch;

  ++tree->round;
  tree->nwaiting = 0;
  while ((batch = tree->waiting))
    {
      tree->waiting = batch->next;
      eio__tree_queue_batch (tree, batch);
    }
}

/* All that was to be done with a batch has been. */
static void
eio__tree_end_batch (eio__tree *tree, eio__treebatch *batch)
{
  int i;

  if (eio__tree_put_back (tree, batch))
    return;
  for (i = 0; i < batch->n && !eio__tree_is_over (tree); ++i)
    {
      eio__treeentry *entry = &batch->entries[i];

      eio__tree_found (tree, batch->dir, entry,
                       batch->names + entry->dirent.nameofs,
                       tree->stat ? &batch->st[i] : 0,
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

/* After the root, that is all, or something else is to be done with it, which
 * is as much again. */
static void
eio__tree_end_root (eio__tree *tree)
{
  eio__treeentry entry;

  tree->root = 0;
  if (!tree->kind->then || tree->error)
    {
      eio__tree_end (tree);
      return;
    }
  tree->kind = tree->kind->then;
  tree->sides = 1;
  ecb_store_count (tree->total, tree->ndone * 2);
  memset (&entry, 0, sizeof entry);
  entry.dirent.type = EIO_DT_DIR;
  eio__tree_found (tree, tree->top, &entry, tree->name, 0, 0);
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

      if (dir->end < EIO__TREE_LEFT && tree->kind->leave
          && (tree->kind->leaves_open ? dir->opened : !dir->failed))
        {
          eio__tree_push (tree, dir, EIO__TREE_LEAVE);
          return;
        }
      if (dir->end < EIO__TREE_TOLD && tree->postorder)
        {
          dir->end = EIO__TREE_TOLD;
          eio__tree_tell_left (tree, dir);
          continue;
        }
      if ((parent->kids > 1 || tree->kind->leaves_open)
          && !eio__tree_is_open (tree, parent)
          && !parent->climbs && dir->fds.at[0] >= 0
          && dir->end < EIO__TREE_CLIMBED)
        {
          dir->end = EIO__TREE_CLIMBED;
          eio__tree_push (tree, dir, EIO__TREE_UP);
          return;
        }

      parent->failed |= dir->failed;
      --parent->kids;
      eio__tree_free_dir (tree, dir);
      if (parent == tree->top)
        eio__tree_end_root (tree);
      dir = parent;
    }
}

/*****************************************************************************
 * 8  Jobs                                                                   *
 *****************************************************************************/

/* If descriptors have run out: what can be closed is, and less will be in
 * flight from now on. Others that have ended meanwhile may have had them, as
 * long as there may be others; and directories that are read to their end
 * need less. Returns 0 if it is of no use to try again. */
static int
eio__tree_retry (eio__tree *tree, const eio__treedir *dir, int error)
{
  int useful = tree->ngarbage || tree->limit > 1;

  if (!eio__tree_is_starved (error))
    return 0;
  tree->may_open = tree->running ? tree->nopen / 2 : 0;
  while (tree->nopen > tree->may_open && eio__tree_evict (tree))
    useful = 1;
  while (tree->ngarbage)
    close (tree->garbage[--tree->ngarbage]);
  tree->limit = tree->running ? tree->running : 1;
  if (tree->running)
    return 1;
  if (tree->reading || dir->stream)
    tree->starved = 0, useful = 1;
  return ++tree->starved < EIO__TREE_RETRIES && useful;
}

/* Entries, too, are tried again, as long as that is of use. */
static void
eio__tree_retry_entries (eio__tree *tree, eio__treejob *job)
{
  eio__treeentry *entry;
  int i, again;

  if (!job->starved)
    return;
  again = eio__tree_retry (tree, job->dir, job->starved);
  job->batch->starved |= again;
  for (i = job->from; i < job->to; ++i)
    {
      entry = &job->batch->entries[i];
      if (entry->fate != EIO__TREE_UNDECIDED || !entry->error)
        continue;
      if (again)
        entry->error = 0;
      else
        entry->fate = EIO__TREE_DONE;
    }
}

/* For the first time. */
static void
eio__tree_opened (eio__tree *tree, eio__treejob *job)
{
  eio__treedir *dir = job->dir;

  dir->id[0] = job->id[0];
  dir->id[1] = job->id[1];
  dir->opened = 1;
  if (tree->kind->moves)
    eio__tree_add_mark (
        tree, dir, 0,
        eio__tree_mark (&dir->parent->id[0], dir->name, &job->st, 0));
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
  dir->entered |= (unsigned char)job->entered;
  eio__tree_retry_entries (tree, job);
  job->batch = 0;
  if (batch)
    eio__tree_add_batch (tree, batch);

  if (job->error && !batch && eio__tree_retry (tree, dir, job->error))
    {
      eio__tree_push (tree, dir, EIO__TREE_READ);
      return;
    }
  if (job->error == ENOENT && (dir != tree->root || tree->sides == 1))
    dir->end = EIO__TREE_LEFT; /* it has vanished */
  else if (job->error)
    eio__tree_fail (tree, dir, job->error);
  else if (job->foreign && tree->kind->foreign_error)
    eio__tree_fail (tree, dir, tree->kind->foreign_error);
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
      eio__tree_queue_batch (tree, batch);
    }
  if (!dir->listed)
    eio__tree_push (tree, dir, EIO__TREE_READ);
}

static void
eio__tree_end_work (eio__tree *tree, eio__treejob *job)
{
  eio__treebatch *batch = job->batch;

  eio__tree_retry_entries (tree, job);
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

  if (job->lost || (job->error && eio__tree_retry (tree, dir, job->error)))
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
      dir->end = EIO__TREE_LEFT;
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
      eio__tree_end (tree);
      return;
    }

  if (job->moved)
    {
      eio__tree_count (tree);
      eio__tree_end (tree);
      return;
    }

  if (tree->kind->moves)
    tree->flags |= EIO_COPY_EXCL; /* below the root all is new */
  memset (&entry, 0, sizeof entry);
  entry.dirent.type = (unsigned char)eio__tree_mode_type (job->st.st_mode);
  entry.dirent.namelen = (unsigned short)strlen (tree->name);
  entry.dirent.inode = job->st.st_ino;
  tree->dev = job->st.st_dev;
  eio__tree_found (tree, tree->top, &entry, tree->name,
                   tree->stat ? &job->st : 0, job->link);
  if (!tree->root)
    eio__tree_end (tree);
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
  if (!job->error && !job->starved)
    tree->starved = 0;
  if (job->made)
    eio__tree_wake (tree);
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
  int i;

  if (EIO_CANCELLED (req))
    tree->stopped = 1;
  for (i = 0; i < EIO__TREE_CLOSING; ++i)
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
 * 9  Groups                                                                 *
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
  ecb_store_count (tree->total, tree->ndone);
  return tree->cb ? tree->cb (grp) : 0;
}

static void
eio__tree_free (eio__tree *tree)
{
  eio__treebatch *batch;
  unsigned int i;

  while ((batch = tree->batches))
    {
      tree->batches = batch->after;
      eio__tree_free_memory (batch);
    }
  while ((batch = tree->spares))
    {
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
  eio__tree_free_files (tree->files);
  free (tree->marks);
  free (tree->errors);
  free (tree->path);
  free (tree->given);
  free (tree->in);
  free (tree->to_given);
  free (tree->to_in);
  free (tree);
}

static void
eio__tree_destroy (eio_req *grp)
{
  eio__tree_free ((eio__tree *)grp);
}

static const char *
eio__tree_last_name (const char *path, size_t len)
{
  while (len && path[len - 1] != '/')
    --len;
  return path + len;
}

/* Splits a path into what its last name is in, and that name, without slashes
 * at its end, which are in *given. Returns -1 when memory is out. */
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
  eio__tree_free (tree);
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
 * 10  Removing                                                              *
 *****************************************************************************/

/* A path that is no directory is removed as well, unless it ends in a
 * slash. */
static int
eio__rmtree_begin (eio__treejob *job)
{
  const eio__tree *tree = job->tree;

  if (eio__tree_open_top (job)
      || fstatat (job->new_parent_fds.at[0], tree->name, &job->st,
                  AT_SYMLINK_NOFOLLOW))
    return -1;
  if (S_ISDIR (job->st.st_mode))
    return 0;
  if (eio__tree_ends_in_slash (tree->given))
    {
      errno = ENOTDIR;
      return -1;
    }
  return unlinkat (job->new_parent_fds.at[0], tree->name, 0);
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
  .unopened = eio__rmtree_unopened,
  .foreign_error = EXDEV
};

/*****************************************************************************
 * 11  Walking                                                               *
 *****************************************************************************/

/* Of what a link leads to, if it leads anywhere and is to be followed. */
static int
eio__walk_stat (int in, const char *name, int follow, struct stat *st)
{
  if (follow && !fstatat (in, name, st, 0))
    return 0;
  return fstatat (in, name, st, AT_SYMLINK_NOFOLLOW);
}

static int
eio__walk_begin (eio__treejob *job)
{
  const eio__tree *tree = job->tree;

  job->link = tree->follow || eio__tree_ends_in_slash (tree->given);
  job->new_parent_fds.at[0] = AT_FDCWD;
  return eio__walk_stat (AT_FDCWD, tree->name, tree->follow, &job->st);
}

static void
eio__walk_entry (eio__treejob *job, eio__treebatch *batch, int i)
{
  eio__treeentry *entry = &batch->entries[i];
  struct stat buf, *st = &buf;

  if (batch->st)
    st = &batch->st[i];
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
 * 12  Copying [worker]                                                      *
 *                                                                           *
 * The library's own eio_copy follows links, which somebody may put in the   *
 * place of a file; here everything is by descriptor, or refuses links.      *
 *****************************************************************************/

enum
{
  EIO__CPTREE_FD_FLAGS
  = EIO_COPY_ARCHIVE | EIO_COPY_SYNC | EIO_COPY_CLONE_ONLY
};

/* What is not allowed, or not possible there, is left out. */
static int
eio__cptree_forgives (int error)
{
  return error == EPERM || error == ENOSYS || error == ENOTSUP
         || error == EOPNOTSUPP;
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

/* What functions return that copy one entry, beside 0, and -1 with errno. */
enum
{
  EIO__CPTREE_VANISHED = -2,
  EIO__CPTREE_LATER = -3 /* others are making the first copy of the file */
};

/* What is copied: a name in a directory of the source, and of the target. */
typedef struct
{
  int from, to;
  const char *name, *to_name;
  int in; /* a file, open; or -1 */
  int changed; /* since it was copied, under another name */
  struct stat st;
} eio__cptree_item;

/* Has a directory brought to the disk, if that is wanted. */
static int
eio__cptree_sync (const eio__tree *tree, int fd)
{
  return tree->flags & EIO_COPY_SYNC ? fsync (fd) : 0;
}

/* Owner, mode and times of a link, or a special file. */
static int
eio__cptree_name_status (const eio__tree *tree, const eio__cptree_item *item)
{
  const struct stat *from = &item->st;
  const char *name = item->to_name;
  int to = item->to;
  struct timespec times[3];
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
  eio__tree_times (from, times);
  return tree->flags & EIO_COPY_TIMES
                 && utimensat (to, name, times, AT_SYMLINK_NOFOLLOW)
                 && !eio__cptree_forgives (errno)
             ? -1
             : 0;
}

/* After an error of what makes a name: if it is taken, removes what has it,
 * but no directory. Returns 0 if that can be made now. */
static int
eio__cptree_make_room (const eio__tree *tree, int to, const char *name)
{
  struct stat st;

  if (errno != EEXIST || tree->flags & EIO_COPY_EXCL
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
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  int fd = eio__tree_openat (to, name, flags);

  if (fd < 0 && !eio__cptree_make_room (tree, to, name))
    fd = eio__tree_openat (to, name, flags);
  return fd;
}

/* A target that is not complete is removed. */
static int
eio__cptree_file (eio__treejob *job, const eio__cptree_item *item)
{
  eio__tree *tree = job->tree;
  int out = eio__cptree_create (tree, item->to, item->to_name), res, saved;

  if (out < 0)
    return -1;
  res = eio_copy_fd_sync (item->in, out, &item->st,
                          tree->flags & EIO__CPTREE_FD_FLAGS, &job->req,
                          &tree->bytes);
  saved = errno;
  if (close (out) && !res && errno != EINTR)
    {
      saved = errno;
      res = -1;
    }
  if (res)
    unlinkat (item->to, item->to_name, 0);
  errno = saved;
  return res;
}

static int
eio__cptree_link (const eio__tree *tree, const eio__cptree_item *item)
{
  size_t size = item->st.st_size > 0 ? (size_t)item->st.st_size + 2 : 8192;
  char *text = malloc (size);
  ssize_t n;
  int res = -1;

  if (!text)
    return -1;
  n = readlinkat (item->from, item->name, text, size);
  if (n < 0 && (errno == ENOENT || errno == EINVAL))
    res = EIO__CPTREE_VANISHED;
  else if (n == (ssize_t)size)
    errno = ENAMETOOLONG;
  else if (n >= 0)
    {
      text[n] = 0;
      res = symlinkat (text, item->to, item->to_name);
      if (res && !eio__cptree_make_room (tree, item->to, item->to_name))
        res = symlinkat (text, item->to, item->to_name);
    }
  eio__tree_free_quietly (text);
  return res ? res : eio__cptree_name_status (tree, item);
}

static int
eio__cptree_node (const eio__tree *tree, const eio__cptree_item *item)
{
  mode_t mode = (item->st.st_mode & S_IFMT) | 0600;
  int res = mknodat (item->to, item->to_name, mode, item->st.st_rdev);

  if (res && !eio__cptree_make_room (tree, item->to, item->to_name))
    res = mknodat (item->to, item->to_name, mode, item->st.st_rdev);
  return res ? -1 : eio__cptree_name_status (tree, item);
}

static int
eio__cptree_make (eio__treejob *job, const eio__cptree_item *item)
{
  return S_ISREG (item->st.st_mode)   ? eio__cptree_file (job, item)
         : S_ISLNK (item->st.st_mode) ? eio__cptree_link (job->tree, item)
                                      : eio__cptree_node (job->tree, item);
}

/* --- files with several names -------------------------------------------- */

/* The descriptor of what a first copy is in, by names from the root's copy
 * down: links are not followed. */
static int
eio__cptree_open_first (const eio__treejob *job, const eio__treefile *file)
{
  const eio__treedir *root = job->tree->root;
  const char *name = file->path;
  int fd = eio__tree_open_name (
      job->dir == root ? job->dir_fds.at[1] : root->fds.at[1], ".", 0);

  for (; fd >= 0 && name < file->name; name += strlen (name) + 1)
    {
      int next = eio__tree_open_name (fd, name, 0);

      eio__tree_close_quietly (fd);
      fd = next;
    }
  return fd;
}

/* The link may be one to something else that was put there meanwhile. */
static int
eio__cptree_link_first (const eio__treejob *job, const eio__cptree_item *item,
                        const eio__treefile *file)
{
  int in = eio__cptree_open_first (job, file), res;
  struct stat st;

  if (in < 0)
    return -1;
  res = linkat (in, file->name, item->to, item->to_name, 0);
  if (res && !eio__cptree_make_room (job->tree, item->to, item->to_name))
    res = linkat (in, file->name, item->to, item->to_name, 0);
  if (!res)
    res = fstatat (item->to, item->to_name, &st, AT_SYMLINK_NOFOLLOW);
  if (!res && !eio__tree_is_file (&file->copy, &st))
    {
      unlinkat (item->to, item->to_name, 0);
      errno = ESTALE;
      res = -1;
    }
  eio__tree_close_quietly (in);
  return res;
}

/* Sets where the first copy will be, from the root's down. */
static int
eio__cptree_name_first (const eio__treejob *job, const eio__cptree_item *item,
                        eio__treefile *file)
{
  const eio__tree *tree = job->tree;
  size_t skip
      = eio__tree_build_path (tree, job->dir, item->name, 0)
        - eio__tree_build_path (tree, tree->root, item->name, 0)
        + strlen (item->name);
  char *path = eio__tree_make_path (tree, job->dir, item->name), *c;

  if (!path)
    return -1;
  memmove (path, path + strlen (path) - skip, skip + 1);
  for (c = file->name = file->path = path; *c; ++c)
    if (*c == '/')
      {
        *c = 0;
        file->name = c + 1;
      }
  return 0;
}

static int
eio__cptree_make_first (eio__treejob *job, const eio__cptree_item *item,
                        eio__treefile *file)
{
  int res = eio__cptree_name_first (job, item, file);
  struct stat st;

  if (!res)
    res = eio__cptree_make (job, item);
  if (!res)
    res = fstatat (item->to, item->to_name, &st, AT_SYMLINK_NOFOLLOW);
  if (!res)
    {
      file->copy = eio__tree_id (&st);
      file->mark = eio__tree_mark_file (&item->st, 1);
    }
  else
    {
      eio__tree_free_quietly (file->path);
      file->path = 0;
    }

  /* With eio__cptree_shared's load and exchange. */
  ecb_store_release (file->state, res ? EIO__TREE_UNMADE : EIO__TREE_MADE);
  job->made = 1;
  return res;
}

/* Whether it is no fault that there is no link. */
static int
eio__cptree_needs_no_link (int error)
{
  return error == EMLINK || error == EXDEV || error == EACCES
         || error == ENOENT || error == ESTALE || error == ENOTDIR
         || error == ELOOP || eio__cptree_forgives (error);
}

/* One of the names of a file: the first becomes a file, the others links to
 * that, or files of their own where links cannot be. */
static int
eio__cptree_shared (eio__treejob *job, eio__cptree_item *item)
{
  const eio__treeid id = eio__tree_id (&item->st);
  eio__treefile *file = eio__tree_find_file (job->tree, &id);
  int state = EIO__TREE_UNMADE;

  if (!file)
    return -1;
  while (state == EIO__TREE_UNMADE)
    if (ecb_cas_seq_cst (file->state, state, EIO__TREE_MAKING))
      return eio__cptree_make_first (job, item, file);
  if (state == EIO__TREE_MAKING)
    return EIO__CPTREE_LATER;
  (void)ecb_load_acquire (file->state);
  if (!eio__cptree_link_first (job, item, file))
    {
      item->changed = file->mark != eio__tree_mark_file (&item->st, 1);
      return 0;
    }
  return eio__cptree_needs_no_link (errno) ? eio__cptree_make (job, item) : -1;
}

/* --- entries ------------------------------------------------------------- */

/* Looks at what is to be copied, and opens a file, without waiting for anybody.
 * What is no file any more has vanished. */
static int
eio__cptree_look (eio__cptree_item *item, int type)
{
  int res = EIO__CPTREE_VANISHED;

  item->in = -1;
  item->changed = 0;
  if (type != EIO_DT_REG)
    {
      if (fstatat (item->from, item->name, &item->st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? EIO__CPTREE_VANISHED : -1;
      if (!S_ISREG (item->st.st_mode))
        return 0;
    }
  item->in = eio__tree_openat (item->from, item->name,
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (item->in < 0)
    return errno == ENOENT || errno == ELOOP ? EIO__CPTREE_VANISHED : -1;
  if (fstat (item->in, &item->st))
    res = -1;
  else if (S_ISREG (item->st.st_mode))
    return 0;
  eio__tree_close_quietly (item->in);
  return res;
}

/* Copies all but a directory. */
static int
eio__cptree_copy (eio__treejob *job, eio__cptree_item *item, int type)
{
  const eio__tree *tree = job->tree;
  int res = eio__cptree_look (item, type);

  if (res || S_ISDIR (item->st.st_mode))
    return res;
  if (job->dir && item->st.st_nlink > 1
      && (tree->flags & EIO_COPY_ARCHIVE) == EIO_COPY_ARCHIVE)
    res = eio__cptree_shared (job, item);
  else
    res = eio__cptree_make (job, item);
  if (item->in >= 0)
    eio__tree_close_quietly (item->in);
  return res;
}

static void
eio__cptree_entry (eio__treejob *job, eio__treebatch *batch, int i)
{
  eio__treeentry *entry = &batch->entries[i];
  const char *name = batch->names + entry->dirent.nameofs;
  eio__cptree_item item;
  int res;

  item.from = job->dir_fds.at[0];
  item.to = job->dir_fds.at[1];
  item.name = item.to_name = name;
  res = eio__cptree_copy (job, &item, entry->dirent.type);
  if (res == EIO__CPTREE_LATER)
    return;
  if (res == -1)
    entry->error = errno == ENOENT ? ESTALE : errno; /* of the target */
  if (res == -1 && eio__tree_is_starved (errno))
    {
      job->starved = errno;
      return;
    }
  entry->fate
      = res == EIO__CPTREE_VANISHED ? EIO__TREE_GONE : EIO__TREE_DONE;
  if (res)
    return;
  entry->dirent.type = (unsigned char)eio__tree_mode_type (item.st.st_mode);
  if (job->tree->kind->moves && entry->dirent.type != EIO_DT_DIR
      && !item.changed)
    entry->mark = eio__tree_mark (eio__tree_id_of (job), name, &item.st,
                                  item.st.st_nlink > 1);
}

/* What is no directory. */
static int
eio__cptree_begin_file (eio__treejob *job, eio__cptree_item *item)
{
  const eio__tree *tree = job->tree;
  int res;

  item->from = job->new_parent_fds.at[0];
  item->to = job->new_parent_fds.at[1];
  item->name = tree->name;
  item->to_name = tree->to_name;
  res = eio__cptree_copy (job, item, eio__tree_mode_type (job->st.st_mode));
  if (res == EIO__CPTREE_VANISHED
      || (!res && S_ISDIR (item->st.st_mode)))
    {
      errno = ENOENT;
      return -1;
    }
  return res || eio__cptree_sync (tree, item->to) ? -1 : 0;
}

/* Opens what both are in, and looks at the source: the target must not be the
 * same, and only names of directories end in slashes. */
static int
eio__cptree_open (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  const eio__treefds *in = &job->new_parent_fds;
  eio__treeid id;
  struct stat st;

  if (eio__tree_open_top (job)
      || fstatat (in->at[0], tree->name, &job->st, AT_SYMLINK_NOFOLLOW))
    return -1;
  id = eio__tree_id (&job->st);
  if (!fstatat (in->at[1], tree->to_name, &st, AT_SYMLINK_NOFOLLOW)
      && eio__tree_is_file (&id, &st))
    {
      errno = EINVAL;
      return -1;
    }
  errno = ENOTDIR;
  return !S_ISDIR (job->st.st_mode)
                 && (eio__tree_ends_in_slash (tree->given)
                     || eio__tree_ends_in_slash (tree->to_given))
             ? -1
             : 0;
}

static int
eio__cptree_begin (eio__treejob *job)
{
  eio__cptree_item item;

  if (eio__cptree_open (job))
    return -1;
  return S_ISDIR (job->st.st_mode) ? 0 : eio__cptree_begin_file (job, &item);
}

/* Only the root of what is moved may take the place of a directory, which has
 * to be empty. */
static int
eio__cptree_make_dir (const eio__treejob *job, int in, const char *name)
{
  const eio__tree *tree = job->tree;

  if (!mkdirat (in, name, 0700))
    return 0;
  if (errno == EEXIST && job->dir == tree->root && tree->replaces
      && !unlinkat (in, name, AT_REMOVEDIR))
    return mkdirat (in, name, 0700);
  return -1;
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
  if (!eio__cptree_make_dir (job, in, name))
    return 0;
  if (errno == ENOENT)
    errno = ESTALE;
  if (errno != EEXIST || tree->flags & EIO_COPY_EXCL)
    return -1;
  if (!fstatat (in, name, &st, AT_SYMLINK_NOFOLLOW)
      && eio__tree_is_file (&job->id[0], &st))
    {
      errno = EINVAL;
      return -1;
    }
  return 0;
}

static int
eio__cptree_leave (eio__treejob *job, int parent_fd)
{
  const eio__tree *tree = job->tree;
  const eio__treedir *dir = job->dir;

  (void)parent_fd;
  if (dir->st
      && eio_copy_fd_sync (job->dir_fds.at[0], job->dir_fds.at[1], dir->st,
                           tree->flags & EIO__CPTREE_FD_FLAGS, &job->req, 0))
    return -1;
  return dir == tree->root ? eio__cptree_sync (tree, tree->top->fds.at[1]) : 0;
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
 * 13  Moving [worker]                                                       *
 *                                                                           *
 * By a new name, or else by copying and then removing what was copied: the  *
 * marks tell what that is.                                                  *
 *****************************************************************************/

/* Renames to a name that nothing has. Where the system does not see to that,
 * the name is taken first by something that may be replaced: what it is renamed
 * onto is ours, or a directory and empty. */
static int
eio__mvtree_rename_new (const eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  const eio__treefds *in = &job->new_parent_fds;
  int is_dir = S_ISDIR (job->st.st_mode), fd, res;

#if HAVE_RENAMEAT2 && defined SYS_renameat2
  res = (int)syscall (SYS_renameat2, in->at[0], tree->name, in->at[1],
                      tree->to_name, EIO_RENAME_NOREPLACE);
  if (!res || (errno != ENOSYS && errno != EINVAL && errno != EPERM))
    return res;
#endif
  if (is_dir)
    res = mkdirat (in->at[1], tree->to_name, 0700);
  else
    {
      fd = eio__tree_openat (in->at[1], tree->to_name,
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
      res = fd < 0 ? -1 : close (fd);
    }
  if (res)
    return -1;
  res = renameat (in->at[0], tree->name, in->at[1], tree->to_name);
  if (res)
    {
      int saved = errno;

      unlinkat (in->at[1], tree->to_name, is_dir ? AT_REMOVEDIR : 0);
      errno = saved;
    }
  return res;
}

/* Says EBUSY of what is not, or not any more, as it was copied. */
static int
eio__mvtree_check (int is_same)
{
  errno = EBUSY;
  return is_same ? 0 : -1;
}

/* Of what is no directory. */
static int
eio__mvtree_file (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  int in = job->new_parent_fds.at[0];
  eio__cptree_item item;
  struct stat now;

  if (eio__cptree_begin_file (job, &item)
      || fstatat (in, tree->name, &now, AT_SYMLINK_NOFOLLOW)
      || eio__mvtree_check (eio__tree_mark_file (&item.st, 0)
                            == eio__tree_mark_file (&now, 0)))
    return -1;
  return unlinkat (in, tree->name, 0);
}

static int
eio__mvtree_begin (eio__treejob *job)
{
  const eio__tree *tree = job->tree;
  const eio__treefds *in = &job->new_parent_fds;

  if (eio__cptree_open (job))
    return -1;
  if (tree->replaces
          ? renameat (in->at[0], tree->name, in->at[1], tree->to_name)
          : eio__mvtree_rename_new (job))
    {
      if (errno != EXDEV)
        return -1;
      if (S_ISDIR (job->st.st_mode))
        return 0; /* to be copied */
      if (eio__mvtree_file (job))
        return -1;
    }
  job->moved = 1;
  return eio__cptree_sync (tree, in->at[1])
                 || eio__cptree_sync (tree, in->at[0])
             ? -1
             : 0;
}

/* A directory is left to others. */
static void
eio__mvtree_entry (eio__treejob *job, eio__treebatch *batch, int i)
{
  eio__treeentry *entry = &batch->entries[i];
  const char *name = batch->names + entry->dirent.nameofs;
  int in = job->dir_fds.at[0], is_dir = 0;
  struct stat st;
  int res = fstatat (in, name, &st, AT_SYMLINK_NOFOLLOW);

  entry->fate = EIO__TREE_DONE;
  if (!res)
    {
      is_dir = S_ISDIR (st.st_mode);
      entry->dirent.type = (unsigned char)eio__tree_mode_type (st.st_mode);
    }
  if (!res && !is_dir)
    res = eio__mvtree_check (eio__tree_is_marked (
        job->tree, eio__tree_id_of (job), name, &st));
  if (!res && !is_dir)
    res = unlinkat (in, name, 0);
  if (res && errno == ENOENT)
    entry->fate = EIO__TREE_GONE;
  else if (res)
    entry->error = errno;
}

/* Only what has been copied is entered, and removed. */
static int
eio__mvtree_enter (eio__treejob *job, int in)
{
  const eio__treedir *dir = job->dir;

  (void)in;
  return eio__mvtree_check (eio__tree_is_marked (
      job->tree, &dir->parent->id[0], dir->name, &job->st));
}

static int
eio__mvtree_leave (eio__treejob *job, int parent_fd)
{
  const eio__tree *tree = job->tree;

  if (eio__rmtree_leave (job, parent_fd))
    return -1;
  return job->dir == tree->root ? eio__cptree_sync (tree, parent_fd) : 0;
}

static const eio__treekind eio__mvtree_rest = {
  .entry = eio__mvtree_entry,
  .wants = eio__rmtree_wants,
  .enter = eio__mvtree_enter,
  .leave = eio__mvtree_leave,
  .foreign_error = EXDEV
};

static const eio__treekind eio__mvtree_kind = {
  .begin = eio__mvtree_begin,
  .entry = eio__cptree_entry,
  .wants = eio__rmtree_wants,
  .enter = eio__cptree_enter,
  .leave = eio__cptree_leave,
  .leaves_open = 1,
  .unopened = eio__walk_unopened,
  .foreign_error = EXDEV,
  .moves = 1,
  .then = &eio__mvtree_rest
};

/*****************************************************************************
 * 14  Public functions                                                      *
 *****************************************************************************/

static int
eio__tree_path_error (const char *path)
{
  return !path ? EINVAL : !*path ? ENOENT : 0;
}

static eio_req *
eio__cptree_start (const eio__treekind *kind, const char *path,
                   const char *new_path, int flags, unsigned int maxreq,
                   eio_cb cb, void *data)
{
  const int known = EIO__CPTREE_FD_FLAGS | EIO_COPY_EXCL | EIO_TREE_XDEV;
  eio__tree *tree = eio__tree_make (kind, path, new_path ? new_path : "",
                                    maxreq, cb, data);
  int error = eio__tree_path_error (path);

  if (!tree)
    return 0;
  if (!error)
    error = eio__tree_path_error (new_path);
  if (!error
      && (!*tree->name || !*tree->to_name || flags & ~known
          || (kind->moves && (eio__tree_is_dot (tree->name)
                              || eio__tree_is_dot (tree->to_name)))))
    error = EINVAL;
  tree->flags = flags | (kind->moves ? EIO_COPY_ARCHIVE : 0);
  tree->replaces = kind->moves && !(flags & EIO_COPY_EXCL);
  tree->xdev = flags & EIO_TREE_XDEV;
  return eio__tree_start (tree, error);
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
  return eio__cptree_start (&eio__cptree_kind, path, new_path, flags, maxreq,
                            cb, data);
}

eio_req *
eio_mvtree (const char *path, const char *new_path, int flags,
            unsigned int maxreq, eio_cb cb, void *data)
{
  return eio__cptree_start (&eio__mvtree_kind, path, new_path, flags, maxreq,
                            cb, data);
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
  tree->stat = flags & EIO_WALK_STAT;
  tree->postorder = flags & EIO_WALK_POSTORDER;
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
  progress->entries_done = ecb_load_count (tree->ndone);
  progress->bytes_done = ecb_load_count (tree->bytes);
  progress->entries_total = ecb_load_count (tree->total);
  if (progress->entries_total)
    progress->bytes_total = progress->bytes_done;
  return 0;
}
