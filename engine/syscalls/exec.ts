/**
 * execve(2) and execveat(2): reads the strings, loads the program (loader/load.ts), ends the other threads and
 * becomes the program (kernel/exec.ts).
 */

import { E2BIG, EBADF, EFAULT, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, NO_RESULT } from '../abi/errno.ts';
import { RLIMIT_STACK } from '../abi/resource.ts';
import { SIGSEGV } from '../abi/signal.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_zero } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { U8 } from '../heap/memory.ts';
import { arg_i32, arg_u64 } from '../kernel/args.ts';
import { credentials_put } from '../kernel/credentials.ts';
import { current } from '../kernel/current.ts';
import { exec_abandon, exec_commit, exec_dethread, exec_keep, exec_unshare_files } from '../kernel/exec.ts';
import { exec_credentials } from '../kernel/exec_credentials.ts';
import { fd_file, fd_flags } from '../kernel/fd_table.ts';
import { rlimit } from '../kernel/limits.ts';
import { siginfo_kernel } from '../kernel/siginfo.ts';
import { force_signal } from '../kernel/signal_delivery.ts';
import { Task } from '../kernel/task.layout.ts';
import { set_task_comm } from '../kernel/task.ts';
import { LOAD_KILLED, load_program } from '../loader/load.ts';
import { check_strings, MAX_ARG_STRLEN } from '../loader/stack.ts';
import { copy_in_string, get_user_u64 } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { file_put } from '../vfs/file.ts';
import { vfs_open_exec } from '../vfs/open.ts';
import { PathContext } from '../vfs/path.ts';
import { Inode, MOUNT_NOSUID, Mount } from '../vfs/vfs.layout.ts';
import { full, type SyscallRow } from './row.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const S_ISUID = 0o4000;
const S_ISGID_EXECUTABLE = 0o2010;
const PAGE = 4096;
/** Pointers in one array: more cannot fit their strings' limit. */
const MAX_POINTERS = 1 << 20;

/** Reads a NUL-terminated user string, through the kernel page `page`: bytes without the NUL, or -errno. */
function read_string(uaddr: number, page: number): Uint8Array | number {
  const parts: Uint8Array[] = [];
  for (let done = 0; done < MAX_ARG_STRLEN; done += PAGE) {
    const n = copy_in_string(uaddr + done, page, PAGE);
    if (n < 0 && n !== -ENAMETOOLONG) return n;
    parts.push(U8.slice(page, page + (n < 0 ? PAGE : n)));
    if (n < 0) continue;
    if (parts.length === 1) return parts[0] as Uint8Array;
    const whole = new Uint8Array(done + n);
    for (let i = 0; i < parts.length; i++) whole.set(parts[i] as Uint8Array, i * PAGE);
    return whole;
  }
  return -E2BIG;
}

/** Reads a NULL-terminated array of strings; a null array is empty, as in Linux. */
function read_strings(uaddr: number, page: number): Uint8Array[] | number {
  const strings: Uint8Array[] = [];
  let total = 0;
  for (let i = 0; uaddr !== 0; i++) {
    const pointer = get_user_u64(uaddr + i * 8);
    if (pointer < 0) return -EFAULT;
    if (pointer === 0) break;
    const string = read_string(pointer, page);
    if (typeof string === 'number') return string;
    total += string.length + 9;
    if (i > MAX_POINTERS || total > 8 << 20) return -E2BIG;
    strings.push(string);
  }
  return strings;
}

/** Opens the file to run; the path is in the kernel page `page`. A File, or -errno. */
function open_program(context: PathContext, page: number, dirfd: number, flags: number): number {
  if (U8[page] === 0 && (flags & AT_EMPTY_PATH) === 0) return -ENOENT;
  context.fs = Task.fs.get(current);
  context.credentials = Task.credentials.get(current);
  context.start = 0 as Ptr<'File'>;
  if (dirfd !== AT_FDCWD && U8[page] !== 0x2f) {
    const start = fd_file(dirfd);
    if (start === 0) return -EBADF;
    context.start = start;
  }
  return vfs_open_exec(context, page, (flags & AT_SYMLINK_NOFOLLOW) === 0);
}

/** Credentials for the file, by its set-ID bits. */
function credentials_for(file: Ptr<'File'>): Ptr<'Credentials'> {
  const inode = File.inode.get(file);
  const mode = Inode.mode.get(inode);
  const mount = File.mount.get(file);
  const honoured = mount === 0 || (Mount.flags.load(mount) & MOUNT_NOSUID) === 0;
  const uid = honoured && (mode & S_ISUID) !== 0 ? Inode.uid.get(inode) : -1;
  const gid = honoured && (mode & S_ISGID_EXECUTABLE) === S_ISGID_EXECUTABLE ? Inode.gid.get(inode) : -1;
  return exec_credentials(uid, gid);
}

/** Loads the program and keeps it in the task: 0, LOAD_KILLED or -errno. */
function prepare(dirfd: number, path_at: number, argv_at: number, envp_at: number, flags: number): number {
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const result = prepare_with_page(page, dirfd, path_at, argv_at, envp_at, flags);
  heap_page_free(page);
  return result;
}

function prepare_with_page(
  page: number,
  dirfd: number,
  path_at: number,
  argv_at: number,
  envp_at: number,
  flags: number,
): number {
  const path = read_string(path_at, page);
  if (typeof path === 'number') return path === -E2BIG ? -ENAMETOOLONG : path;
  if (path.length >= PAGE) return -ENAMETOOLONG;
  U8.set(path, page);
  U8[page + path.length] = 0;
  const context = new PathContext();
  const file = open_program(context, page, dirfd, flags) as Ptr<'File'>;
  if (file < 0) return file;
  const argv = read_strings(argv_at, page);
  const envp = typeof argv === 'number' ? argv : read_strings(envp_at, page);
  let result = typeof envp === 'number' ? envp : 0;
  if (typeof argv !== 'number' && typeof envp !== 'number') {
    // An empty argv gets one empty string, as since Linux 5.18.
    if (argv.length === 0) argv.push(new Uint8Array(0));
    result = load(context, file, program_name(path, dirfd), argv, envp, closes(dirfd, path));
  }
  file_put(file);
  return result;
}

/** bprm->filename: the path, or /dev/fd/N for what a descriptor names. */
function program_name(path: Uint8Array, dirfd: number): Uint8Array {
  if (dirfd === AT_FDCWD || path[0] === 0x2f) return path;
  const prefix = new TextEncoder().encode(`/dev/fd/${dirfd}${path.length === 0 ? '' : '/'}`);
  const name = new Uint8Array(prefix.length + path.length);
  name.set(prefix);
  name.set(path, prefix.length);
  return name;
}

/** Whether the file is named through a descriptor that exec closes: a script's interpreter could not open it. */
function closes(dirfd: number, path: Uint8Array): boolean {
  return dirfd !== AT_FDCWD && path[0] !== 0x2f && fd_flags(Task.files.get(current), dirfd) === 1;
}

function load(
  context: PathContext,
  file: Ptr<'File'>,
  filename: Uint8Array,
  argv: readonly Uint8Array[],
  envp: readonly Uint8Array[],
  unreachable: boolean,
): number {
  const stack_limit = rlimit(RLIMIT_STACK);
  const too_big = check_strings(filename, argv, envp, stack_limit);
  if (too_big !== 0) return too_big;
  const unshared = exec_unshare_files();
  if (unshared !== 0) return unshared;
  const credentials = credentials_for(file);
  if (credentials === 0) return -ENOMEM;
  const program = load_program({ file, filename, argv, envp, context, credentials, stack_limit, unreachable });
  if (typeof program === 'number') {
    credentials_put(credentials);
    return program;
  }
  exec_keep(program.mm, program.rip, program.rsp, credentials);
  const base = filename.subarray(filename.lastIndexOf(0x2f) + 1, filename.lastIndexOf(0x2f) + 16);
  keep_name(base);
  return 0;
}

/** The name that the thread gets when the exec succeeds, kept in the handler's own words of the task. */
function keep_name(bytes: Uint8Array): void {
  const at = Task.exec_comm.at(current);
  bytes_zero(at, 16);
  U8.set(bytes.subarray(0, 15), at);
}

function exec(dirfd: number, path_at: number, argv_at: number, envp_at: number, flags: number): number {
  if (Task.syscall_phase.get(current) === 0) {
    const prepared = prepare(dirfd, path_at, argv_at, envp_at, flags);
    if (prepared === LOAD_KILLED) {
      force_signal(SIGSEGV, siginfo_kernel(SIGSEGV), true);
      return NO_RESULT;
    }
    if (prepared !== 0) return prepared;
    Task.syscall_phase.set(current, 1);
  }
  const result = exec_dethread();
  if (result === 0) {
    exec_commit();
    const at = Task.exec_comm.at(current);
    let name = '';
    for (let i = 0; i < 15 && U8[at + i] !== 0; i++) name += String.fromCharCode(U8[at + i] as number);
    set_task_comm(current, name);
    return NO_RESULT;
  }
  if (result > -0x1000) exec_abandon();
  return result;
}

function sys_execve(): number {
  return exec(AT_FDCWD, arg_u64(0), arg_u64(1), arg_u64(2), 0);
}

function sys_execveat(): number {
  const flags = arg_i32(4);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return exec(arg_i32(0), arg_u64(1), arg_u64(2), arg_u64(3), flags);
}

export const EXEC_ROWS: readonly SyscallRow[] = [
  full(59, 'execve', sys_execve, 'pathname:path', 'argv:strings', 'envp:strings'),
  full(
    322,
    'execveat',
    sys_execveat,
    'dirfd:dirfd',
    'pathname:path',
    'argv:strings',
    'envp:strings',
    'flags:flags(at)',
  ),
];
