import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EBADF, EFAULT, EINVAL, ENODEV, ENOMEM, ENOSPC, ENOSYS, EPERM, ESRCH } from '../../../engine/abi/errno.ts';
import { MAP_ANONYMOUS, MAP_HUGETLB, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../engine/abi/mman.ts';
import { RLIMIT_AS } from '../../../engine/abi/resource.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import '../../../engine/kernel/task_parts.ts';
import '../../../engine/sentry/memory.ts';
import { clone_task } from '../../../engine/kernel/clone.ts';
import { set_group_rlimit } from '../../../engine/kernel/limits.ts';
import { find_task } from '../../../engine/kernel/pid.ts';
import { Task } from '../../../engine/kernel/task.layout.ts';
import { Mm } from '../../../engine/mm/mm.layout.ts';
import { get_user_u8, get_user_u32, put_user_u32, put_user_u64 } from '../../../engine/mm/uaccess.ts';
import { call, user_pages } from '../../support/calls.ts';
import { test_kernel } from '../../support/kernel.ts';

const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;

/** A child process with a copy of the address space; its tid. */
function fork_child(): number {
  const child = clone_task({
    flags: 0,
    clear_sighand: false,
    exit_signal: 17,
    stack: 0,
    tls: 0,
    parent_tid: 0,
    child_tid: 0,
    pidfd: 0,
  });
  assert.ok(child > 0, 'clone');
  return Task.tid.get(child as Ptr<'Task'>);
}

test('mmap takes anonymous memory, refuses bad descriptors and files that cannot be mapped', () => {
  const k = test_kernel();
  const at = call('mmap', 0, 8192, RW, ANON, -1, 0) as number;
  assert.ok(at > 0);
  assert.is(call('mmap', 0, 4096, RW, MAP_PRIVATE, 99, 0), -EBADF);
  assert.is(call('mmap', 0, 4096, RW, ANON, -1, 5), -EINVAL);
  assert.is(call('mmap', 0, 4096, RW, ANON | MAP_HUGETLB, -1, 0), -ENOMEM);
  const fds = user_pages(k, 1);
  assert.is(call('pipe2', fds, 0), 0);
  assert.is(call('mmap', 0, 4096, PROT_READ, MAP_PRIVATE, get_user_u32(fds), 0), -ENODEV);
  assert.is(call('munmap', at, 8192), 0);
  assert.is(call('munmap', at + 1, 8192), -EINVAL);
});

test('limits of the process hold at the next call', () => {
  const k = test_kernel();
  const group = Task.group.get(k.task);
  const bytes = (pages: number): number => (Mm.total_vm.get(k.mm) + pages) * 4096;
  set_group_rlimit(group, RLIMIT_AS, bytes(1), bytes(1));
  assert.is(call('mmap', 0, 8192, RW, ANON, -1, 0), -ENOMEM);
  assert.ok((call('mmap', 0, 4096, RW, ANON, -1, 0) as number) > 0);
  assert.is(call('mmap', 0, 4096, RW, ANON, -1, 0), -ENOMEM);
});

test('mincore tells touched pages from others', () => {
  const k = test_kernel();
  const at = user_pages(k, 300);
  const vector = user_pages(k, 1);
  for (const i of [0, 7, 256, 299]) put_user_u32(at + i * 4096, 1);
  assert.is(call('mincore', at, 300 * 4096, vector), 0);
  const found: number[] = [];
  for (let i = 0; i < 300; i++) if (get_user_u8(vector + i) === 1) found.push(i);
  assert.equal(found, [0, 7, 256, 299]);
  assert.is(call('mincore', at + 1, 4096, vector), -EINVAL);
  assert.is(call('mincore', at, 4096, 16), -EFAULT);
  assert.is(call('mincore', at + 300 * 4096, 4096, vector + 4096 * 1000), -ENOMEM);
});

test('process_vm_readv and writev move bytes between address spaces', () => {
  const k = test_kernel();
  const at = user_pages(k, 4);
  const vectors = user_pages(k, 1);
  for (let i = 0; i < 1024; i++) put_user_u32(at + i * 4, i);
  const child = fork_child();
  for (let i = 0; i < 1024; i++) put_user_u32(at + i * 4, 0);
  // Two local pieces, two remote ones, cut at different places.
  const put = (n: number, base: number, length: number): void => {
    put_user_u64(vectors + n * 16, base);
    put_user_u64(vectors + n * 16 + 8, length);
  };
  put(0, at + 8192, 100);
  put(1, at + 8300, 3996);
  put(2, at, 3000);
  put(3, at + 3000, 1096);
  assert.is(call('process_vm_readv', child, vectors, 2, vectors + 32, 2, 0), 4096);
  assert.is(get_user_u32(at + 8192 + 96), 24);
  assert.is(get_user_u32(at + 8300), 25);
  assert.is(get_user_u32(at + 8300 + 3992), 1023);
  put_user_u32(at + 8192, 4242);
  put(0, at + 8192, 4);
  put(2, at + 4, 4);
  assert.is(call('process_vm_writev', child, vectors, 1, vectors + 32, 1, 0), 4);
  put(0, at + 8196, 4);
  assert.is(call('process_vm_readv', child, vectors, 1, vectors + 32, 1, 0), 4);
  assert.is(get_user_u32(at + 8196), 4242);
  assert.is(get_user_u32(at + 4), 0, 'the parent keeps its own');
  put(2, 4096, 4);
  assert.is(call('process_vm_readv', child, vectors, 1, vectors + 32, 1, 0), -EFAULT);
  assert.is(call('process_vm_readv', 30000, vectors, 1, vectors + 32, 1, 0), -ESRCH);
  assert.is(call('process_vm_readv', child, vectors, 1, vectors + 32, 1, 1), -EINVAL);
  assert.is(Mm.refs.load(Task.mm.get(find_task(child) as Ptr<'Task'>)), 1);
});

test('membarrier wants a registration; NUMA calls and keys are those of a small machine', () => {
  test_kernel();
  assert.is(call('membarrier', 0, 0), 127);
  assert.is(call('membarrier', 8, 0), -EPERM);
  assert.is(call('membarrier', 16, 0), 0);
  assert.is(call('membarrier', 8, 0), 0);
  assert.is(call('membarrier', 1, 0), 0);
  assert.is(call('membarrier', 3, 0), -EINVAL);
  assert.is(call('mbind', 0, 0, 0, 0, 0, 0), -ENOSYS);
  assert.is(call('pkey_alloc', 0, 0), -ENOSPC);
});

test.run();
