/** sysfs (sysfs(5)): the skeleton that programs look for: CPUs, and empty class directories. */
import { SYSFS_MAGIC } from '../../abi/mount.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import { MACHINE, MachineHeader } from '../../heap/machine.layout.ts';
import { FILE_KIND_SYS } from '../../vfs/file.ts';
import { INODE_KIND_SYS } from '../../vfs/inode.ts';
import { FS_SYS } from '../../vfs/super.ts';
import { constant, directory, file, number_tree, type PseudoNode, type Subject } from '../pseudo/node.ts';
import { type PseudoFilesystem, pseudo_create, register_pseudo } from '../pseudo/pseudo.ts';

const NUMBER_BASE = 2048;

function cpu_count(): number {
  return MachineHeader.vcpu_count.get(MACHINE);
}

/** A list of CPUs as sysfs writes it. */
function cpu_list(): string {
  return cpu_count() === 1 ? '0\n' : `0-${cpu_count() - 1}\n`;
}

const CPU: PseudoNode = directory('', [
  constant('online', 1),
  directory('topology', [
    file('core_id', (subject) => `${subject.item}\n`),
    constant('physical_package_id', 0),
    file('thread_siblings_list', (subject) => `${subject.item}\n`),
  ]),
]);

const CPUS: PseudoNode = {
  name: 'cpu',
  mode: S_IFDIR | 0o755,
  others: [CPU],
  children: [
    file('kernel_max', () => `${cpu_count() - 1}\n`),
    file('offline', () => '\n'),
    file('online', cpu_list),
    file('possible', cpu_list),
    file('present', cpu_list),
  ],
  lookup(name) {
    const match = /^cpu(0|[1-9][0-9]?)$/.exec(name);
    const index = match === null ? -1 : Number(match[1]);
    return index < 0 || index >= cpu_count() ? null : { node: CPU, subject: { tid: 0, item: index } };
  },
  list(cookie, _subject: Subject, sink) {
    for (let i = cookie; i < cpu_count(); i++)
      if (!sink(`cpu${i}`, { node: CPU, subject: { tid: 0, item: i } }, i)) return;
  },
};

const ROOT: PseudoNode = directory('', [
  directory('block', []),
  directory('bus', []),
  directory('class', [directory('net', []), directory('tty', [])]),
  directory('dev', [directory('block', []), directory('char', [])]),
  directory('devices', [directory('system', [CPUS, directory('node', [file('online', () => '0\n')])])]),
  directory('firmware', []),
  directory('fs', [directory('cgroup', [])]),
  directory('kernel', [
    directory('debug', []),
    directory('mm', [directory('transparent_hugepage', [constant('enabled', 'always madvise [never]')])]),
  ]),
  directory('module', []),
]);

number_tree(ROOT, NUMBER_BASE);

const SYS: PseudoFilesystem = {
  name: 'sysfs',
  magic: SYSFS_MAGIC,
  fs_kind: FS_SYS,
  inode_kind: INODE_KIND_SYS,
  file_kind: FILE_KIND_SYS,
  root: ROOT,
};
register_pseudo(SYS);

/** A sysfs superblock with one reference, or -ENOMEM. */
export function sysfs_create(): number {
  return pseudo_create(SYS);
}
