/**
 * Credentials of an executed program (execve(2); capabilities(7), "Transformation of capabilities during execve()"),
 * for files without capabilities of their own.
 */
import type { Ptr } from '../base/types.ts';
import { Credentials } from './credentials.layout.ts';
import { ALL_CAPS_HI, ALL_CAPS_LO, credentials_prepare } from './credentials.ts';
import { current } from './current.ts';
import { Task } from './task.layout.ts';

const SECBIT_NOROOT = 1;

/**
 * New credentials for running a file whose set-user-ID and set-group-ID bits name `uid` and `gid` (-1: not set).
 * 0 when the heap is exhausted.
 */
export function exec_credentials(uid: number, gid: number): Ptr<'Credentials'> {
  const c = credentials_prepare();
  if (c === 0) return c;
  if (Credentials.no_new_privs.get(c) === 0) {
    if (uid >= 0) Credentials.euid.set(c, uid);
    if (gid >= 0) Credentials.egid.set(c, gid);
  }
  const changes =
    Credentials.euid.get(c) !== Credentials.uid.get(c) || Credentials.egid.get(c) !== Credentials.gid.get(c);
  Credentials.suid.set(c, Credentials.euid.get(c));
  Credentials.fsuid.set(c, Credentials.euid.get(c));
  Credentials.sgid.set(c, Credentials.egid.get(c));
  Credentials.fsgid.set(c, Credentials.egid.get(c));
  const rooted = (Credentials.securebits.get(c) & SECBIT_NOROOT) === 0;
  if (changes && uid >= 0) Credentials.cap_ambient.set_parts(c, 0, 0);
  if (rooted && (Credentials.euid.get(c) === 0 || Credentials.uid.get(c) === 0)) {
    const lo = (Credentials.cap_bounding.lo(c) & ALL_CAPS_LO) | Credentials.cap_inheritable.lo(c);
    const hi = (Credentials.cap_bounding.hi(c) & ALL_CAPS_HI) | Credentials.cap_inheritable.hi(c);
    Credentials.cap_permitted.set_parts(c, lo, hi);
    if (Credentials.euid.get(c) === 0) Credentials.cap_effective.set_parts(c, lo, hi);
    else Credentials.cap_effective.set_parts(c, 0, 0);
  } else {
    const lo = Credentials.cap_ambient.lo(c);
    const hi = Credentials.cap_ambient.hi(c);
    Credentials.cap_permitted.set_parts(c, lo, hi);
    Credentials.cap_effective.set_parts(c, lo, hi);
  }
  return c;
}

/** Whether the current task's credentials differ from those a program of its real user would have: AT_SECURE. */
export function is_privileged(c: Ptr<'Credentials'>): boolean {
  return Credentials.euid.get(c) !== Credentials.uid.get(c) || Credentials.egid.get(c) !== Credentials.gid.get(c);
}

/** The current task's credentials. */
export function own_credentials(): Ptr<'Credentials'> {
  return Task.credentials.get(current);
}
