/** Credentials of a task: immutable once published, shared by reference, replaced as a whole. */
import { layout } from '../heap/layout.ts';

export const MAX_GROUPS = 64;

const l = layout('Credentials');
export const Credentials = l.done(
  {
    refs: l.atomic(),
    uid: l.u32('immutable'),
    euid: l.u32('immutable'),
    suid: l.u32('immutable'),
    fsuid: l.u32('immutable'),
    gid: l.u32('immutable'),
    egid: l.u32('immutable'),
    sgid: l.u32('immutable'),
    fsgid: l.u32('immutable'),
    group_count: l.u32('immutable'),
    cap_effective: l.u64('immutable'),
    cap_permitted: l.u64('immutable'),
    cap_inheritable: l.u64('immutable'),
    cap_bounding: l.u64('immutable'),
    cap_ambient: l.u64('immutable'),
    securebits: l.u32('immutable'),
    no_new_privs: l.u32('immutable'),
    groups: l.bytes(MAX_GROUPS * 4, 4, 'immutable'),
  },
  352,
);
