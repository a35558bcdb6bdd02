/**
 * User and group ids, supplementary groups, capabilities (credentials(7), capabilities(7)).
 *
 * A change prepares a copy of the credentials, changes it and commits it (kernel/credentials.ts).
 */

import { CAP_SETGID, CAP_SETPCAP, CAP_SETUID } from '../abi/capability.ts';
import { EFAULT, EINVAL, ENOMEM, EPERM, ESRCH } from '../abi/errno.ts';
import type { Ptr } from '../base/types.ts';
import type { U32Field, U64Field } from '../heap/field.ts';
import { U32 } from '../heap/memory.ts';
import { arg_i32, arg_u32, arg_u64 } from '../kernel/args.ts';
import { Credentials, MAX_GROUPS } from '../kernel/credentials.layout.ts';
import { capable, credentials_abort, credentials_commit, credentials_prepare } from '../kernel/credentials.ts';
import { current } from '../kernel/current.ts';
import { lock_tasklist, unlock_tasklist } from '../kernel/kernel.ts';
import { find_task } from '../kernel/pid.ts';
import { put_int, stage_in, stage_out, stage_set_u32, stage_u32 } from '../kernel/stage.ts';
import { Task } from '../kernel/task.layout.ts';
import { get_user_u32 } from '../mm/uaccess.ts';
import { full, partial, type SyscallRow } from './row.ts';

type C = Ptr<'Credentials'>;
type Ids = {
  real: U32Field<'Credentials'>;
  effective: U32Field<'Credentials'>;
  saved: U32Field<'Credentials'>;
  fs: U32Field<'Credentials'>;
};

const UIDS: Ids = {
  real: Credentials.uid,
  effective: Credentials.euid,
  saved: Credentials.suid,
  fs: Credentials.fsuid,
};
const GIDS: Ids = {
  real: Credentials.gid,
  effective: Credentials.egid,
  saved: Credentials.sgid,
  fs: Credentials.fsgid,
};
/** (uid_t)-1: leave as it is. */
const UNCHANGED = 0xffff_ffff;
const SECBIT_NO_SETUID_FIXUP = 4;
const SECBIT_KEEP_CAPS = 16;

function own(): C {
  return Task.credentials.get(current);
}

function may_set(ids: Ids): boolean {
  return capable(ids === UIDS ? CAP_SETUID : CAP_SETGID);
}

/** What changing user ids does to capabilities (capabilities(7), "Effect of user ID changes on capabilities"). */
function fix_capabilities(c: C): void {
  const old = own();
  if ((Credentials.securebits.get(c) & SECBIT_NO_SETUID_FIXUP) !== 0) return;
  const was_root = [UIDS.real, UIDS.effective, UIDS.saved].some((f) => f.get(old) === 0);
  const is_root = [UIDS.real, UIDS.effective, UIDS.saved].some((f) => f.get(c) === 0);
  if (was_root && !is_root) {
    if ((Credentials.securebits.get(c) & SECBIT_KEEP_CAPS) === 0) {
      Credentials.cap_permitted.set_parts(c, 0, 0);
      Credentials.cap_effective.set_parts(c, 0, 0);
    }
    Credentials.cap_ambient.set_parts(c, 0, 0);
  }
  const effective_was_root = UIDS.effective.get(old) === 0;
  const effective_is_root = UIDS.effective.get(c) === 0;
  if (effective_was_root && !effective_is_root) Credentials.cap_effective.set_parts(c, 0, 0);
  if (!effective_was_root && effective_is_root)
    Credentials.cap_effective.set_parts(c, Credentials.cap_permitted.lo(c), Credentials.cap_permitted.hi(c));
}

/** Commits prepared credentials after a change of ids. */
function commit(c: C, ids: Ids): number {
  ids.fs.set(c, ids.effective.get(c));
  if (ids === UIDS) fix_capabilities(c);
  credentials_commit(c);
  return 0;
}

/** setuid(2), setgid(2). */
function set_id(ids: Ids, id: number): number {
  if (id === UNCHANGED) return -EINVAL;
  const privileged = may_set(ids);
  if (!privileged && id !== ids.real.get(own()) && id !== ids.saved.get(own())) return -EPERM;
  const c = credentials_prepare();
  if (c === 0) return -ENOMEM;
  ids.effective.set(c, id);
  if (privileged) {
    ids.real.set(c, id);
    ids.saved.set(c, id);
  }
  return commit(c, ids);
}

/** setreuid(2), setregid(2). */
function set_real_effective(ids: Ids, real: number, effective: number): number {
  const old = own();
  const old_real = ids.real.get(old);
  const old_effective = ids.effective.get(old);
  const privileged = may_set(ids);
  if (!privileged && real !== UNCHANGED && real !== old_real && real !== old_effective) return -EPERM;
  const known = effective === old_real || effective === old_effective || effective === ids.saved.get(old);
  if (!privileged && effective !== UNCHANGED && !known) return -EPERM;
  const c = credentials_prepare();
  if (c === 0) return -ENOMEM;
  if (real !== UNCHANGED) ids.real.set(c, real);
  if (effective !== UNCHANGED) ids.effective.set(c, effective);
  if (real !== UNCHANGED || (effective !== UNCHANGED && effective !== old_real)) ids.saved.set(c, ids.effective.get(c));
  return commit(c, ids);
}

/** setresuid(2), setresgid(2). */
function set_all(ids: Ids, real: number, effective: number, saved: number): number {
  const old = own();
  if (!may_set(ids)) {
    for (const id of [real, effective, saved])
      if (id !== UNCHANGED && id !== ids.real.get(old) && id !== ids.effective.get(old) && id !== ids.saved.get(old))
        return -EPERM;
  }
  const c = credentials_prepare();
  if (c === 0) return -ENOMEM;
  if (real !== UNCHANGED) ids.real.set(c, real);
  if (effective !== UNCHANGED) ids.effective.set(c, effective);
  if (saved !== UNCHANGED) ids.saved.set(c, saved);
  return commit(c, ids);
}

/** getresuid(2), getresgid(2). */
function get_all(ids: Ids): number {
  const c = own();
  const values = [ids.real.get(c), ids.effective.get(c), ids.saved.get(c)];
  for (let i = 0; i < 3; i++) if (put_int(arg_u64(i), values[i] as number) < 0) return -EFAULT;
  return 0;
}

/** setfsuid(2), setfsgid(2): always the id before. */
/** CAP_CHOWN to CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_MKNOD; CAP_MAC_OVERRIDE: effective only for file system uid 0. */
const FS_CAPS_LO = 0x0800_021f;
const FS_CAPS_HI = 1;

/** capabilities(7): a file system uid that ceases to be 0 loses these capabilities, one that becomes 0 regains them. */
function change_fs_capabilities(c: Ptr<'Credentials'>, before: number, after: number): void {
  const { cap_effective, cap_permitted } = Credentials;
  const lo = cap_effective.lo(c);
  const hi = cap_effective.hi(c);
  if (before === 0 && after !== 0) cap_effective.set_parts(c, lo & ~FS_CAPS_LO, hi & ~FS_CAPS_HI);
  if (before !== 0 && after === 0)
    cap_effective.set_parts(c, lo | (cap_permitted.lo(c) & FS_CAPS_LO), hi | (cap_permitted.hi(c) & FS_CAPS_HI));
}

function set_fs(ids: Ids, id: number): number {
  const old = own();
  const before = ids.fs.get(old);
  const known = [ids.real, ids.effective, ids.saved, ids.fs].some((f) => f.get(old) === id);
  if (id === UNCHANGED || id === before || (!known && !may_set(ids))) return before;
  const c = credentials_prepare();
  if (c === 0) return before;
  ids.fs.set(c, id);
  if (ids === UIDS) change_fs_capabilities(c, before, id);
  credentials_commit(c);
  return before;
}

function sys_getgroups(): number {
  const c = own();
  const count = Credentials.group_count.get(c);
  const size = arg_i32(0);
  if (size < 0) return -EINVAL;
  if (size === 0) return count;
  if (count > size) return -EINVAL;
  const at = Credentials.groups.at(c) >> 2;
  for (let i = 0; i < count; i++) stage_set_u32(i * 4, U32[at + i] as number);
  return stage_out(arg_u64(1), count * 4) < 0 ? -EFAULT : count;
}

/** Linux's limit on supplementary groups. */
const NGROUPS_MAX = 65536;

function sys_setgroups(): number {
  const count = arg_u32(0);
  if (!capable(CAP_SETGID)) return -EPERM;
  if (count > NGROUPS_MAX) return -EINVAL;
  const kept = Math.min(count, MAX_GROUPS);
  if (stage_in(arg_u64(1), kept * 4) < 0) return -EFAULT;
  if (count > MAX_GROUPS) return get_user_u32(arg_u64(1) + count * 4 - 4) < 0 ? -EFAULT : -ENOMEM;
  const c = credentials_prepare();
  if (c === 0) return -ENOMEM;
  Credentials.group_count.set(c, count);
  for (let i = 0; i < count; i++) U32[(Credentials.groups.at(c) >> 2) + i] = stage_u32(i * 4);
  credentials_commit(c);
  return 0;
}

const CAPABILITY_VERSIONS = [0x1998_0330, 0x2007_1026, 0x2008_0522];

/** Reads the header of capget and capset: words of the sets (1 or 2), or -errno. The wanted pid is at 4. */
function capability_header(header_at: number): number {
  if (stage_in(header_at, 8) < 0) return -EFAULT;
  const version = CAPABILITY_VERSIONS.indexOf(stage_u32(0));
  if (version >= 0) return version === 0 ? 1 : 2;
  stage_set_u32(0, CAPABILITY_VERSIONS[2] as number);
  return stage_out(header_at, 8) < 0 ? -EFAULT : -EINVAL;
}

function sys_capget(): number {
  const words = capability_header(arg_u64(0));
  // Without a place for the sets only the version is looked at.
  if (arg_u64(1) === 0) return words >= 0 || words === -EINVAL ? 0 : words;
  if (words < 0) return words;
  const pid = stage_u32(4) | 0;
  if (pid < 0) return -EINVAL;
  lock_tasklist();
  const task = pid === 0 ? current : find_task(pid);
  const c = task === 0 ? (0 as C) : Task.credentials.get(task);
  const sets = [Credentials.cap_effective, Credentials.cap_permitted, Credentials.cap_inheritable];
  for (let i = 0; i < 3 && c !== 0; i++) {
    stage_set_u32(i * 4, (sets[i] as U64Field<'Credentials'>).lo(c));
    stage_set_u32(12 + i * 4, (sets[i] as U64Field<'Credentials'>).hi(c));
  }
  unlock_tasklist();
  if (c === 0) return -ESRCH;
  return stage_out(arg_u64(1), words * 12);
}

function sys_capset(): number {
  const words = capability_header(arg_u64(0));
  if (words < 0) return words;
  const pid = stage_u32(4) | 0;
  if (pid !== 0 && pid !== Task.tid.get(current)) return -EPERM;
  stage_set_u32(12, 0);
  stage_set_u32(16, 0);
  stage_set_u32(20, 0);
  if (stage_in(arg_u64(1), words * 12) < 0) return -EFAULT;
  const c = credentials_prepare();
  if (c === 0) return -ENOMEM;
  const [e_lo, p_lo, i_lo] = [stage_u32(0), stage_u32(4), stage_u32(8)];
  const [e_hi, p_hi, i_hi] = words === 2 ? [stage_u32(12), stage_u32(16), stage_u32(20)] : [0, 0, 0];
  if (!may_take(c, e_lo, p_lo, i_lo, e_hi, p_hi, i_hi)) {
    credentials_abort(c);
    return -EPERM;
  }
  Credentials.cap_effective.set_parts(c, e_lo, e_hi);
  Credentials.cap_permitted.set_parts(c, p_lo, p_hi);
  Credentials.cap_inheritable.set_parts(c, i_lo, i_hi);
  Credentials.cap_ambient.set_parts(
    c,
    Credentials.cap_ambient.lo(c) & p_lo & i_lo,
    Credentials.cap_ambient.hi(c) & p_hi & i_hi,
  );
  credentials_commit(c);
  return 0;
}

/** capset(2): effective within permitted, permitted never grows, inheritable within reach. */
function may_take(c: C, e_lo: number, p_lo: number, i_lo: number, e_hi: number, p_hi: number, i_hi: number): boolean {
  const old_p_lo = Credentials.cap_permitted.lo(c);
  const old_p_hi = Credentials.cap_permitted.hi(c);
  const beyond = capable(CAP_SETPCAP) ? Credentials.cap_bounding : Credentials.cap_permitted;
  const reach_lo = Credentials.cap_inheritable.lo(c) | old_p_lo | beyond.lo(c);
  const reach_hi = Credentials.cap_inheritable.hi(c) | old_p_hi | beyond.hi(c);
  if ((i_lo & ~reach_lo) !== 0 || (i_hi & ~reach_hi) !== 0) return false;
  if ((p_lo & ~old_p_lo) !== 0 || (p_hi & ~old_p_hi) !== 0) return false;
  return (e_lo & ~p_lo) === 0 && (e_hi & ~p_hi) === 0;
}

export const CREDENTIAL_ROWS: readonly SyscallRow[] = [
  full(102, 'getuid', () => UIDS.real.get(own())),
  full(104, 'getgid', () => GIDS.real.get(own())),
  full(105, 'setuid', () => set_id(UIDS, arg_u32(0)), 'uid:uid'),
  full(106, 'setgid', () => set_id(GIDS, arg_u32(0)), 'gid:gid'),
  full(107, 'geteuid', () => UIDS.effective.get(own())),
  full(108, 'getegid', () => GIDS.effective.get(own())),
  full(113, 'setreuid', () => set_real_effective(UIDS, arg_u32(0), arg_u32(1)), 'ruid:uid', 'euid:uid'),
  full(114, 'setregid', () => set_real_effective(GIDS, arg_u32(0), arg_u32(1)), 'rgid:gid', 'egid:gid'),
  full(115, 'getgroups', sys_getgroups, 'size:int', 'list:ptr'),
  partial(116, 'setgroups', 'at most 64 groups; more are ENOMEM', sys_setgroups, 'size:size', 'list:ptr'),
  full(117, 'setresuid', () => set_all(UIDS, arg_u32(0), arg_u32(1), arg_u32(2)), 'ruid:uid', 'euid:uid', 'suid:uid'),
  full(118, 'getresuid', () => get_all(UIDS), 'ruid:ptr', 'euid:ptr', 'suid:ptr'),
  full(119, 'setresgid', () => set_all(GIDS, arg_u32(0), arg_u32(1), arg_u32(2)), 'rgid:gid', 'egid:gid', 'sgid:gid'),
  full(120, 'getresgid', () => get_all(GIDS), 'rgid:ptr', 'egid:ptr', 'sgid:ptr'),
  full(122, 'setfsuid', () => set_fs(UIDS, arg_u32(0)), 'fsuid:uid'),
  full(123, 'setfsgid', () => set_fs(GIDS, arg_u32(0)), 'fsgid:gid'),
  full(125, 'capget', sys_capget, 'hdrp:ptr', 'datap:ptr'),
  full(126, 'capset', sys_capset, 'hdrp:ptr', 'datap:ptr'),
];
