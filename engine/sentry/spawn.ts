/**
 * Starting a root process from the host: what fork and execve do for every other one. Runs on the host's
 * thread, with the task made but not yet runnable; the first vCPU that looks finds it.
 */
import { E2BIG, EACCES, ENOENT, ENOMEM, ENOTDIR } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import { type HostTerminal, host_terminal_control } from '../fs/hostio/terminal.ts';
import { U64 } from '../heap/memory.ts';
import { credentials_create, credentials_put } from '../kernel/credentials.ts';
import { fd_install } from '../kernel/fd_table.ts';
import { files_create, files_put } from '../kernel/files.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { find_task } from '../kernel/pid.ts';
import { enqueue } from '../kernel/scheduler.ts';
import { siginfo_kernel } from '../kernel/siginfo.ts';
import { send_to_group } from '../kernel/signal.ts';
import { Task } from '../kernel/task.layout.ts';
import { create_root_task, set_task_comm } from '../kernel/task.ts';
import { ProcessGroup, ThreadGroup } from '../kernel/thread_group.layout.ts';
import { with_string } from '../loader/image.ts';
import { load_program, type Program } from '../loader/load.ts';
import { check_strings } from '../loader/stack.ts';
import { CpuState, RSP } from '../machine/cpu.layout.ts';
import { mm_put } from '../mm/address_space.ts';
import { file_put } from '../vfs/file.ts';
import { fs_context_create, fs_context_put, fs_set_cwd } from '../vfs/fs_context.ts';
import { vfs_open_exec } from '../vfs/open.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, PathContext, path_walk } from '../vfs/path.ts';
import { module_path_ref } from '../vfs/path_ref.ts';
import { vfs_root } from '../vfs/root.ts';
import { Mount, VfsRoot } from '../vfs/vfs.layout.ts';

const DEFAULT_STACK_LIMIT = 8 << 20;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ProcessRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly umask: number;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Descriptors 0, 1, 2...; one reference each is taken over, whatever the outcome. */
  readonly files: readonly Ptr<'File'>[];
  /** The controlling terminal of its session. */
  readonly terminal: HostTerminal | null;
}

/** What went wrong, for a message: the errno and the thing it is about. */
export interface SpawnFailure {
  readonly errno: number;
  readonly what: 'cwd' | 'command' | 'memory';
}

const encoder = new TextEncoder();
const place = module_path_ref();

/** Starts a process; its pid, or the failure. */
export function spawn_root(request: ProcessRequest): number | SpawnFailure {
  const credentials = credentials_create(request.uid, request.gid, request.groups);
  const root_mount = VfsRoot.root_mount.get(vfs_root());
  const fs = fs_context_create(root_mount, Mount.root.get(root_mount), request.umask);
  const files = files_create();
  const context = new PathContext();
  context.fs = fs;
  context.credentials = credentials;
  const undo = (failure: SpawnFailure): SpawnFailure => {
    if (files !== 0) files_put(files);
    if (fs !== 0) fs_context_put(fs);
    if (credentials !== 0) credentials_put(credentials);
    return failure;
  };
  let installed = files !== 0;
  for (const file of request.files) {
    if (installed) installed = fd_install(files, file, 0) >= 0;
    else file_put(file);
  }
  if (!installed || fs === 0 || credentials === 0) return undo({ errno: ENOMEM, what: 'memory' });
  const moved = change_directory(context, request.cwd);
  if (moved !== 0) return undo({ errno: -moved, what: 'cwd' });
  const program = find_and_load(context, request);
  if (typeof program === 'number') return undo({ errno: -program, what: 'command' });
  const task = create_root_task({ mm: program.mm, files, fs, credentials });
  if (task === 0) {
    mm_put(program.mm);
    return undo({ errno: ENOMEM, what: 'memory' });
  }
  const cpu = Task.cpu.get(task);
  CpuState.rip.set(cpu, program.rip);
  U64[(CpuState.gpr.at(cpu) >> 3) + RSP] = BigInt(program.rsp);
  set_task_comm(task, base_name(request.argv[0] ?? ''));
  const pid = Task.tid.get(task);
  if (request.terminal !== null) host_terminal_control(request.terminal, task);
  enqueue(task);
  return pid;
}

function base_name(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function change_directory(context: PathContext, cwd: string): number {
  context.start = 0 as Ptr<'File'>;
  const walked = with_string(encoder.encode(cwd), (path) =>
    path_walk(context, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, place),
  );
  if (walked === 0) fs_set_cwd(context.fs, place);
  return walked;
}

/** As execvp(3): a name without a slash is looked for in PATH; what may not be executed is passed over. */
function find_and_load(context: PathContext, request: ProcessRequest): Program | number {
  const [name = ''] = request.argv;
  if (name.includes('/') || name === '') return load(context, request, name);
  let refused = -ENOENT;
  for (const folder of (request.env.PATH ?? DEFAULT_PATH).split(':')) {
    const found = load(context, request, folder === '' ? name : `${folder}/${name}`);
    if (typeof found !== 'number') return found;
    if (found === -EACCES) refused = found;
    else if (found !== -ENOENT && found !== -ENOTDIR) return found;
  }
  return refused;
}

function load(context: PathContext, request: ProcessRequest, path: string): Program | number {
  const filename = encoder.encode(path);
  const argv = request.argv.map((text) => encoder.encode(text));
  const envp = Object.entries(request.env).map(([name, value]) => encoder.encode(`${name}=${value}`));
  if (check_strings(filename, argv, envp, DEFAULT_STACK_LIMIT) !== 0) return -E2BIG;
  context.start = 0 as Ptr<'File'>;
  const file = with_string(filename, (address) => vfs_open_exec(context, address, true));
  if (file < 0) return file;
  const program = load_program({
    file: file as Ptr<'File'>,
    filename,
    argv,
    envp,
    context,
    credentials: context.credentials,
    stack_limit: DEFAULT_STACK_LIMIT,
    unreachable: false,
  });
  file_put(file as Ptr<'File'>);
  return program;
}

/**
 * Sends a signal to the process group that root process `pid` leads; with `everything`, to every process below
 * it too.
 */
export function kill_root(pid: number, signo: number, everything: boolean): void {
  lock_tasklist();
  const task = find_task(pid);
  if (task !== 0) {
    const group = Task.group.get(task);
    if (everything) kill_below(group, signo);
    else {
      const process_group = ThreadGroup.process_group.get(group);
      let member = ProcessGroup.members.get(process_group);
      for (; member !== 0; member = ThreadGroup.member_next.get(member))
        send_to_group(member, signo, siginfo_kernel(signo));
    }
  }
  unlock_tasklist();
}

function kill_below(group: Ptr<'ThreadGroup'>, signo: number): void {
  let child = ThreadGroup.children.get(group);
  for (; child !== 0; child = ThreadGroup.sibling_next.get(child)) kill_below(child, signo);
  send_to_group(group, signo, siginfo_kernel(signo));
}
