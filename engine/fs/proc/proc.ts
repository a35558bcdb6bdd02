/**
 * procfs (proc(5)): the tree of its nodes.
 *
 * `self` and `thread-self` are links whose text names the reader. Process directories are looked up by
 * number and listed by rising pid; a thread that leads no process is found by number but not listed, as
 * in Linux.
 */
import { PROC_MAGIC } from '../../abi/mount.ts';
import { S_IFDIR, S_IFREG } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { current } from '../../kernel/current.ts';
import { lock_tasklist, unlock_tasklist } from '../../kernel/kernel.ts';
import { find_task, next_tid } from '../../kernel/pid.ts';
import { Task } from '../../kernel/task.layout.ts';
import { ThreadGroup } from '../../kernel/thread_group.layout.ts';
import { File } from '../../vfs/file.layout.ts';
import { FILE_KIND_DIRECTORY, FILE_KIND_PROC } from '../../vfs/file.ts';
import { INODE_KIND_PROC } from '../../vfs/inode.ts';
import { FS_PROC } from '../../vfs/super.ts';
import { Inode } from '../../vfs/vfs.layout.ts';
import {
  constant,
  directory,
  type EntrySink,
  file,
  link,
  number_tree,
  type PseudoNode,
  type Subject,
} from '../pseudo/node.ts';
import { type PseudoFilesystem, pseudo_create, pseudo_entry, register_pseudo } from '../pseudo/pseudo.ts';
import { config_gz } from './config.ts';
import { CWD, EXE, FD_DIRECTORY, FDINFO_DIRECTORY, ROOT } from './fd.ts';
import { maps, statm } from './maps.ts';
import { check_access, check_maps, open_mem, transfer_mem } from './mem.ts';
import { MOUNT_CHANGES, mountinfo, mounts } from './mounts.ts';
import { NAMESPACES } from './namespaces.ts';
import { smaps, smaps_rollup } from './smaps.ts';
import {
  auxv,
  cmdline,
  comm,
  environ,
  limits,
  oom_score_adj,
  personality,
  stat,
  status,
  timer_slack,
  write_comm,
  write_oom_score_adj,
} from './status.ts';
import { peek, type T, task_exists, task_owner } from './subject.ts';
import { SYSCTL } from './sysctl.ts';
import { cpuinfo, filesystems, loadavg, meminfo, system_stat, tty_drivers, uptime, version, vmstat } from './system.ts';
import { SYSVIPC } from './sysvipc.ts';

const NUMBER_BASE = 1;

function task_file(name: string, read: (subject: Subject) => string | number, mode = 0o444): PseudoNode {
  return { ...file(name, read, mode), owner: task_owner };
}

function writable(node: PseudoNode, write: (subject: Subject, text: string) => number): PseudoNode {
  return { ...node, mode: S_IFREG | 0o644, write };
}

/** Opened by those who may look into the process's memory. */
function of_memory(node: PseudoNode, open = check_access): PseudoNode {
  return { ...node, open };
}

/** What a process and a thread directory have in common. */
const COMMON: readonly PseudoNode[] = [
  of_memory(task_file('auxv', auxv, 0o400)),
  task_file('cgroup', () => '0::/\n'),
  task_file('cmdline', cmdline),
  writable(task_file('comm', comm), write_comm),
  CWD,
  of_memory(task_file('environ', environ, 0o400)),
  EXE,
  FD_DIRECTORY,
  FDINFO_DIRECTORY,
  task_file('gid_map', () => '         0          0 4294967295\n'),
  task_file('limits', limits),
  task_file('loginuid', () => '4294967295'),
  of_memory(task_file('maps', maps), check_maps),
  { name: 'mem', mode: S_IFREG | 0o600, owner: task_owner, open: open_mem, transfer: transfer_mem },
  { ...task_file('mountinfo', mountinfo), changes: MOUNT_CHANGES },
  { ...task_file('mounts', mounts), changes: MOUNT_CHANGES },
  NAMESPACES,
  task_file('oom_score', () => '0\n'),
  writable(task_file('oom_score_adj', oom_score_adj), write_oom_score_adj),
  task_file('personality', personality, 0o400),
  ROOT,
  task_file('sessionid', () => '4294967295'),
  task_file('setgroups', () => 'allow\n'),
  of_memory(task_file('smaps', smaps), check_maps),
  of_memory(task_file('smaps_rollup', smaps_rollup), check_maps),
  task_file('statm', statm),
  task_file('status', status),
  task_file('uid_map', () => '         0          0 4294967295\n'),
  task_file('wchan', () => '0'),
];

/** The smallest tid >= `from` of a task that `wanted` takes, or 0. */
function next_task(from: number, wanted: (task: T, tid: number) => boolean): number {
  lock_tasklist();
  let tid = next_tid(from);
  while (tid !== 0 && !wanted(find_task(tid), tid)) tid = next_tid(tid + 1);
  unlock_tasklist();
  return tid;
}

/** The smallest pid >= `from` that leads a process, or 0. */
function next_process(from: number): number {
  return next_task(from, (task, tid) => ThreadGroup.tgid.get(Task.group.get(task)) === tid);
}

/** The smallest tid >= `from` of the subject's process, or 0. */
function next_thread(subject: Subject, from: number): number {
  const tgid = peek(subject, 0, (task) => ThreadGroup.tgid.get(Task.group.get(task)));
  return tgid === 0 ? 0 : next_task(from, (task) => ThreadGroup.tgid.get(Task.group.get(task)) === tgid);
}

function number_from(name: string): number {
  return /^[1-9][0-9]{0,6}$/.test(name) ? Number(name) : 0;
}

const THREAD: PseudoNode = {
  name: '',
  mode: S_IFDIR | 0o555,
  owner: task_owner,
  children: [...COMMON, task_file('stat', (subject) => stat(subject, false))],
};

/** /proc/PID/task: the threads of the process. */
const TASKS: PseudoNode = {
  name: 'task',
  mode: S_IFDIR | 0o555,
  owner: task_owner,
  others: [THREAD],
  lookup(name, subject) {
    const tid = number_from(name);
    if (tid === 0 || next_thread(subject, tid) !== tid) return null;
    return { node: THREAD, subject: { tid, item: -1 } };
  },
  list(cookie, subject, sink) {
    for (let tid = next_thread(subject, cookie); tid !== 0; tid = next_thread(subject, tid + 1))
      if (!sink(String(tid), { node: THREAD, subject: { tid, item: -1 } }, tid)) return;
  },
};

const PROCESS: PseudoNode = {
  name: '',
  mode: S_IFDIR | 0o555,
  owner: task_owner,
  children: [
    ...COMMON,
    task_file('stat', (subject) => stat(subject, true)),
    TASKS,
    task_file('timerslack_ns', timer_slack, 0o444),
  ],
};

function self_tgid(): number {
  return current === 0 ? 0 : ThreadGroup.tgid.get(Task.group.get(current));
}

const ROOT_NODE: PseudoNode = {
  ...directory('', [
    file('cmdline', () => 'tvisor\n'),
    file('config.gz', config_gz),
    file('cpuinfo', cpuinfo),
    constant('devices', 'Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:'),
    file('filesystems', filesystems),
    file('loadavg', loadavg),
    file('meminfo', meminfo),
    file('modules', () => ''),
    link('mounts', () => 'self/mounts'),
    link('self', () => String(self_tgid())),
    file('stat', system_stat),
    file('swaps', () => 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'),
    SYSCTL,
    SYSVIPC,
    directory('tty', [file('drivers', tty_drivers)]),
    link('thread-self', () => `${self_tgid()}/task/${current === 0 ? 0 : Task.tid.get(current)}`),
    file('uptime', uptime),
    file('version', version),
    file('vmstat', vmstat),
  ]),
  others: [PROCESS],
  lookup(name) {
    const tid = number_from(name);
    if (tid === 0 || !task_exists({ tid, item: -1 })) return null;
    return { node: PROCESS, subject: { tid, item: -1 } };
  },
  list(cookie: number, _subject: Subject, sink: EntrySink): void {
    for (let tid = next_process(cookie); tid !== 0; tid = next_process(tid + 1))
      if (!sink(String(tid), { node: PROCESS, subject: { tid, item: -1 } }, tid)) return;
  },
};

number_tree(ROOT_NODE, NUMBER_BASE);

const PROC: PseudoFilesystem = {
  name: 'proc',
  magic: PROC_MAGIC,
  fs_kind: FS_PROC,
  inode_kind: INODE_KIND_PROC,
  file_kind: FILE_KIND_PROC,
  root: ROOT_NODE,
};
register_pseudo(PROC);

/** The process whose directory in /proc is open as `file`: its number, 0 for any other file. */
export function process_of_directory(file: Ptr<'File'>): number {
  const inode = File.kind.get(file) === FILE_KIND_DIRECTORY ? File.inode.get(file) : (0 as Ptr<'Inode'>);
  if (inode === 0 || Inode.kind.get(inode) !== INODE_KIND_PROC) return 0;
  const { node, subject } = pseudo_entry(inode);
  return node === PROCESS ? subject.tid : 0;
}

/** A procfs superblock with one reference, or -ENOMEM. */
export function procfs_create(): number {
  return pseudo_create(PROC);
}
