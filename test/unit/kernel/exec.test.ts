import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EACCES, EFAULT, ENOENT, ENOEXEC } from '../../../engine/abi/errno.ts';
import { SA_RESTORER, SIG_IGN, SIGUSR1, SIGUSR2 } from '../../../engine/abi/signal.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { tmpfs_create } from '../../../engine/fs/tmpfs/memory_super.ts';
import { current } from '../../../engine/kernel/current.ts';
import { reap_root } from '../../../engine/kernel/exit.ts';
import { action_handler } from '../../../engine/kernel/signal.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { task_comm } from '../../../engine/kernel/task.ts';
import { RSP } from '../../../engine/machine/cpu.layout.ts';
import { get_user_u64, put_user_u8, put_user_u64 } from '../../../engine/mm/uaccess.ts';
import { read_panic } from '../../../engine/sentry/panic.ts';
import { RUN_ENDED, run_vcpu } from '../../../engine/sentry/run.ts';
import { fs_context_get } from '../../../engine/vfs/fs_context.ts';
import { live_counts } from '../../support/counts.ts';
import { CODE, DATA, Script, script_machine, script_platform, spawn } from '../../support/script.ts';
import { boot_vfs, TestSpace } from '../../support/vfs.ts';

const NR = {
  rt_sigaction: 13,
  pause: 34,
  getpid: 39,
  clone: 56,
  fork: 57,
  vfork: 58,
  execve: 59,
  exit: 60,
  wait4: 61,
  gettid: 186,
  exit_group: 231,
};
const THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
const PATH = DATA + 0x1000;
const ARGV = DATA + 0x1100;
const ENVP = DATA + 0x1200;

/** A static ELF program of one page whose entry is a script address. */
function elf(entry: number): string {
  const bytes = new DataView(new ArrayBuffer(0x100));
  [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1].forEach((b, i) => {
    bytes.setUint8(i, b);
  });
  bytes.setUint16(16, 2, true);
  bytes.setUint16(18, 62, true);
  bytes.setUint32(20, 1, true);
  bytes.setBigUint64(24, BigInt(entry), true);
  bytes.setBigUint64(32, 64n, true);
  bytes.setUint16(52, 64, true);
  bytes.setUint16(54, 56, true);
  bytes.setUint16(56, 1, true);
  bytes.setUint32(64, 1, true);
  bytes.setUint32(68, 5, true);
  bytes.setBigUint64(80, BigInt(CODE), true);
  bytes.setBigUint64(96, 0x100n, true);
  bytes.setBigUint64(104, 0x1_0000n, true);
  bytes.setBigUint64(112, 0x1000n, true);
  return String.fromCharCode(...new Uint8Array(bytes.buffer));
}

function put_string(at: number, text: string): void {
  for (let i = 0; i <= text.length; i++) put_user_u8(at + i, i < text.length ? text.charCodeAt(i) : 0);
}

/** Runs execve of `path` with arguments a and bc. */
function exec(s: Script, path: string): void {
  s.do(() => {
    put_string(PATH, path);
    put_string(PATH + 0x80, 'a');
    put_string(PATH + 0x90, 'bc');
    put_user_u64(ARGV, PATH + 0x80);
    put_user_u64(ARGV + 8, PATH + 0x90);
    put_user_u64(ARGV + 16, 0);
    put_user_u64(ENVP, 0);
  });
  s.call(NR.execve, PATH, ARGV, ENVP);
}

/** Runs the script in a machine whose /prog enters it at `entry`; everything must be freed. */
function run(s: Script, entry: () => number): number {
  script_machine();
  boot_vfs();
  const space = new TestSpace(tmpfs_create({}) as Ptr<'SuperBlock'>);
  space.save('/prog', elf(entry()));
  space.chmod('/prog', 0o755);
  space.save('/text', 'no program');
  space.chmod('/text', 0o755);
  space.save('/plain', elf(CODE));
  space.chmod('/plain', 0o644);
  const boot = live_counts();
  const task = spawn(CODE);
  Task.fs.set(task, fs_context_get(space.context.fs));
  const end = run_vcpu(0, script_platform(s), false);
  assert.is(read_panic(), '');
  assert.is(end, RUN_ENDED);
  const status = reap_root(1);
  const left = live_counts();
  // The page cache keeps what was read of the program.
  for (const name of ['frames', 'Mapping', 'MappingNode', 'Dentry', 'Inode'])
    for (const counts of [boot, left]) delete counts[name];
  assert.equal(left, boot);
  return status;
}

test('execve starts a new program with its arguments, default handlers and a new name', () => {
  const seen: unknown[] = [];
  const s = new Script();
  let entry = 0;
  for (const [signo, handler] of [
    [SIGUSR1, CODE],
    [SIGUSR2, SIG_IGN],
  ] as const) {
    s.do(() => {
      put_user_u64(DATA, handler);
      put_user_u64(DATA + 8, SA_RESTORER);
    });
    s.call(NR.rt_sigaction, signo, DATA, 0, 8);
  }
  exec(s, '/prog');
  s.call(NR.exit_group, 1);
  entry = s.here();
  s.do((g) => {
    const sp = g.get(RSP);
    const group = Task.group.get(current);
    seen.push(get_user_u64(sp), get_user_u64(sp + 24), task_comm(current), get_user_u64(DATA) < 0);
    seen.push(action_handler(group, SIGUSR1), action_handler(group, SIGUSR2));
  });
  s.call(NR.getpid)
    .do((g) => seen.push(g.result()))
    .call(NR.exit_group, 5);
  assert.is(
    run(s, () => entry),
    5 << 8,
  );
  assert.equal(seen, [2, 0, 'prog', true, 0, SIG_IGN, 1]);
});

test('failures leave the caller as it was', () => {
  const seen: number[] = [];
  const s = new Script();
  for (const path of ['/none', '/plain', '/text']) {
    exec(s, path);
    s.do((g) => seen.push(g.result()));
  }
  s.call(NR.execve, 8, 0, 0)
    .do((g) => seen.push(g.result()))
    .call(NR.exit_group, 0);
  run(s, () => CODE);
  assert.equal(seen, [-ENOENT, -EACCES, -ENOEXEC, -EFAULT]);
});

test('exec from a thread ends the others and takes over the pid', () => {
  const seen: number[] = [];
  const s = new Script();
  let thread = 0;
  let other = 0;
  let entry = 0;
  s.call(NR.clone, THREAD, DATA + 0x8000, 0, 0, 0).jump_if(
    (g) => g.result() === 0,
    () => other,
  );
  s.call(NR.clone, THREAD, DATA + 0x9000, 0, 0, 0).jump_if(
    (g) => g.result() === 0,
    () => thread,
  );
  other = s.here();
  s.call(NR.pause).call(NR.exit_group, 1);
  thread = s.here();
  exec(s, '/prog');
  s.call(NR.exit_group, 2);
  entry = s.here();
  s.call(NR.getpid)
    .do((g) => seen.push(g.result()))
    .call(NR.gettid)
    .do((g) => seen.push(g.result()));
  s.call(NR.fork)
    .jump_if(
      (g) => g.result() === 0,
      () => leave,
    )
    .call(NR.wait4, -1, 0, 0, 0);
  const leave = s.here();
  s.call(NR.exit_group, 0);
  assert.is(
    run(s, () => entry),
    0,
  );
  assert.equal(seen, [1, 1]);
});

test('a vfork parent goes on when the child has exec’d', () => {
  const seen: string[] = [];
  const s = new Script();
  let child = 0;
  let entry = 0;
  s.call(NR.vfork)
    .jump_if(
      (g) => g.result() === 0,
      () => child,
    )
    .do(() => seen.push('parent'));
  s.call(NR.wait4, -1, 0, 0, 0).call(NR.exit_group, 0);
  child = s.here();
  s.do(() => seen.push('child'));
  exec(s, '/prog');
  s.call(NR.exit_group, 1);
  entry = s.here();
  s.do(() => seen.push('program')).call(NR.exit_group, 0);
  run(s, () => entry);
  assert.is(seen[0], 'child');
  assert.equal(seen.sort(), ['child', 'parent', 'program']);
});

test.run();
