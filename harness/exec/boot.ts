/**
 * The executor's machine: a memory file system as root, no host, a virtual clock, seeded chance; and in it one
 * process, ready to run programs.
 *
 * The process is root, or with the sandbox 'setuid' nobody, in a directory of its own on a tmpfs of its own, with
 * descriptors 0 to 2 on /dev/null, the data area at DATA_BASE between two pages without access, and a stack for each
 * of its threads that only signal handlers use.
 */

import { O_RDWR } from '../../engine/abi/fcntl.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE } from '../../engine/abi/mman.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { anon_attributes_boot } from '../../engine/fs/anon/attributes.ts';
import { anon_root } from '../../engine/fs/anon/root.ts';
import { boot_mounts } from '../../engine/fs/boot_mounts.ts';
import { tmpfs_create } from '../../engine/fs/tmpfs/memory_super.ts';
import { tty_root } from '../../engine/fs/tty/tty.ts';
import { boot_memory } from '../../engine/heap/boot.ts';
import { slab } from '../../engine/heap/slab.ts';
import { credentials_create, credentials_put } from '../../engine/kernel/credentials.ts';
import { fd_install } from '../../engine/kernel/fd_table.ts';
import { files_create } from '../../engine/kernel/files.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { create_root_task, set_task_comm } from '../../engine/kernel/task.ts';
import { with_string } from '../../engine/loader/image.ts';
import { mm_create } from '../../engine/mm/address_space.ts';
import { do_mmap } from '../../engine/mm/mmap.ts';
import { ProgramState } from '../../engine/platform/program/program.layout.ts';
import {
  program_enter,
  program_stack,
  program_state,
  set_program_state,
} from '../../engine/platform/program/program.ts';
import { boot_sentry } from '../../engine/sentry/boot.ts';
import { enter_machine } from '../../engine/sentry/machine.ts';
import { socket_root } from '../../engine/socket/root.ts';
import { File } from '../../engine/vfs/file.layout.ts';
import { fs_context_create, fs_context_put, fs_set_cwd } from '../../engine/vfs/fs_context.ts';
import { mount_attach, mount_detach, mounts_each } from '../../engine/vfs/mount.ts';
import { vfs_mkdir } from '../../engine/vfs/namei.ts';
import { vfs_open } from '../../engine/vfs/open.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, PathContext, path_walk } from '../../engine/vfs/path.ts';
import { PathRef } from '../../engine/vfs/path_ref.ts';
import { vfs_boot, vfs_root } from '../../engine/vfs/root.ts';
import { Mount, SuperBlock, VfsRoot } from '../../engine/vfs/vfs.layout.ts';
import { DATA_BASE, DATA_SIZE } from '../prog/model.ts';

export interface ExecutorConfig {
  /** Who runs the programs: root, or a user without rights. Default 'none'. */
  readonly sandbox?: 'none' | 'setuid';
  /** That user's numbers; default nobody's. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Red zones, poison and quarantine round records; default true. */
  readonly sanitize?: boolean;
  /** Kernel heap and guest RAM, multiples of 64 KiB; default 2 MiB and 64 MiB. */
  readonly heap_bytes?: number;
  readonly ram_bytes?: number;
}

/** Tasks that may exist at once. */
const TASK_LIMIT = 64;
const SHADOW_BYTES = 4 << 20;
/** Most bytes that each tmpfs may hold. */
const TMPFS_BYTES = 2 << 20;
const DIRECTORY = '/fuzz';
const NOBODY = { uid: 65534, gid: 65534 };
const ROOT = { uid: 0, gid: 0 };
const STACKS_BASE = 0x7fff_0000_0000;
const STACK_BYTES = 0x4000;
/** Threads that the executor makes for one program, the first included. */
export const MAX_THREADS = 16;
const PAGE = 4096;

const program_states = slab(ProgramState);

function need(result: number, what: string): number {
  if (result <= 0) throw new Error(`the executor's machine cannot boot: ${what} (${result})`);
  return result;
}

/** Boots a machine without a process. Throws a RangeError when its memory cannot be had. */
export function boot_exec_machine(config: ExecutorConfig): WebAssembly.Memory {
  const memory = boot_memory({
    vcpus: 1,
    heap_bytes: config.heap_bytes ?? 2 << 20,
    ram_bytes: config.ram_bytes ?? 64 << 20,
    sanitize: config.sanitize ?? true,
    shadow_bytes: SHADOW_BYTES,
  });
  enter_machine(memory);
  boot_sentry({ hostname: 'tvisor', persistent: true, task_limit: TASK_LIMIT, time: { clock: 'virtual', seed: 0 } });
  vfs_boot();
  const failure = boot_mounts({ memory_limit: TMPFS_BYTES });
  if (failure !== null) throw new Error(`the executor's machine cannot boot: ${failure.path} (${failure.error})`);
  // Made at first use otherwise, which would look like a leak.
  anon_root();
  anon_attributes_boot();
  socket_root();
  tty_root();
  const state = need(program_states.alloc(), 'no heap');
  set_program_state(state as Ptr<'ProgramState'>);
  mount_directory(user_of(config));
  return memory;
}

/** A view of the tree as root. */
function root_context(): PathContext {
  const context = new PathContext();
  const mount = VfsRoot.root_mount.get(vfs_root());
  context.credentials = credentials_create(0, 0);
  context.fs = fs_context_create(mount, Mount.root.get(mount), 0);
  return context;
}

function at_path(text: string, use: (address: number) => number): number {
  return with_string(new TextEncoder().encode(text), use);
}

/** Who runs the programs. */
function user_of({ sandbox, user }: ExecutorConfig): typeof ROOT {
  return sandbox === 'setuid' ? (user ?? NOBODY) : ROOT;
}

/** The file system that programs start in. */
function mount_directory({ uid, gid }: typeof ROOT): void {
  const context = root_context();
  at_path(DIRECTORY, (path) => vfs_mkdir(context, path, 0o755));
  const sb = need(tmpfs_create({ mode: 0o777, uid, gid, size: TMPFS_BYTES }), 'tmpfs');
  const place = new PathRef();
  at_path(DIRECTORY, (path) => path_walk(context, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, place));
  const root = SuperBlock.root.get(sb as Ptr<'SuperBlock'>);
  ProgramState.directory.set(program_state(), sb as Ptr<'SuperBlock'>);
  need(mount_attach(sb as Ptr<'SuperBlock'>, root, 0, place.mount, place.dentry, 'fuzz'), DIRECTORY);
  place.put();
  fs_context_put(context.fs);
  credentials_put(context.credentials);
}

/** Unmounts what `mount_directory` has mounted, and all below it, if it is still there. */
export function unmount_directory(): void {
  let found = 0 as Ptr<'Mount'>;
  mounts_each((mount) => {
    if (Mount.sb.get(mount) === ProgramState.directory.get(program_state())) found = mount;
  });
  if (found !== 0) mount_detach(found, 0, true);
}

/** Makes the process, before the first call of a program and not yet runnable: its task. */
export function make_exec_process(config: ExecutorConfig): Ptr<'Task'> {
  const context = root_context();
  const files = files_create();
  const opened: Ptr<'File'>[] = [];
  for (let fd = 0; fd < 3; fd++) {
    const file = need(
      at_path('/dev/null', (path) => vfs_open(context, path, O_RDWR, 0)),
      '/dev/null',
    ) as Ptr<'File'>;
    fd_install(files, file, 0);
    opened.push(file);
  }
  const place = new PathRef();
  at_path(DIRECTORY, (path) => path_walk(context, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, place));
  fs_set_cwd(context.fs, place);
  let credentials = context.credentials;
  if (config.sandbox === 'setuid') {
    credentials_put(credentials);
    const { uid, gid } = user_of(config);
    credentials = credentials_create(uid, gid);
  }
  const mm = mm_create();
  map_program(mm);
  const task = create_root_task({ mm, files, fs: context.fs, credentials });
  need(task, 'no heap for the process');
  // As if it had opened them itself.
  for (const file of opened) File.opener.set(file, Task.credentials_number.get(task));
  set_task_comm(task, 'fuzz');
  const cpu = Task.cpu.get(task);
  program_enter(cpu, 0, false);
  point_at_stack(cpu, 0);
  return task;
}

function map_program(mm: Ptr<'Mm'>): void {
  const map = (address: number, length: number, rights: number): void => {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    need(do_mmap(mm, address, length, rights, flags, 0 as Ptr<'File'>, 0), 'the data area');
  };
  map(DATA_BASE - PAGE, PAGE, 0);
  map(DATA_BASE, DATA_SIZE, 7);
  map(DATA_BASE + DATA_SIZE, PAGE, 0);
  map(STACKS_BASE, MAX_THREADS * STACK_BYTES, 3);
}

/** Gives a task the stack of the program's thread number `thread`. */
export function point_at_stack(cpu: Ptr<'CpuState'>, thread: number): void {
  program_stack(cpu, STACKS_BASE + (thread + 1) * STACK_BYTES);
}
