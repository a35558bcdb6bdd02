/** Descriptions of calls on address spaces. */
import * as abi_mman from '../../engine/abi/mman.ts';
import {
  arg,
  array,
  blob,
  fixed,
  flags,
  input,
  len,
  maybe,
  of,
  one_of,
  output,
  pick,
  range,
  struct,
  vma,
} from './build.ts';
import { type CallDescription, call } from './call.ts';
import { pkey, program_break } from './resources.ts';
import { FD, IOVEC_IN, IOVEC_OUT, OFFSET, PID } from './structs.ts';

const PROT = flags(pick(abi_mman, 'PROT_READ', 'PROT_WRITE', 'PROT_EXEC', 'PROT_SEM', 'PROT_GROWS'));
const MAP_BITS = pick(abi_mman, 'MAP_');
const { MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED } = abi_mman;
const pages = arg('addr', vma());
const length = arg('length', len('addr'));
const PLACED = { MAP_FIXED, MAP_FIXED_NOREPLACE };

const REMOTE = input(array(struct('iovec_remote', arg('base', maybe(vma(1, 2))), arg('length', range(0, 8192))), 0, 3));

export const MEMORY_CALLS: readonly CallDescription[] = [
  call('mmap', [pages, length, arg('prot', PROT), arg('flags', flags(MAP_BITS)), arg('fd', FD), arg('offset', OFFSET)]),
  call('mmap$anonymous', [
    pages,
    length,
    arg('prot', PROT),
    arg('flags', one_of(combinations({ MAP_PRIVATE, MAP_SHARED }, MAP_ANONYMOUS, PLACED))),
    arg('fd', fixed(-1)),
    arg('offset', fixed(0)),
  ]),
  call('mmap$file', [
    pages,
    length,
    arg('prot', PROT),
    arg('flags', one_of(combinations({ MAP_PRIVATE, MAP_SHARED }, 0, PLACED))),
    arg('fd', FD),
    arg('offset', one_of({ first: 0, second: 4096, middle: 0x8000 })),
  ]),
  call('munmap', [pages, length]),
  call('mprotect', [pages, length, arg('prot', PROT)]),
  call('pkey_mprotect', [pages, length, arg('prot', PROT), arg('pkey', of(pkey))]),
  call('pkey_alloc', [arg('flags', range(0, 0)), arg('rights', range(0, 3))], pkey),
  call('pkey_free', [arg('pkey', of(pkey))]),
  call('mremap', [
    pages,
    arg('old_size', len('addr')),
    arg('new_size', len('new_addr')),
    arg('flags', flags(pick(abi_mman, 'MREMAP_'))),
    arg('new_addr', vma()),
  ]),
  call('msync', [pages, length, arg('flags', flags(pick(abi_mman, 'MS_')))]),
  call('mincore', [pages, length, arg('vec', output(blob(0, 64)))]),
  call('madvise', [pages, length, arg('advice', one_of(pick(abi_mman, 'MADV_')))]),
  call('mlock', [pages, length]),
  call('mlock2', [pages, length, arg('flags', flags(pick(abi_mman, 'MLOCK_')))]),
  call('munlock', [pages, length]),
  call('mlockall', [arg('flags', flags(pick(abi_mman, 'MCL_')))]),
  call('munlockall'),
  call('brk', [arg('addr', of(program_break))], program_break),
  call('remap_file_pages', [
    pages,
    length,
    arg('prot', range(0, 0)),
    arg('page', range(0, 8)),
    arg('flags', range(0, 0)),
  ]),
  call('membarrier', [arg('cmd', one_of(bits(10))), arg('flags', range(0, 1)), arg('cpu_id', range(0, 1, 4))]),
  call('process_vm_readv', [
    arg('pid', PID),
    arg('local_iov', input(array(IOVEC_OUT))),
    arg('liovcnt', len('local_iov')),
    arg('remote_iov', REMOTE),
    arg('riovcnt', len('remote_iov')),
    arg('flags', range(0, 0)),
  ]),
  call('process_vm_writev', [
    arg('pid', PID),
    arg('local_iov', input(array(IOVEC_IN))),
    arg('liovcnt', len('local_iov')),
    arg('remote_iov', REMOTE),
    arg('riovcnt', len('remote_iov')),
    arg('flags', range(0, 0)),
  ]),
];

/** Zero and the powers of two below 2^count: the commands of membarrier(2). */
function bits(count: number): Record<string, number> {
  const found: Record<string, number> = { query: 0 };
  for (let i = 0; i < count; i++) found[`bit${i}`] = 1 << i;
  return found;
}

/** Each of the kinds with each of the placements, and with none. */
function combinations(
  kinds: Readonly<Record<string, number>>,
  common: number,
  placements: Readonly<Record<string, number>>,
): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [kind, value] of Object.entries(kinds))
    for (const [placement, bit] of Object.entries({ anywhere: 0, ...placements }))
      found[`${kind}|${placement}`] = value | common | bit;
  return found;
}
