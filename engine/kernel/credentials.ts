/**
 * Credentials: immutable records shared by reference; a change makes a copy and publishes it (Linux's
 * prepare_creds, commit_creds). credentials(7), capabilities(7).
 */

import type { Ptr } from '../base/types.ts';
import { bytes_copy } from '../heap/bytes.ts';
import { U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { Mm } from '../mm/mm.layout.ts';
import { Credentials } from './credentials.layout.ts';
import { current } from './current.ts';
import { KernelRoot } from './kernel.layout.ts';
import { kernel_root, lock_tasklist, unlock_tasklist } from './kernel.ts';
import { Task } from './task.layout.ts';

export const credentials_slab = slab(Credentials);

/** All capabilities known: 0 to 40 (CAP_CHECKPOINT_RESTORE). */
export const CAP_LAST = 40;
export const ALL_CAPS_LO = 0xffff_ffff;
export const ALL_CAPS_HI = 0x1ff;

/** New credentials of a user; uid 0 has every capability. 0 when the heap is exhausted. */
export function credentials_create(uid: number, gid: number, groups: readonly number[] = []): Ptr<'Credentials'> {
  const c = credentials_slab.alloc();
  if (c === 0) return c;
  Credentials.refs.store(c, 1);
  for (const field of [Credentials.uid, Credentials.euid, Credentials.suid, Credentials.fsuid]) field.set(c, uid);
  for (const field of [Credentials.gid, Credentials.egid, Credentials.sgid, Credentials.fsgid]) field.set(c, gid);
  const count = Math.min(groups.length, 64);
  Credentials.group_count.set(c, count);
  for (let i = 0; i < count; i++) U32[(Credentials.groups.at(c) >> 2) + i] = groups[i] as number;
  Credentials.cap_bounding.set_parts(c, ALL_CAPS_LO, ALL_CAPS_HI);
  if (uid === 0) {
    Credentials.cap_permitted.set_parts(c, ALL_CAPS_LO, ALL_CAPS_HI);
    Credentials.cap_effective.set_parts(c, ALL_CAPS_LO, ALL_CAPS_HI);
  }
  return c;
}

/** Takes a reference. */
export function credentials_get(c: Ptr<'Credentials'>): Ptr<'Credentials'> {
  Credentials.refs.add(c, 1);
  return c;
}

/** Gives a reference back; the last frees the record. */
export function credentials_put(c: Ptr<'Credentials'>): void {
  if (Credentials.refs.add(c, -1) === 1) credentials_slab.free(c);
}

type C = Ptr<'Credentials'>;

/** A private copy of the current task's credentials, to be changed and given to `credentials_commit`; 0: no heap. */
export function credentials_prepare(): Ptr<'Credentials'> {
  const copy = credentials_slab.alloc();
  if (copy === 0) return copy;
  const old = Task.credentials.get(current);
  bytes_copy(copy, old, Credentials.SIZE);
  Credentials.refs.store(copy, 1);
  return copy;
}

/** A number that no task's credentials had before. */
export function next_credentials_number(): number {
  return (KernelRoot.credentials_numbers.add(kernel_root(), 1) + 1) >>> 0;
}

/** Whether new credentials can do other things than the old ones could (Linux's commit_creds). */
function gains_rights(old: C, fresh: C): boolean {
  return (
    Credentials.euid.get(old) !== Credentials.euid.get(fresh) ||
    Credentials.egid.get(old) !== Credentials.egid.get(fresh) ||
    Credentials.fsuid.get(old) !== Credentials.fsuid.get(fresh) ||
    Credentials.fsgid.get(old) !== Credentials.fsgid.get(fresh) ||
    (Credentials.cap_permitted.lo(fresh) & ~Credentials.cap_permitted.lo(old)) !== 0 ||
    (Credentials.cap_permitted.hi(fresh) & ~Credentials.cap_permitted.hi(old)) !== 0
  );
}

/**
 * Publishes prepared credentials as the current task's. Others look at them under the tasklist lock. Where they are
 * those of another user, the process is no longer dumpable and forgets its death signal (prctl(2)).
 */
export function credentials_commit(prepared: Ptr<'Credentials'>): void {
  const old = Task.credentials.get(current);
  if (old !== 0 && gains_rights(old, prepared)) {
    const mm = Task.mm.get(current);
    if (mm !== 0) Mm.dumpable.set(mm, 0);
    Task.death_signal.set(current, 0);
  }
  lock_tasklist();
  Task.credentials.set(current, prepared);
  Task.credentials_number.set(current, next_credentials_number());
  unlock_tasklist();
  if (old !== 0) credentials_put(old);
}

/** Drops prepared credentials that are not wanted after all. */
export function credentials_abort(prepared: Ptr<'Credentials'>): void {
  credentials_put(prepared);
}

/** Whether the credentials have a capability effective. */
export function has_capability(c: Ptr<'Credentials'>, capability: number): boolean {
  const half = capability < 32 ? Credentials.cap_effective.lo(c) : Credentials.cap_effective.hi(c);
  return ((half >>> (capability & 31)) & 1) !== 0;
}

/** Whether the current task may use a capability. */
export function capable(capability: number): boolean {
  return has_capability(Task.credentials.get(current), capability);
}

/** Whether the credentials' effective or supplementary groups hold `gid` (Linux's in_egroup_p). */
export function in_group(c: Ptr<'Credentials'>, gid: number): boolean {
  if (Credentials.egid.get(c) === gid) return true;
  const at = Credentials.groups.at(c) >> 2;
  for (let i = Credentials.group_count.get(c) - 1; i >= 0; i--) if (U32[at + i] === gid) return true;
  return false;
}
