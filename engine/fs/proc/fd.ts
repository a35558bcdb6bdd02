/** /proc/PID/fd, fdinfo, exe, cwd, root: magic links to what a task has open. */
import { ENOENT, ENXIO } from '../../abi/errno.ts';
import { FMODE_READ, FMODE_WRITE, O_CLOEXEC } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_read } from '../../heap/bytes.ts';
import { current } from '../../kernel/current.ts';
import { fd_flags, files_lookup, files_next } from '../../kernel/fd_table.ts';
import { Task } from '../../kernel/task.layout.ts';
import { Mm } from '../../mm/mm.layout.ts';
import { mm_lock, mm_unlock } from '../../mm/mm_lock.ts';
import { d_path, file_path } from '../../vfs/d_path.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_INOTIFY, FILE_KIND_PIPE, file_get, file_put } from '../../vfs/file.ts';
import { fs_cwd, fs_root } from '../../vfs/fs_context.ts';
import { PathRef } from '../../vfs/path_ref.ts';
import { Mount } from '../../vfs/vfs.layout.ts';
import { pipe_place } from '../anon/fifo.ts';
import { inotify_lines } from '../anon/inotify.ts';
import type { Entry, EntrySink, PseudoNode, Subject } from '../pseudo/node.ts';
import { peek, task_owner, with_files, with_fs, with_mm, with_page, with_task } from './subject.ts';

const NO_FS = 0 as Ptr<'FsContext'>;
const NO_FILE = 0 as Ptr<'File'>;

/** Runs `body` with the file behind the subject's descriptor, referenced; -ENOENT when there is none. */
function with_fd<R>(subject: Subject, body: (file: Ptr<'File'>, files: Ptr<'Files'>) => R): R | number {
  return with_task(subject, (task) =>
    with_files<R | number>(task, -ENOENT, (files) => {
      const file = files_lookup(files, subject.item);
      if (file === 0) return -ENOENT;
      const result = body(file, files);
      file_put(file);
      return result;
    }),
  );
}

function path_text(file: Ptr<'File'>): string | number {
  return with_page<string | number>(-ENOENT, (page) => {
    const length = file_path(NO_FS, file, page, 4096);
    return length < 0 ? length : bytes_read(page, length);
  });
}

/** A pipe is opened again like a FIFO, on the reader's root mount. */
function follow_pipe(file: Ptr<'File'>, out: PathRef): number {
  const place = new PathRef();
  fs_root(Task.fs.get(current), place);
  const result = pipe_place(File.object.get(file) as Ptr<'Pipe'>, place.mount, out);
  place.put();
  return result;
}

function follow_file(file: Ptr<'File'>, out: PathRef): number {
  const dentry = File.dentry.get(file);
  if (dentry === 0) return File.kind.get(file) === FILE_KIND_PIPE ? follow_pipe(file, out) : -ENXIO;
  out.set(File.mount.get(file), dentry);
  return 0;
}

/**
 * The subject's lowest descriptor from `from` on, or -1. No reference is taken, since its last holder would close
 * files under the tree lock: a task keeps its table for as long as the tasklist lock is held.
 */
function next_descriptor(subject: Subject, from: number): number {
  return peek(subject, -1, (task) => {
    const files = Task.files.get(task);
    return files === 0 ? -1 : files_next(files, from);
  });
}

/** The entries of a directory whose names are the task's descriptors. */
function descriptors(node: () => PseudoNode): Pick<PseudoNode, 'lookup' | 'list'> {
  return {
    lookup(name: string, subject: Subject): Entry | null {
      const fd = /^(0|[1-9][0-9]{0,6})$/.test(name) ? Number(name) : -1;
      if (fd < 0 || next_descriptor(subject, fd) !== fd) return null;
      return { node: node(), subject: { tid: subject.tid, item: fd } };
    },
    list(cookie: number, subject: Subject, sink: EntrySink): void {
      for (let fd = next_descriptor(subject, cookie); fd >= 0; fd = next_descriptor(subject, fd + 1))
        if (!sink(String(fd), { node: node(), subject: { tid: subject.tid, item: fd } }, fd)) return;
    },
  };
}

/** The link's permissions tell how the file is open (proc_pid_fd(5)). */
function link_permissions(subject: Subject): number {
  const mode = with_fd(subject, (file) => File.mode.get(file));
  if (typeof mode !== 'number' || mode < 0) return 0o700;
  return ((mode & FMODE_READ) !== 0 ? 0o500 : 0) | ((mode & FMODE_WRITE) !== 0 ? 0o300 : 0);
}

const FD_LINK: PseudoNode = {
  name: '',
  mode: S_IFLNK | 0o700,
  permissions: link_permissions,
  owner: task_owner,
  link: (subject) => with_fd(subject, path_text),
  follow: (subject, out) => with_fd(subject, (file) => follow_file(file, out)),
};

/** What fdinfo tells of a file (proc_pid_fdinfo(5)). */
function fdinfo(subject: Subject): string | number {
  return with_fd(subject, (file, files) => {
    const cloexec = fd_flags(files, subject.item) === 1 ? O_CLOEXEC : 0;
    const flags = (File.flags.get(file) | cloexec).toString(8);
    const mount = File.mount.get(file);
    const watches = File.kind.get(file) === FILE_KIND_INOTIFY ? inotify_lines(file) : '';
    return `pos:\t${File.position.get(file)}\nflags:\t0${flags}\nmnt_id:\t${mount === 0 ? 0 : Mount.id.get(mount)}\n${watches}`;
  });
}

const FDINFO: PseudoNode = { name: '', mode: S_IFREG | 0o400, owner: task_owner, read: fdinfo };

export const FD_DIRECTORY: PseudoNode = {
  name: 'fd',
  mode: S_IFDIR | 0o500,
  owner: task_owner,
  others: [FD_LINK],
  ...descriptors(() => FD_LINK),
};

export const FDINFO_DIRECTORY: PseudoNode = {
  name: 'fdinfo',
  mode: S_IFDIR | 0o555,
  owner: task_owner,
  others: [FDINFO],
  ...descriptors(() => FDINFO),
};

/** The task's executable, referenced, or 0. */
function executable(subject: Subject): Ptr<'File'> {
  const file = with_task(subject, (task) =>
    with_mm(task, NO_FILE, (mm) => {
      mm_lock(mm);
      const exe = Mm.exe_file.get(mm);
      if (exe !== 0) file_get(exe);
      mm_unlock(mm);
      return exe;
    }),
  );
  return Math.max(file, 0) as Ptr<'File'>;
}

function with_executable(subject: Subject, body: (file: Ptr<'File'>) => string | number): string | number {
  const file = executable(subject);
  if (file === 0) return -ENOENT;
  const result = body(file);
  file_put(file);
  return result;
}

export const EXE: PseudoNode = {
  name: 'exe',
  mode: S_IFLNK | 0o777,
  owner: task_owner,
  link: (subject) => with_executable(subject, path_text),
  follow: (subject, out) => with_executable(subject, (file) => follow_file(file, out)) as number,
};

/** A link to a place that the task's FsContext keeps. */
function place_link(name: string, fetch: (fs: Ptr<'FsContext'>, out: PathRef) => void): PseudoNode {
  return {
    name,
    mode: S_IFLNK | 0o777,
    owner: task_owner,
    link: (subject) =>
      with_task(subject, (task) =>
        with_fs<string | number>(task, -ENOENT, (fs) => {
          const place = new PathRef();
          fetch(fs, place);
          const text = with_page<string | number>(-ENOENT, (page) => {
            const length = d_path(NO_FS, place.mount, place.dentry, page, 4096);
            return length < 0 ? length : bytes_read(page, length);
          });
          place.put();
          return text;
        }),
      ),
    follow: (subject, out) =>
      with_task(subject, (task) =>
        with_fs(task, -ENOENT, (fs) => {
          fetch(fs, out);
          return 0;
        }),
      ),
  };
}

export const CWD = place_link('cwd', fs_cwd);
export const ROOT = place_link('root', fs_root);
