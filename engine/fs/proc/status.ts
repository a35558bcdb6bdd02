/** /proc/PID/stat, status, limits, io and the small files that tell of one task. */
import { EINVAL } from '../../abi/errno.ts';
import { RLIM_INFINITY, RLIM_NLIMITS } from '../../abi/resource.ts';
import { encode_dev, make_dev } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_read } from '../../heap/bytes.ts';
import { I32, U32 } from '../../heap/memory.ts';
import { group_cpu_ns, task_cpu_ns } from '../../kernel/cpu_time.ts';
import { Credentials } from '../../kernel/credentials.layout.ts';
import { current } from '../../kernel/current.ts';
import { Files } from '../../kernel/files.layout.ts';
import { lock_tasklist, unlock_tasklist } from '../../kernel/kernel.ts';
import { group_rlimit, group_rlimit_hard } from '../../kernel/limits.ts';
import { pgid_of, session_of, sid_of } from '../../kernel/process_group.ts';
import { PendingSignals } from '../../kernel/signal.layout.ts';
import { action_handler, lock_signals, unlock_signals } from '../../kernel/signal.ts';
import { TASK_BLOCKED, TASK_STATE_MASK, TASK_STOPPED, TASK_ZOMBIE, Task } from '../../kernel/task.layout.ts';
import { parent_pid, set_task_comm, task_comm } from '../../kernel/task.ts';
import { Session, ThreadGroup } from '../../kernel/thread_group.layout.ts';
import { MM_AUXV_BYTES, Mm } from '../../mm/mm.layout.ts';
import { copy_in_mm } from '../../mm/uaccess.ts';
import { FsContext } from '../../vfs/vfs.layout.ts';
import type { Subject } from '../pseudo/node.ts';
import { PTS_MAJOR, Tty } from '../tty/tty.layout.ts';
import { resident_pages } from './maps.ts';
import { type T, with_credentials, with_files, with_fs, with_mm, with_page, with_task } from './subject.ts';

const NS_PER_TICK = 1e7;

const STATE_NAMES: Readonly<Record<string, string>> = {
  R: 'running',
  S: 'sleeping',
  T: 'stopped',
  Z: 'zombie',
};

function state_letter(task: T): string {
  const state = Task.state.load(task) & TASK_STATE_MASK;
  if (state === TASK_BLOCKED) return 'S';
  if (state === TASK_STOPPED) return 'T';
  return state >= TASK_ZOMBIE ? 'Z' : 'R';
}

/** Place in the process tree, and the device number and foreground group of the terminal. */
interface Place {
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  readonly tty: number;
  readonly foreground: number;
}

/** Zeros for a process that has left the tree; 0 and -1 for one without a terminal. */
function tree_of(group: Ptr<'ThreadGroup'>): Place {
  const ppid = parent_pid(group);
  lock_tasklist();
  const member = ThreadGroup.process_group.get(group) !== 0;
  const tty = (member ? Session.terminal.get(session_of(group)) : 0) as Ptr<'Tty'>;
  const place = {
    ppid,
    pgid: member ? pgid_of(group) : 0,
    sid: member ? sid_of(group) : 0,
    tty: tty === 0 ? 0 : encode_dev(make_dev(PTS_MAJOR, Tty.number.get(tty))),
    foreground: tty === 0 ? -1 : Tty.foreground.get(tty),
  };
  unlock_tasklist();
  return place;
}

interface Signals {
  ignored_lo: number;
  ignored_hi: number;
  caught_lo: number;
  caught_hi: number;
}

function signals_of(group: Ptr<'ThreadGroup'>): Signals {
  const found = { ignored_lo: 0, ignored_hi: 0, caught_lo: 0, caught_hi: 0 };
  if (ThreadGroup.sighand.get(group) === 0) return found;
  // An exec gives its process actions of its own and drops those it shared.
  lock_signals(group);
  for (let signo = 1; signo <= 64; signo++) {
    const handler = action_handler(group, signo);
    const bit = 1 << ((signo - 1) & 31);
    if (handler === 0) continue;
    if (handler === 1 && signo <= 32) found.ignored_lo |= bit;
    else if (handler === 1) found.ignored_hi |= bit;
    else if (signo <= 32) found.caught_lo |= bit;
    else found.caught_hi |= bit;
  }
  unlock_signals(group);
  return found;
}

function ticks(ns: number): number {
  return Math.floor(ns / NS_PER_TICK);
}

/** /proc/PID/stat (proc_pid_stat(5)): 52 fields. */
export function stat(subject: Subject, whole_group: boolean): string | number {
  return with_task(subject, (task) => {
    const group = Task.group.get(task);
    const place = tree_of(group);
    const signals = signals_of(group);
    const cpu = ticks(whole_group ? group_cpu_ns(group) : task_cpu_ns(task));
    const mm = with_mm(task, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], (m) => [
      Mm.total_vm.get(m) * 4096,
      resident_pages(m),
      Mm.start_code.get(m),
      Mm.end_code.get(m),
      Mm.start_stack.get(m),
      Mm.start_data.get(m),
      Mm.end_data.get(m),
      Mm.start_brk.get(m),
      Mm.arg_start.get(m),
      Mm.arg_end.get(m),
      Mm.env_start.get(m),
      Mm.env_end.get(m),
    ]);
    const pending = Task.pending.at(task);
    const fields = [
      [place.ppid, place.pgid, place.sid, place.tty, place.foreground, 0],
      [Task.minor_faults.get(task), 0, 0, 0],
      [cpu, 0, ticks(ThreadGroup.children_cpu_ns.get(group)), 0],
      [20 + Task.nice.get(task), Task.nice.get(task), ThreadGroup.live.load(group), 0],
      [ticks(Task.start_ns.get(task)), mm[0], mm[1], '18446744073709551615'],
      [mm[2], mm[3], mm[4], 0, 0],
      [
        PendingSignals.set.lo(pending),
        Task.blocked_signals.lo(task),
        signals.ignored_lo >>> 0,
        signals.caught_lo >>> 0,
      ],
      [0, 0, 0, ThreadGroup.exit_signal.get(group), Math.max(0, Task.vcpu.get(task)), 0, 0, 0, 0, 0],
      [mm[5], mm[6], mm[7], mm[8], mm[9], mm[10], mm[11], Task.exit_code.get(task)],
    ];
    return `${Task.tid.get(task)} (${task_comm(task)}) ${state_letter(task)} ${fields.flat().join(' ')}\n`;
  });
}

function mask(hi: number, lo: number): string {
  return (hi >>> 0).toString(16).padStart(8, '0') + (lo >>> 0).toString(16).padStart(8, '0');
}

function kilobytes(pages: number): string {
  return `${String(Math.max(0, pages) * 4).padStart(8)} kB`;
}

function memory_lines(task: T): string {
  return with_mm(task, '', (mm) => {
    const rss = resident_pages(mm);
    const text = Math.ceil(Mm.end_code.get(mm) / 4096) - Math.floor(Mm.start_code.get(mm) / 4096);
    return [
      `VmPeak:\t${kilobytes(Math.max(Mm.hiwater_vm.get(mm), Mm.total_vm.get(mm)))}`,
      `VmSize:\t${kilobytes(Mm.total_vm.get(mm))}`,
      `VmLck:\t${kilobytes(Mm.locked_vm.get(mm))}`,
      `VmPin:\t${kilobytes(0)}`,
      `VmHWM:\t${kilobytes(Math.max(Mm.hiwater_rss.get(mm), rss))}`,
      `VmRSS:\t${kilobytes(rss)}`,
      `RssAnon:\t${kilobytes(Mm.rss_anon.get(mm))}`,
      `RssFile:\t${kilobytes(Mm.rss_file.get(mm))}`,
      `RssShmem:\t${kilobytes(Mm.rss_shmem.get(mm))}`,
      `VmData:\t${kilobytes(Mm.data_vm.get(mm))}`,
      `VmStk:\t${kilobytes(Mm.stack_vm.get(mm))}`,
      `VmExe:\t${kilobytes(text)}`,
      `VmLib:\t${kilobytes(Mm.exec_vm.get(mm) - text)}`,
      `VmPTE:\t${kilobytes(0)}`,
      `VmSwap:\t${kilobytes(0)}`,
      '',
    ].join('\n');
  });
}

function credential_lines(task: T): string {
  const fd_size = with_files(task, 0, (files) => Math.max(64, Math.ceil(Files.end.get(files) / 64) * 64));
  return with_credentials(task, '', (c) => {
    const groups: number[] = [];
    for (let i = 0; i < Credentials.group_count.get(c); i++)
      groups.push(U32[(Credentials.groups.at(c) >> 2) + i] as number);
    const uids = [Credentials.uid, Credentials.euid, Credentials.suid, Credentials.fsuid].map((f) => f.get(c));
    const gids = [Credentials.gid, Credentials.egid, Credentials.sgid, Credentials.fsgid].map((f) => f.get(c));
    const ids = `Uid:\t${uids.join('\t')}\nGid:\t${gids.join('\t')}\n`;
    return `${ids}FDSize:\t${fd_size}\nGroups:\t${groups.join(' ')} \n`;
  });
}

function capability_lines(task: T): string {
  const sets = [
    ['CapInh', Credentials.cap_inheritable],
    ['CapPrm', Credentials.cap_permitted],
    ['CapEff', Credentials.cap_effective],
    ['CapBnd', Credentials.cap_bounding],
    ['CapAmb', Credentials.cap_ambient],
  ] as const;
  return with_credentials(task, '', (c) => {
    const lines = sets.map(([name, field]) => `${name}:\t${mask(field.hi(c), field.lo(c))}`);
    return `${lines.join('\n')}\nNoNewPrivs:\t${Credentials.no_new_privs.get(c)}\n`;
  });
}

/** /proc/PID/status (proc_pid_status(5)). */
export function status(subject: Subject): string | number {
  return with_task(subject, (task) => {
    const group = Task.group.get(task);
    const place = tree_of(group);
    const letter = state_letter(task);
    const own = Task.pending.at(task);
    const shared = ThreadGroup.pending.at(group);
    const signals = signals_of(group);
    const umask = with_fs(task, 0, (fs) => FsContext.umask.get(fs));
    return [
      `Name:\t${task_comm(task)}`,
      `Umask:\t${umask.toString(8).padStart(4, '0')}`,
      `State:\t${letter} (${STATE_NAMES[letter]})`,
      `Tgid:\t${ThreadGroup.tgid.get(group)}\nNgid:\t0\nPid:\t${Task.tid.get(task)}\nPPid:\t${place.ppid}\nTracerPid:\t0`,
      `${credential_lines(task)}${memory_lines(task)}Threads:\t${ThreadGroup.live.load(group)}`,
      `SigQ:\t0/${group_rlimit(group, 11)}`,
      `SigPnd:\t${mask(PendingSignals.set.hi(own), PendingSignals.set.lo(own))}`,
      `ShdPnd:\t${mask(PendingSignals.set.hi(shared), PendingSignals.set.lo(shared))}`,
      `SigBlk:\t${mask(Task.blocked_signals.hi(task), Task.blocked_signals.lo(task))}`,
      `SigIgn:\t${mask(signals.ignored_hi, signals.ignored_lo)}`,
      `SigCgt:\t${mask(signals.caught_hi, signals.caught_lo)}`,
      `${capability_lines(task)}Seccomp:\t0\nCpus_allowed:\t${mask(0, Task.affinity.lo(task)).slice(8)}`,
      `voluntary_ctxt_switches:\t${Task.voluntary_switches.get(task)}`,
      `nonvoluntary_ctxt_switches:\t${Task.involuntary_switches.get(task)}`,
      '',
    ].join('\n');
  });
}

const LIMITS: readonly (readonly [string, string])[] = [
  ['Max cpu time', 'seconds'],
  ['Max file size', 'bytes'],
  ['Max data size', 'bytes'],
  ['Max stack size', 'bytes'],
  ['Max core file size', 'bytes'],
  ['Max resident set', 'bytes'],
  ['Max processes', 'processes'],
  ['Max open files', 'files'],
  ['Max locked memory', 'bytes'],
  ['Max address space', 'bytes'],
  ['Max file locks', 'locks'],
  ['Max pending signals', 'signals'],
  ['Max msgqueue size', 'bytes'],
  ['Max nice priority', ''],
  ['Max realtime priority', ''],
  ['Max realtime timeout', 'us'],
];

function limit_text(value: number): string {
  return (value >= RLIM_INFINITY ? 'unlimited' : String(value)).padEnd(20);
}

/** /proc/PID/limits. */
export function limits(subject: Subject): string | number {
  return with_task(subject, (task) => {
    const group = Task.group.get(task);
    let out = `${'Limit'.padEnd(25)} ${'Soft Limit'.padEnd(20)} ${'Hard Limit'.padEnd(20)} Units     \n`;
    for (let i = 0; i < RLIM_NLIMITS; i++) {
      const [name, unit] = LIMITS[i] as readonly [string, string];
      const soft = limit_text(group_rlimit(group, i));
      out += `${name.padEnd(25)} ${soft} ${limit_text(group_rlimit_hard(group, i))} ${unit.padEnd(10)}\n`;
    }
    return out;
  });
}

/** A range of the task's memory as text; at most 128 KiB, cut where it cannot be read. */
function memory_text(task: T, from: number, to: number): string {
  return with_mm(task, '', (mm) =>
    with_page('', (page) => {
      let out = '';
      const end = Math.min(to, from + 0x2_0000);
      for (let at = from; at < end; at += 4096) {
        const n = Math.min(4096, end - at);
        if (copy_in_mm(mm, page, at, n) < 0) break;
        out += bytes_read(page, n);
      }
      return out;
    }),
  );
}

/** /proc/PID/cmdline: the argument strings; a process that overwrote their end has one string. */
export function cmdline(subject: Subject): string | number {
  return with_task(subject, (task) => {
    const [start, end] = with_mm(task, [0, 0], (mm) => [Mm.arg_start.get(mm), Mm.arg_end.get(mm)]);
    return memory_text(task, start ?? 0, end ?? 0);
  });
}

/** /proc/PID/environ. */
export function environ(subject: Subject): string | number {
  return with_task(subject, (task) => {
    const [start, end] = with_mm(task, [0, 0], (mm) => [Mm.env_start.get(mm), Mm.env_end.get(mm)]);
    return memory_text(task, start ?? 0, end ?? 0);
  });
}

/** /proc/PID/auxv, up to and with AT_NULL. */
export function auxv(subject: Subject): string | number {
  return with_task(subject, (task) =>
    with_mm(task, '', (mm) => {
      const at = Mm.auxv.at(mm);
      let length = 0;
      while (length < MM_AUXV_BYTES && (I32[(at + length) >> 2] !== 0 || I32[(at + length + 4) >> 2] !== 0))
        length += 16;
      return bytes_read(at, Math.min(MM_AUXV_BYTES, length + 16));
    }),
  );
}

/** /proc/PID/comm. */
export function comm(subject: Subject): string | number {
  return with_task(subject, (task) => `${task_comm(task)}\n`);
}

/** Writing comm renames a thread of the writer's own process. */
export function write_comm(subject: Subject, text: string): number {
  return with_task(subject, (task) => {
    if (Task.group.get(task) !== Task.group.get(current)) return -EINVAL;
    set_task_comm(task, text.replace(/\n$/, '').slice(0, 15));
    return 0;
  });
}

/** /proc/PID/personality (personality(2)). */
export function personality(subject: Subject): string | number {
  return with_task(subject, (task) => `${mask(0, Task.personality.get(task)).slice(8)}\n`);
}

/** /proc/PID/timerslack_ns. */
export function timer_slack(subject: Subject): string | number {
  return with_task(subject, (task) => `${Task.timer_slack.get(task)}\n`);
}

/** /proc/PID/oom_score_adj. */
export function oom_score_adj(subject: Subject): string | number {
  return with_task(subject, (task) => `${ThreadGroup.oom_score_adj.get(Task.group.get(task))}\n`);
}

/** Takes -1000 to 1000; -EINVAL for anything else. */
export function write_oom_score_adj(subject: Subject, text: string): number {
  const value = Number(text.trim());
  if (!Number.isInteger(value) || value < -1000 || value > 1000) return -EINVAL;
  return with_task(subject, (task) => {
    ThreadGroup.oom_score_adj.set(Task.group.get(task), value);
    return 0;
  });
}
