/**
 * The same memory calls here and on the host's Linux: results and the resulting maps must be equal.
 * Skipped where there is no Linux with a C compiler.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENOMEM } from '../../../engine/abi/errno.ts';
import type { Ptr } from '../../../engine/base/types.ts';
import { mm_put } from '../../../engine/mm/address_space.ts';
import { do_madvise, do_msync } from '../../../engine/mm/madvise.ts';
import { do_mlock } from '../../../engine/mm/mlock.ts';
import { VM_EXEC, VM_LOCKED, VM_MAYSHARE, VM_READ, VM_WRITE } from '../../../engine/mm/mm.layout.ts';
import { do_mmap, do_munmap, page_align } from '../../../engine/mm/mmap.ts';
import { do_mprotect } from '../../../engine/mm/mprotect.ts';
import { do_mremap } from '../../../engine/mm/mremap.ts';
import { populate_some } from '../../../engine/mm/populate.ts';
import { vma_snapshot } from '../../../engine/mm/stats.ts';
import { test_mm } from '../../support/mm.ts';
import { expect_consistent, expect_nothing_left } from '../../support/mm_check.ts';
import { random_of, seed_of } from '../../support/random.ts';

const NO_FILE = 0 as Ptr<'File'>;
const LOW = 0x1000_0000;
const HIGH = 0x1010_0000;
const CALLS = 4000;

type Call = readonly [string, number, number, number, number, number];

/** `faults` adds calls that fault pages in, and leaves out mremap. */
function random_call(random: () => number, faults: boolean): Call {
  const below = (n: number): number => random() % n;
  const pick = (values: readonly number[]): number => values[below(values.length)] as number;
  const at = LOW + below(40) * 4096 + pick([0, 0, 0, 0, 0, 0, 0, 8]);
  const length = pick([0, 1, 4096, 4096, 8192, 12288, 5000, 20480, 65536]);
  switch (below(faults ? 13 : 11)) {
    case 0:
    case 1:
    case 2:
    case 3:
      // Private or shared, always MAP_FIXED or MAP_FIXED_NOREPLACE: other placement depends on the host.
      return ['mmap', at, length, below(8), pick([1, 2, 2, 3, 0]) | 0x20 | pick([0x10, 0x10, 0x10_0010, 0x4010]), 0];
    case 4:
      return ['munmap', at, length, 0, 0, 0];
    case 5:
    case 6:
      return ['mprotect', at, length, pick([0, 1, 2, 3, 4, 5, 7, 16, 0x100_0001]), 0, 0];
    case 7:
      if (faults) return ['madvise', at, length, pick([22, 23]), 0, 0];
      return ['mremap', at, length, pick([4096, 8192, 20480, 1]), pick([0, 0, 8]), 0];
    case 8:
      if (faults) return ['munlock', at, length, 0, 0, 0];
      return ['mremap', at, length, pick([4096, 8192, 20480]), pick([3, 3, 3, 7]), LOW + below(60) * 4096];
    case 9:
      return ['madvise', at, length, pick([0, 1, 2, 3, 4, 4, 8, 9, 10, 11, 16, 17, 18, 19, 99]), 0, 0];
    case 10:
      return ['msync', at, length, pick([0, 1, 2, 4, 5, 8]), 0, 0];
    default:
      return ['mlock', at, length, 0, 0, 0];
  }
}

/**
 * Whether kernels of all versions agree on the call: of ill-formed moves some unmap the target before they
 * fail, and newer ones move several mappings at once.
 */
function portable(mm: Ptr<'Mm'>, [name, at, length, new_length, flags, to]: Call): boolean {
  if (name !== 'mremap') return true;
  const vma = vma_snapshot(mm, at);
  const old_end = at + Math.ceil(length / 4096) * 4096;
  if (vma === null || at % 4096 !== 0 || length === 0 || vma.start > at || vma.end < old_end) return false;
  if ((flags & 4) !== 0 && Math.ceil(length / 4096) !== Math.ceil(new_length / 4096)) return false;
  return (flags & 2) === 0 || to >= old_end || to + new_length <= at;
}

function own_result(mm: Ptr<'Mm'>, [name, a, b, c, d, e]: Call): number {
  switch (name) {
    case 'mmap':
      return do_mmap(mm, a, b, c, d, NO_FILE, 0);
    case 'munmap':
      return do_munmap(mm, a, b);
    case 'mprotect':
      return do_mprotect(mm, a, b, c);
    case 'mremap':
      return do_mremap(mm, a, b, c, d, e);
    case 'madvise':
      return do_madvise(mm, a, b, c);
    case 'msync':
      return do_msync(mm, a, b, c);
    case 'mlock':
      return lock_range(mm, a, b);
    default:
      return do_mlock(mm, a, b, 0, true);
  }
}

/** As mlock(2): the range is faulted in when it is locked. */
function lock_range(mm: Ptr<'Mm'>, address: number, length: number): number {
  const locked = do_mlock(mm, address, length, VM_LOCKED, true);
  if (locked !== 0) return locked;
  const end = page_align(address + length);
  return populate_some(mm, address - (address % 4096), end, false, Number.POSITIVE_INFINITY) === 0 ? 0 : -ENOMEM;
}

const hex = (n: number): string => (n < 0 ? BigInt.asUintN(64, BigInt(n)).toString(16) : n.toString(16));

const call_text = ([name, ...numbers]: Call): string => [name, ...numbers.map(hex)].join(' ');

function own_line(mm: Ptr<'Mm'>, call: Call): string {
  let line = `${call[0]} ${hex(own_result(mm, call))}`;
  for (let v = vma_snapshot(mm, LOW); v !== null && v.end <= HIGH; v = vma_snapshot(mm, v.end)) {
    const right = (bit: number, letter: string): string => ((v!.flags & bit) !== 0 ? letter : '-');
    const shared = (v.flags & VM_MAYSHARE) !== 0;
    const rights = `${right(VM_READ, 'r')}${right(VM_WRITE, 'w')}${right(VM_EXEC, 'x')}${shared ? 's' : 'p'}`;
    line += ` ${hex(v.start)}-${hex(v.end)}${rights}@${hex(shared ? v.offset : 0)}`;
  }
  return line;
}

const directory = mkdtempSync(join(tmpdir(), 'tvisor-mm-'));
const binary = join(directory, 'mm_native');
const source = fileURLToPath(new URL('../../../../test/support/mm_native.c', import.meta.url));
const usable =
  process.platform === 'linux' && spawnSync('cc', ['-O1', '-o', binary, source], { stdio: 'ignore' }).status === 0;

/** Runs the same calls here and natively; what is compared of each line is what `shown` leaves. */
function compare(name: string, faults: boolean, shown: (line: string) => string): void {
  const random = random_of(seed_of(name));
  const mm = test_mm();
  const calls: Call[] = [];
  const own: string[] = [];
  while (calls.length < CALLS) {
    const call = random_call(random, faults);
    if (!portable(mm, call)) continue;
    calls.push(call);
    own.push(own_line(mm, call));
  }
  const input = calls.map(call_text).join('\n');
  const native = execFileSync(binary, { input: `${input}\n`, encoding: 'utf8', maxBuffer: 64 << 20 }).split('\n');
  for (const [i, call] of calls.entries())
    assert.is(shown(own[i] ?? ''), shown(native[i] ?? ''), `call ${i}: ${call_text(call)}, after ${native[i - 1]}`);
  expect_consistent(mm);
  mm_put(mm);
  expect_nothing_left();
}

const maybe = usable ? test : test.skip;

maybe('results and maps are those of the host kernel', () => {
  compare('mm native', false, (line) => line);
});

// Which faulted neighbours Linux joins depends on the history of their anon_vmas: only results are compared.
maybe('results are those of the host kernel when pages are faulted in', () => {
  compare('mm native with faults', true, (line) => line.split(' ', 2).join(' '));
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
