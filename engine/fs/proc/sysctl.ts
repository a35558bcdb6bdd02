/** /proc/sys: the kernel's parameters (proc_sys(5)). Those that can be set are few; the others are facts. */

import { EINVAL } from '../../abi/errno.ts';
import { KERNEL_NAME, KERNEL_RELEASE, KERNEL_VERSION } from '../../abi/utsname.ts';
import { bytes_read, bytes_write } from '../../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../../heap/heap_pages.ts';
import { NR_OPEN } from '../../kernel/files.layout.ts';
import { KernelRoot, PID_LIMIT } from '../../kernel/kernel.layout.ts';
import { kernel_root, lock_tasklist, set_host_name, unlock_tasklist } from '../../kernel/kernel.ts';
import { random_fill } from '../../time/random.ts';
import { drop_caches } from '../../vfs/drop_caches.ts';
import { file_slab } from '../../vfs/file.ts';
import { inodes_live } from '../../vfs/inode.ts';
import { AnonRoot } from '../anon/epoll.layout.ts';
import { PIPE_MAX_PAGES } from '../anon/pipe.layout.ts';
import { anon_root } from '../anon/root.ts';
import { ENTROPY_BITS } from '../dev/memory_devices.ts';
import { constant, directory, file, type PseudoNode } from '../pseudo/node.ts';
import { IPC_SYSCTLS } from './sysctl_ipc.ts';

/** A random version 4 UUID as text. */
function uuid(): string {
  const page = heap_page_alloc();
  if (page === 0) return '';
  random_fill(page, 16);
  const hex = [...bytes_read(page, 16)].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
  heap_page_free(page);
  const variant = ((Number.parseInt(hex[16] as string, 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

const HOSTNAME: PseudoNode = {
  ...file(
    'hostname',
    () => {
      const root = kernel_root();
      return `${bytes_read(KernelRoot.hostname.at(root), KernelRoot.hostname_length.get(root))}\n`;
    },
    0o644,
  ),
  write(_subject, text) {
    const name = text.replace(/\n[\s\S]*$/, '');
    if (name.length > 64) return -EINVAL;
    lock_tasklist();
    set_host_name(name);
    unlock_tasklist();
    return 0;
  },
};

function domain(): string {
  const root = kernel_root();
  const length = KernelRoot.domain_length.get(root);
  return length === 0 ? '(none)\n' : `${bytes_read(KernelRoot.domain.at(root), length)}\n`;
}

const DOMAINNAME: PseudoNode = {
  ...file('domainname', domain, 0o644),
  write(_subject, text) {
    const name = text.replace(/\n[\s\S]*$/, '').slice(0, 64);
    const root = kernel_root();
    lock_tasklist();
    KernelRoot.domain_length.set(root, bytes_write(KernelRoot.domain.at(root), name));
    unlock_tasklist();
    return 0;
  },
};

/** A parameter that is a number: `set` answers -errno to refuse one. */
function number(name: string, get: () => number, set: (value: number) => number): PseudoNode {
  return {
    ...file(name, () => `${get()}\n`, 0o644),
    write(_subject, text) {
      const match = /^\s*(\d+)\s*$/.exec(text);
      const value = match === null ? Number.NaN : Number(match[1]);
      return value <= 0x7fff_ffff ? set(value) : -EINVAL;
    },
  };
}

/** A limit that any number may be. */
function limit(name: string, field: typeof AnonRoot.inotify_max_events): PseudoNode {
  return number(
    name,
    () => field.load(anon_root()),
    (value) => {
      field.store(anon_root(), value);
      return 0;
    },
  );
}

/** Pipes have whole powers of two of pages (Linux's proc_dopipe_max_size). */
function set_pipe_max_size(value: number): number {
  if (value < 4096 || value > PIPE_MAX_PAGES * 4096) return -EINVAL;
  AnonRoot.pipe_max_size.store(anon_root(), 2 ** Math.ceil(Math.log2(value)));
  return 0;
}

const KERNEL = directory('kernel', [
  constant('ostype', KERNEL_NAME),
  constant('osrelease', KERNEL_RELEASE),
  constant('version', KERNEL_VERSION),
  HOSTNAME,
  DOMAINNAME,
  constant('arch', 'x86_64'),
  file('ns_last_pid', () => `${KernelRoot.last_pid.get(kernel_root())}\n`),
  constant('pid_max', PID_LIMIT),
  constant('threads-max', PID_LIMIT),
  constant('cap_last_cap', 40),
  constant('ngroups_max', 65536),
  constant('overflowuid', 65534),
  constant('overflowgid', 65534),
  constant('randomize_va_space', 2),
  constant('core_pattern', 'core'),
  constant('core_uses_pid', 0),
  constant('panic', 0),
  constant('tainted', 0),
  constant('sched_child_runs_first', 0),
  ...IPC_SYSCTLS,
  directory('random', [
    file('uuid', () => `${uuid()}\n`),
    file('boot_id', () => '00000000-0000-4000-8000-000000000001\n'),
    constant('entropy_avail', ENTROPY_BITS),
    constant('poolsize', 256),
  ]),
]);

/** Write-only: drops clean caches (proc_sys_vm(5)); 4 turns the message off that we do not write. */
const DROP_CACHES: PseudoNode = {
  ...file('drop_caches', () => '', 0o200),
  write(_subject, text) {
    const match = /^\s*([1-7])\s*$/.exec(text);
    if (match === null) return -EINVAL;
    drop_caches(Number(match[1]));
    return 0;
  },
};

const VM = directory('vm', [
  DROP_CACHES,
  constant('overcommit_memory', 0),
  constant('overcommit_kbytes', 0),
  constant('overcommit_ratio', 50),
  constant('nr_hugepages', 0),
  constant('max_map_count', 65530),
  constant('mmap_min_addr', 65536),
  constant('swappiness', 60),
  constant('dirty_ratio', 20),
]);

const FS = directory('fs', [
  constant('nr_open', NR_OPEN),
  constant('file-max', NR_OPEN),
  file('file-nr', () => `${file_slab.live()}\t0\t${NR_OPEN}\n`),
  file('inode-nr', () => `${inodes_live()}\t0\n`),
  constant('overflowuid', 65534),
  constant('overflowgid', 65534),
  constant('suid_dumpable', 0),
  number('pipe-max-size', () => AnonRoot.pipe_max_size.load(anon_root()), set_pipe_max_size),
  // 0: the pages of one user's pipes are not limited.
  constant('pipe-user-pages-soft', 0),
  constant('pipe-user-pages-hard', 0),
  constant('mount-max', 4096),
  constant('protected_hardlinks', 0),
  constant('protected_symlinks', 0),
  directory('epoll', [constant('max_user_watches', 1 << 20)]),
  directory('inotify', [
    limit('max_queued_events', AnonRoot.inotify_max_events),
    limit('max_user_instances', AnonRoot.inotify_max_instances),
    limit('max_user_watches', AnonRoot.inotify_max_watches),
  ]),
]);

export const SYSCTL = directory('sys', [
  KERNEL,
  VM,
  FS,
  directory('net', [directory('core', [constant('somaxconn', 4096)])]),
]);
