/** Memory management: mmap(2) and its family, mlock, madvise, process_vm_readv, membarrier. */

import { CAP_IPC_LOCK } from '../abi/capability.ts';
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, ENOMEM, ENOSPC, ENOSYS, EPERM, PREEMPTED } from '../abi/errno.ts';
import {
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MAP_ANONYMOUS,
  MAP_HUGETLB,
  MAP_NONBLOCK,
  MAP_POPULATE,
  MLOCK_ONFAULT,
} from '../abi/mman.ts';
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK } from '../abi/resource.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_copy } from '../heap/bytes.ts';
import { arg_i32, arg_lo, arg_u32, arg_u64 } from '../kernel/args.ts';
import { fatal_signal_pending } from '../kernel/block.ts';
import { capable } from '../kernel/credentials.ts';
import { current, current_vcpu } from '../kernel/current.ts';
import { fd_file } from '../kernel/fd_table.ts';
import { rlimit } from '../kernel/limits.ts';
import { COPY_NS, charge, slice_is_over } from '../kernel/long_call.ts';
import { foreign_mm } from '../kernel/ptrace_access.ts';
import { Task } from '../kernel/task.layout.ts';
import { flush_others } from '../machine/flush_others.ts';
import { IoCursor } from '../machine/io.ts';
import { TASK_SIZE } from '../machine/page_table.layout.ts';
import { Vcpu } from '../machine/vcpu.layout.ts';
import { mm_put, mm_set_limits } from '../mm/address_space.ts';
import { do_brk } from '../mm/brk.ts';
import { FAULT_OOM } from '../mm/fault.ts';
import { IOV_MAX, iovec_length, load_iovec, loaded_base, loaded_length, pin_iovec } from '../mm/iov.ts';
import { do_madvise, do_msync, mincore_pages } from '../mm/madvise.ts';
import { do_mlock, do_mlockall, do_munlockall } from '../mm/mlock.ts';
import { Mm, VM_LOCKED, VM_LOCKONFAULT } from '../mm/mm.layout.ts';
import { do_mmap, do_munmap, page_align } from '../mm/mmap.ts';
import { do_mprotect } from '../mm/mprotect.ts';
import { do_mremap } from '../mm/mremap.ts';
import { populate_some, populated_to } from '../mm/populate.ts';
import { shoot_down } from '../mm/shootdown.ts';
import { copy_out, pin_mm } from '../mm/uaccess.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_PATH } from '../vfs/file.ts';
import { full, partial, type SyscallRow } from './row.ts';

/** The current address space, with the process's limits as they are now. */
function limited_mm(): Ptr<'Mm'> {
  const mm = Task.mm.get(current);
  const memlock = capable(CAP_IPC_LOCK) ? Infinity : rlimit(RLIMIT_MEMLOCK);
  mm_set_limits(mm, rlimit(RLIMIT_AS), rlimit(RLIMIT_DATA), rlimit(RLIMIT_STACK), memlock);
  return mm;
}

function sys_mmap(): number {
  const flags = arg_u32(3);
  const populated = Task.syscall_progress.get(current);
  if (populated !== 0)
    return populate_mapping(populated + Task.syscall_aux.get(current) * 4096 - page_align(arg_u64(1)));
  const offset = arg_u64(5);
  // A double cannot tell the lowest bits of the largest offsets.
  if ((arg_lo(5) & 4095) !== 0) return -EINVAL;
  let file = 0 as Ptr<'File'>;
  if ((flags & MAP_ANONYMOUS) === 0) {
    file = fd_file(arg_i32(4));
    if (file === 0 || File.kind.get(file) === FILE_KIND_PATH) return -EBADF;
    // Only files of a hugetlbfs can be mapped so.
    if ((flags & MAP_HUGETLB) !== 0) return -EINVAL;
  } else if ((flags & MAP_HUGETLB) !== 0) return -ENOMEM;
  const populates = (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE;
  const plain = populates ? flags & ~MAP_POPULATE : flags;
  const at = do_mmap(limited_mm(), arg_u64(0), arg_u64(1), arg_u32(2), plain, file, file === 0 ? 0 : offset);
  return at >= 0 && populates ? populate_mapping(at) : at;
}

/** Faults in what mmap(2) has mapped at `at`: that, or PREEMPTED. Failure to populate is no error of it. */
function populate_mapping(at: number): number {
  const length = page_align(arg_u64(1));
  return populate_in_turns(at, at + length, true) === PREEMPTED ? PREEMPTED : at;
}

/** Pages faulted in under one hold of the lock, and what each costs, ns. */
const TURN_PAGES = 512;
const FAULT_NS = 500;

/**
 * Faults in a range from `Task.syscall_progress` on, if that is set: 0, FAULT_*, or PREEMPTED with `Task.syscall_aux`
 * pages left. What ends the process ends it.
 */
function populate_in_turns(start: number, end: number, skip_forbidden: boolean): number {
  let at = Task.syscall_progress.get(current) || start;
  while (at < end) {
    const failed = populate_some(Task.mm.get(current), at, end, skip_forbidden, TURN_PAGES);
    if (failed !== 0) return failed;
    at = populated_to();
    charge(TURN_PAGES * FAULT_NS);
    if (fatal_signal_pending()) break;
    const left = Math.ceil((end - at) / 4096);
    if (left === 0 || left > 0xffff_ffff || !slice_is_over()) continue;
    Task.syscall_progress.set(current, at);
    Task.syscall_aux.set(current, left);
    return PREEMPTED;
  }
  return 0;
}

function sys_munmap(): number {
  if (is_unaligned(0)) return -EINVAL;
  return do_munmap(Task.mm.get(current), arg_u64(0), arg_u64(1));
}

function sys_mprotect(): number {
  if (is_unaligned(0)) return -EINVAL;
  return do_mprotect(limited_mm(), arg_u64(0), arg_u64(1), arg_u32(2));
}

/** No protection keys in this CPU: only the default key can be named, and none be allocated. */
function sys_pkey_mprotect(): number {
  return arg_i32(3) === -1 ? sys_mprotect() : -EINVAL;
}

function sys_pkey_alloc(): number {
  return arg_u64(0) !== 0 || arg_u64(1) > 3 ? -EINVAL : -ENOSPC;
}

function sys_pkey_free(): number {
  return -EINVAL;
}

function sys_mremap(): number {
  if (is_unaligned(0)) return -EINVAL;
  return do_mremap(limited_mm(), arg_u64(0), arg_u64(1), arg_u64(2), arg_u32(3), arg_u64(4));
}

function sys_brk(): number {
  return do_brk(limited_mm(), arg_u64(0));
}

function sys_madvise(): number {
  const advice = arg_i32(2);
  const mm = Task.mm.get(current);
  const end = arg_u64(0) + page_align(arg_u64(1));
  const populates = advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE;
  if (!populates || is_unaligned(0) || !(end <= TASK_SIZE)) return do_madvise(mm, arg_u64(0), arg_u64(1), advice);
  let at = Task.syscall_progress.get(current) || arg_u64(0);
  while (at < end) {
    const n = Math.min(TURN_PAGES * 4096, end - at);
    const result = do_madvise(mm, at, n, advice);
    if (result !== 0) return result;
    at += n;
    charge(TURN_PAGES * FAULT_NS);
    if (fatal_signal_pending()) return -EINTR;
    if (at === end || !slice_is_over()) continue;
    Task.syscall_progress.set(current, at);
    return PREEMPTED;
  }
  return 0;
}

/** Whether argument `n` is no page address. Of one above 2^53 only the halves are exact. */
function is_unaligned(n: number): boolean {
  return (arg_lo(n) & 0xfff) !== 0;
}

function sys_msync(): number {
  if (is_unaligned(0)) return -EINVAL;
  return do_msync(Task.mm.get(current), arg_u64(0), arg_u64(1), arg_i32(2));
}

/** Pages looked at under one hold of the lock; their bytes fit in the vCPU's scratch area. */
const MINCORE_CHUNK = 256;

function sys_mincore(): number {
  const address = arg_u64(0);
  const length = arg_u64(1);
  const vector = arg_u64(2);
  if (is_unaligned(0)) return -EINVAL;
  if (address > TASK_SIZE || length > TASK_SIZE - address) return -ENOMEM;
  const pages = Math.ceil(length / 4096);
  if (vector > TASK_SIZE || pages > TASK_SIZE - vector) return -EFAULT;
  const mm = Task.mm.get(current);
  const scratch = Vcpu.scratch.at(current_vcpu);
  for (let done = 0; done < pages; done += MINCORE_CHUNK) {
    const n = Math.min(MINCORE_CHUNK, pages - done);
    const found = mincore_pages(mm, address + done * 4096, n, scratch);
    if (copy_out(vector + done, scratch, found) !== 0) return -EFAULT;
    if (found < n) return -ENOMEM;
  }
  return 0;
}

/** mlock(2): locks the range, then faults it in. It stays locked when that fails (__mlock_posix_error_return). */
function lock_range(lock_flags: number): number {
  const begun = Task.syscall_progress.get(current) !== 0;
  const locked = begun ? 0 : do_mlock(limited_mm(), arg_u64(0), arg_u64(1), lock_flags, false);
  if (locked !== 0 || lock_flags !== VM_LOCKED) return locked;
  const start = arg_u64(0) - (arg_u64(0) % 4096);
  const populated = populate_in_turns(start, page_align(arg_u64(0) + arg_u64(1)), false);
  if (populated === 0 || populated === PREEMPTED) return populated;
  return populated === FAULT_OOM ? -EAGAIN : -ENOMEM;
}

function sys_mlock(): number {
  return lock_range(VM_LOCKED);
}

function sys_mlock2(): number {
  const flags = arg_u32(2);
  if ((flags & ~MLOCK_ONFAULT) !== 0) return -EINVAL;
  const on_fault = (flags & MLOCK_ONFAULT) !== 0 ? VM_LOCKONFAULT : 0;
  return lock_range(VM_LOCKED | on_fault);
}

function sys_munlock(): number {
  return do_mlock(limited_mm(), arg_u64(0), arg_u64(1), 0, false);
}

function sys_mlockall(): number {
  return do_mlockall(limited_mm(), arg_u32(0), false);
}

function sys_munlockall(): number {
  return do_munlockall(Task.mm.get(current));
}

const local = new IoCursor();
const remote = new IoCursor();
/** Bytes moved at a time. */
const VM_CHUNK = 256 << 10;

/** Copies between the current task's vector and one range of the other's memory: bytes, or -EFAULT. */
function vm_copy(mm: Ptr<'Mm'>, skip: number, base: number, length: number, write: boolean): number {
  const vector = arg_u64(1);
  const count = arg_u32(2);
  let done = 0;
  while (done < length) {
    const wanted = Math.min(VM_CHUNK, length - done);
    local.reset();
    remote.reset();
    const there = pin_mm(mm, remote, base + done, wanted, write);
    if (there <= 0) return done > 0 ? done : there;
    const here = pin_iovec(local, vector, count, skip + done, there, !write);
    if (here < 0) return done > 0 ? done : here;
    while (local.remaining > 0) {
      const n = Math.min(local.piece_length(), remote.piece_length());
      const from = write ? local : remote;
      const to = write ? remote : local;
      bytes_copy(to.piece_address(), from.piece_address(), n);
      local.advance(n);
      remote.advance(n);
    }
    done += here;
    charge(here * COPY_NS);
    if (here < wanted || fatal_signal_pending()) return done;
  }
  return done;
}

function process_vm(write: boolean): number {
  if (arg_u64(5) !== 0) return -EINVAL;
  const total = iovec_length(arg_u64(1), Math.min(arg_u64(2), IOV_MAX + 1));
  const vector = arg_u64(3);
  const count = arg_u64(4);
  if (total <= 0) return total;
  if (count > IOV_MAX) return -EINVAL;
  // Remote addresses are only looked at when they are used: no check that they are user addresses.
  for (let i = 0; i < count; i++) if (!load_iovec(vector + i * 16)) return -EFAULT;
  const mm = foreign_mm(arg_i32(0), false);
  if (mm < 0) return mm;
  let done = 0;
  let error = 0;
  for (let i = 0; i < count && done < total; i++) {
    if (!load_iovec(vector + i * 16)) break;
    const length = Math.min(loaded_length(), total - done);
    if (length === 0) continue;
    const n = vm_copy(mm as Ptr<'Mm'>, done, loaded_base(), length, write);
    if (n < 0) error = n;
    else done += n;
    if (n < length) break;
  }
  mm_put(mm as Ptr<'Mm'>);
  return done > 0 ? done : error;
}

function sys_process_vm_readv(): number {
  return process_vm(false);
}

function sys_process_vm_writev(): number {
  return process_vm(true);
}

const MEMBARRIER_CMD_GLOBAL = 1;
const MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2;
const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4;
const MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8;
const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16;
const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 32;
const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64;
const MEMBARRIER_COMMANDS = 127;

/** A vCPU that takes a flush request executes fences; one in the kernel or idle does on its way to the guest. */
function sys_membarrier(): number {
  const mm = Task.mm.get(current);
  if (arg_u32(1) !== 0) return -EINVAL;
  switch (arg_i32(0)) {
    case 0:
      return MEMBARRIER_COMMANDS;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
      flush_others(0 as Ptr<'Mm'>);
      return 0;
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
      Mm.membarrier.or(mm, arg_i32(0));
      return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
      // Each needs its registration, the next command bit.
      if ((Mm.membarrier.load(mm) & (arg_i32(0) << 1)) === 0) return -EPERM;
      shoot_down(mm);
      return 0;
    default:
      return -EINVAL;
  }
}

function no_numa(): number {
  return -ENOSYS;
}

function numa_row(number: number, name: string): SyscallRow {
  return { number, name, handler: no_numa, args: [], support: 'unsupported', note: 'as on a kernel without NUMA' };
}

export const MEMORY_ROWS: readonly SyscallRow[] = [
  {
    ...partial(
      9,
      'mmap',
      'no huge pages; MAP_SYNC is refused',
      sys_mmap,
      'addr:ptr',
      'length:size',
      'prot:flags(PROT)',
      'flags:flags(MAP)',
      'fd:fd',
      'offset:off',
    ),
    result: 'ptr',
  },
  full(10, 'mprotect', sys_mprotect, 'addr:ptr', 'length:size', 'prot:flags(PROT)'),
  full(11, 'munmap', sys_munmap, 'addr:ptr', 'length:size'),
  { ...full(12, 'brk', sys_brk, 'addr:ptr'), result: 'ptr' },
  {
    ...full(
      25,
      'mremap',
      sys_mremap,
      'old_addr:ptr',
      'old_size:size',
      'new_size:size',
      'flags:flags(MREMAP)',
      'new_addr:ptr',
    ),
    result: 'ptr',
  },
  full(26, 'msync', sys_msync, 'addr:ptr', 'length:size', 'flags:flags(MS)'),
  full(27, 'mincore', sys_mincore, 'addr:ptr', 'length:size', 'vec:ptr'),
  partial(
    28,
    'madvise',
    'no huge pages, KSM or memory failure injection; MADV_FREE frees at once',
    sys_madvise,
    'addr:ptr',
    'length:size',
    'advice:enum(MADV)',
  ),
  full(149, 'mlock', sys_mlock, 'addr:ptr', 'length:size'),
  full(150, 'munlock', sys_munlock, 'addr:ptr', 'length:size'),
  full(151, 'mlockall', sys_mlockall, 'flags:flags(MCL)'),
  full(152, 'munlockall', sys_munlockall),
  numa_row(237, 'mbind'),
  numa_row(238, 'set_mempolicy'),
  numa_row(239, 'get_mempolicy'),
  numa_row(256, 'migrate_pages'),
  numa_row(279, 'move_pages'),
  full(
    310,
    'process_vm_readv',
    sys_process_vm_readv,
    'pid:pid',
    'local_iov:outiovec(2)',
    'liovcnt:ulong',
    'remote_iov:ptr',
    'riovcnt:ulong',
    'flags:ulong',
  ),
  full(
    311,
    'process_vm_writev',
    sys_process_vm_writev,
    'pid:pid',
    'local_iov:iovec(2)',
    'liovcnt:ulong',
    'remote_iov:ptr',
    'riovcnt:ulong',
    'flags:ulong',
  ),
  full(324, 'membarrier', sys_membarrier, 'cmd:int', 'flags:uint', 'cpu_id:int'),
  full(325, 'mlock2', sys_mlock2, 'addr:ptr', 'length:size', 'flags:uint'),
  partial(
    329,
    'pkey_mprotect',
    'as on a CPU without protection keys',
    sys_pkey_mprotect,
    'addr:ptr',
    'length:size',
    'prot:flags(PROT)',
    'pkey:int',
  ),
  partial(330, 'pkey_alloc', 'as on a CPU without protection keys', sys_pkey_alloc, 'flags:ulong', 'rights:ulong'),
  partial(331, 'pkey_free', 'as on a CPU without protection keys', sys_pkey_free, 'pkey:int'),
];
