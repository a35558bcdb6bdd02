/**
 * The translator's memory is bounded: many programs, and one that rewrites itself, leave no more than the limits.
 * TVISOR_COUNT programs or versions are made of TVISOR_SEED; both may be large.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FrameAddr } from '../../../../engine/base/types.ts';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { ARENA_OFFSET, Vcpu, vcpu_stride_of } from '../../../../engine/machine/vcpu.layout.ts';
import { MAX_PAGES } from '../../../../engine/platform/interp/cache.ts';
import type { JitOptions } from '../../../../engine/platform/jit/region_cache.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_FUEL, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { ALL, DATA, EXECUTE, GuestCode, hex, STACK_TOP } from '../../../support/guest_code.ts';
import { heap_in_use } from '../../../support/heap.ts';
import { random_of } from '../../../support/random.ts';
import { random_graph } from '../../../support/random_graph.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const COUNT = Number(process.env.TVISOR_COUNT ?? 300);
const PLACES = 0x1000_0000;
const PAGE = 4096;
const LIMITS = { regions: 40, bytes: 1 << 20 };
const JIT: JitOptions = { heat: 20, eager: false, ...LIMITS };
/** Pages that programs have before one gets those of another. */
const USED_AGAIN = 1024;
/** Instructions that a version of the program that rewrites itself runs. */
const VERSION_INSTRUCTIONS = 304;
/** No region's module is larger. */
const LARGEST = 1 << 20;

function counters(g: GuestCode): string {
  const s = g.platform.statistics(g.vcpu);
  const { rss, external } = process.memoryUsage();
  return (
    `${Vcpu.regions_made.get(g.vcpu)} regions made, ${s.regions_live} live in ${s.region_places} places, ` +
    `${s.region_bytes_live} bytes; ${s.code_pages} pages, ${s.code_bytes} bytes of records, ${s.code_drops} drops; ` +
    `rss ${rss >> 20} MiB, external ${external >> 20} MiB`
  );
}

function check(g: GuestCode, regions = LIMITS.regions): void {
  const s = g.platform.statistics(g.vcpu);
  assert.ok(s.regions_live <= regions + 1, counters(g));
  assert.ok(s.region_bytes_live <= LIMITS.bytes + LARGEST, counters(g));
  assert.ok(s.region_places <= regions + 1, counters(g));
  assert.ok(s.code_pages <= MAX_PAGES + 2, counters(g));
  assert.ok(s.code_bytes <= vcpu_stride_of(1) - ARENA_OFFSET, counters(g));
}

/** Runs the program at an address for some slices; the registers at their ends. */
function run(g: GuestCode, address: number, slices: number): string {
  for (let i = 0; i < 16; i++) g.set(`r${i}`, BigInt(i + 1) << 20n);
  const seen: string[] = [];
  const restart = (): void => {
    g.set('rsi', BigInt(DATA + 0x800));
    g.set('rsp', BigInt(STACK_TOP - 0x100));
    CpuState.rip.set(g.cpu, address);
  };
  restart();
  for (let i = 0; i < slices; i++) {
    const reason = g.run(CpuState.rip.get(g.cpu), 2000);
    seen.push(
      `${reason} ${(g.rip - address).toString(16)} ${Array.from({ length: 16 }, (_, n) => g.get(`r${n}`) & 0xffffn)}`,
    );
    if (reason === EXIT_EXCEPTION || reason === EXIT_FAULT) restart();
  }
  return seen.join('\n');
}

/** Programs of so many seeds, one after the other, on pages that are used again; what each did. */
function run_programs(g: GuestCode, count: number, after: () => void): string[] {
  const seen: string[] = [];
  for (let n = 0; n < count; n++) {
    const address = PLACES + (n % USED_AGAIN) * 2 * PAGE;
    if (n < USED_AGAIN) g.map(address, 2, EXECUTE);
    else for (const page of [address, address + PAGE]) g.platform.invalidate_frame(g.at(page) as FrameAddr);
    g.write(address, random_graph(random_of(SEED + n), 8));
    seen.push(run(g, address, 8));
    after();
  }
  return seen;
}

test('many programs, whose pages stay for long', () => {
  const wanted = run_programs(new GuestCode(2, null), Math.min(COUNT, 40), () => {});
  const g = new GuestCode(2, JIT);
  const found = run_programs(g, COUNT, () => check(g));
  wanted.forEach((results, n) => {
    assert.is(found[n], results, `seed ${SEED + n}: repeat with TVISOR_SEED=${SEED + n}`);
  });
  console.log(counters(g));
  assert.ok(Vcpu.regions_made.get(g.vcpu) > 3 * LIMITS.regions, `nothing was evicted: ${counters(g)}`);
});

test('code of little use on many pages', () => {
  const g = new GuestCode(2, JIT);
  const frame = g.frame();
  const pages = MAX_PAGES + 500;
  // inc rbx; jmp to the next page, which is the same one.
  g.map(PLACES, pages, EXECUTE, frame);
  g.map(PLACES + pages * PAGE, 1, EXECUTE);
  g.write(PLACES, hex('48ffc3 e9f80f0000'));
  g.write(PLACES + pages * PAGE, hex('0f05'));
  g.set('rbx', 0n);
  for (let round = 1; round <= 2; round++) {
    assert.is(g.run(PLACES, 1_000_000), EXIT_SYSCALL);
    assert.is(g.get('rbx'), BigInt(round * pages));
    check(g);
  }
  assert.ok(g.platform.statistics(g.vcpu).code_drops > 0, counters(g));
  console.log(counters(g));
});

test('a program that rewrites itself', () => {
  const g = new GuestCode(2, JIT);
  g.map(PLACES, 2, ALL);
  g.map(PLACES + 2 * PAGE, 1, ALL);
  const versions = COUNT * 5;
  // L: mov [rdi+1], ecx; mov edx, 50; M: call rdi; add rbx, rax; dec edx; jnz M; dec ecx; jnz L; syscall
  g.write(PLACES, hex('894f01 ba32000000 ffd7 4801c3 ffca 75f7 ffc9 75eb 0f05'));
  g.write(PLACES + 2 * PAGE, hex('b800000000 c3'));
  g.set('rdi', BigInt(PLACES + 2 * PAGE));
  g.set('rbx', 0n);
  g.set('rcx', BigInt(versions));
  const before = heap_in_use();
  // A tenth of the versions at a time, with what is kept then; V8 has to let the regions go that nobody uses.
  let rip = PLACES;
  let reason = EXIT_FUEL;
  while (reason === EXIT_FUEL) {
    reason = g.run(rip, Math.ceil((versions * VERSION_INSTRUCTIONS) / 10));
    rip = g.rip;
    console.log(`${versions - Number(g.get('rcx'))} versions: ${counters(g)}`);
  }
  assert.is(reason, EXIT_SYSCALL);
  const kept = (heap_in_use() - before) / versions;
  assert.ok(kept < 10_000, `the engine keeps ${kept} bytes for each region that is gone`);
  assert.is(g.get('rbx'), (50n * BigInt(versions) * BigInt(versions + 1)) / 2n);
  check(g, 8);
  assert.ok(Vcpu.regions_made.get(g.vcpu) >= versions / 2, `too few versions were translated: ${counters(g)}`);
});

test.run();
