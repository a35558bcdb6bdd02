/** /proc/PID/ns (namespaces(7)): links that name the namespaces, of which there is one of each kind, for everybody. */
import { S_IFDIR, S_IFLNK } from '../../abi/stat.ts';
import type { PseudoNode } from '../pseudo/node.ts';
import { task_owner } from './subject.ts';

/** Inode numbers of the first namespaces, as Linux has them (proc_ns.h, PROC_*_INIT_INO). */
const KINDS: readonly (readonly [string, number])[] = [
  ['cgroup', 0xeffffffb],
  ['ipc', 0xefffffff],
  ['mnt', 0xeffffff8],
  ['pid', 0xeffffffc],
  ['pid_for_children', 0xeffffffc],
  ['user', 0xeffffffd],
  ['uts', 0xeffffffe],
];

export const NAMESPACES: PseudoNode = {
  name: 'ns',
  mode: S_IFDIR | 0o511,
  owner: task_owner,
  children: KINDS.map(([name, number]) => ({
    name,
    mode: S_IFLNK | 0o777,
    owner: task_owner,
    link: () => `${name === 'pid_for_children' ? 'pid' : name}:[${number}]`,
  })),
};
