/**
 * Many different programs in one machine, and one that rewrites itself: they do what they do natively, and what the
 * translator keeps of them is bounded. TVISOR_COUNT programs are made of TVISOR_SEED, and run TVISOR_PASSES times; the
 * other one has TVISOR_VERSIONS versions. Long runs say every half a minute what is kept.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, type VcpuStatistics } from '../../engine/index.ts';
import { MAX_PAGES } from '../../engine/platform/interp/cache.ts';
import { MAX_BYTES, REGIONS } from '../../engine/platform/jit/region_cache.ts';
import { type Command, GUEST_FILES, native_host, run_guest, run_native } from '../support/guest.ts';
import { heap_in_use } from '../support/heap.ts';
import { random_of } from '../support/random.ts';

const REPEAT = 'TVISOR_SEED, TVISOR_COUNT, TVISOR_PASSES and TVISOR_VERSIONS as they are';
const SEED = Number(process.env.TVISOR_SEED ?? 1);
const COUNT = Number(process.env.TVISOR_COUNT ?? 150);
const PASSES = Number(process.env.TVISOR_PASSES ?? 2);
const VERSIONS = Number(process.env.TVISOR_VERSIONS ?? 200);
const REPORT_EVERY = 30_000;
/** Bytes of JavaScript objects that may come in the passes behind the second one: garbage that was not collected. */
const GROWTH = 16 << 20;
const BASE = 0x40_0000;
const HEADERS = 64 + 56;
/** eax, edx, ebx, ebp, esi, edi: ecx counts, esp is left alone. */
const REGISTERS = [0, 2, 3, 5, 6, 7];
/** add, or, and, sub, xor of two registers. */
const OPERATIONS = [0x01, 0x09, 0x21, 0x29, 0x31];

function le32(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255];
}

/** A loop of random arithmetic that becomes hot, then exit with seven bits of a register. */
function code_of(random: () => number): number[] {
  const register = (): number => REGISTERS[random() % REGISTERS.length] as number;
  const body: number[] = [];
  for (let n = 4 + (random() % 8); n > 0; n--) {
    const [to, from] = [register(), register()];
    const kind = random() % 4;
    if (kind === 0) body.push(0xc1, 0xc0 | to, 1 + (random() % 31));
    else if (kind === 1) body.push(0x69, 0xc0 | (to << 3) | from, ...le32(random() | 1));
    else if (kind === 2) body.push(0x81, 0xc0 | to, ...le32(random()));
    else body.push(OPERATIONS[random() % OPERATIONS.length] as number, 0xc0 | (from << 3) | to);
  }
  const start = REGISTERS.flatMap((number) => [0xb8 | number, ...le32(random())]);
  const loop = [...body, 0xff, 0xc9, 0x0f, 0x85, ...le32(-(body.length + 8))];
  const end = [0x83, 0xe7, 0x7f, 0xb8, ...le32(60), 0x0f, 0x05];
  return [...start, 0xb9, ...le32(33_000 + (random() % 4000)), ...loop, ...end];
}

/**
 * A program of so many versions of a function, each of which is called until the loop around it is hot:
 * mov ebp, versions; L: mov [f+1], ebp; mov ecx, 34000; M: call f; add ebx, eax; dec ecx; jnz M; dec ebp; jnz L; exit with
 * seven bits of ebx; f: mov eax, 0; ret. All is on one page.
 */
function rewriting(versions: number): number[] {
  const call = [0xe8, ...le32(22), 0x01, 0xc3, 0xff, 0xc9, 0x75, 0xf5];
  const loop = [0x89, 0x2d, ...le32(33), 0xb9, ...le32(34_000), ...call, 0xff, 0xcd];
  const end = [0x89, 0xdf, 0x83, 0xe7, 0x7f, 0xb8, ...le32(60), 0x0f, 0x05];
  return [0xbd, ...le32(versions), ...loop, 0x75, -(loop.length + 2), ...end, 0xb8, ...le32(0), 0xc3];
}

/** An executable file with that code, which it may write (System V gABI, chapters 4 and 5). */
function executable(code: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(HEADERS + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  for (const [at, value] of [
    [16, 2],
    [18, 62],
    [52, 64],
    [54, 56],
    [56, 1],
  ] as const)
    view.setUint16(at, value, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(BASE + HEADERS), true);
  view.setBigUint64(32, 64n, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 7, true);
  for (const at of [80, 88]) view.setBigUint64(at, BigInt(BASE), true);
  for (const at of [96, 104]) view.setBigUint64(at, BigInt(bytes.length), true);
  view.setBigUint64(112, 4096n, true);
  bytes.set(code, HEADERS);
  return bytes;
}

/** Runs a program on the machine and natively: both do the same. What is kept is looked at meanwhile. */
async function compare(machine: Machine, command: Command, seconds: number): Promise<VcpuStatistics> {
  const started = Date.now();
  const look = async (): Promise<VcpuStatistics> => {
    const vcpu = (await machine.statistics()).vcpus[0] as VcpuStatistics;
    check(vcpu, (Date.now() - started) / 1000);
    return vcpu;
  };
  const timer = setInterval(look, REPORT_EVERY);
  try {
    const found = await run_guest(machine, command, seconds);
    const wanted = await run_native(command);
    assert.is(found.stdout, wanted.stdout, `repeat with ${REPEAT}`);
    assert.is(found.status, wanted.status, `repeat with ${REPEAT}`);
    return await look();
  } finally {
    clearInterval(timer);
  }
}

/** Regions in units have two places, and each unit has one. */
const PLACES = 3 * REGIONS;

function check(vcpu: VcpuStatistics, seconds: number): void {
  const { code_pages, code_bytes, regions_made, regions_live, region_bytes_live, region_places } = vcpu;
  const regions = `${regions_made} regions made, ${regions_live} live in ${region_places} places`;
  const shown = `${regions}, ${region_bytes_live} bytes; ${code_pages} pages, ${code_bytes} bytes of records`;
  const heap = heap_in_use();
  console.log(`${seconds.toFixed(0)} s: ${shown}; rss ${process.memoryUsage().rss >> 20} MiB, heap ${heap >> 10} KiB`);
  assert.ok(regions_live <= REGIONS + 1 && region_places <= PLACES, shown);
  // A module is far smaller than a MiB.
  assert.ok(region_bytes_live <= MAX_BYTES + (1 << 20), shown);
  assert.ok(code_pages <= MAX_PAGES + 2, shown);
}

/** Writes an executable file; its path. */
function write_program(folder: string, name: string, code: readonly number[]): string {
  const path = join(folder, name);
  writeFileSync(path, executable(code));
  chmodSync(path, 0o755);
  return path;
}

/** Runs with a machine and a folder that its guests see. */
async function with_machine(run: (machine: Machine, folder: string) => Promise<void>): Promise<void> {
  mkdirSync(GUEST_FILES, { recursive: true });
  const folder = mkdtempSync(join(GUEST_FILES, 'many-'));
  const machine = await Machine.create({ vcpus: 0, memory: 512 << 20 });
  try {
    await run(machine, folder);
  } finally {
    await machine.close();
    rmSync(folder, { recursive: true });
  }
}

if (native_host()) {
  test(`${COUNT} programs, ${PASSES} times`, () =>
    with_machine(async (machine, folder) => {
      const random = random_of(SEED);
      for (let n = 0; n < COUNT; n++) write_program(folder, String(n), code_of(random));
      const script = `i=0; while [ $i -lt ${COUNT} ]; do ${folder}/$i; echo $i $?; i=$((i+1)); done`;
      const command: Command = { argv: ['sh', '-c', script], cwd: '/', env: { PATH: '/usr/bin:/bin' } };
      const made: number[] = [];
      const kept: number[] = [];
      for (let pass = 0; pass < PASSES; pass++) {
        made.push((await compare(machine, command, 60 + COUNT)).regions_made);
        kept.push(heap_in_use());
      }
      const [first = 0, second = 0] = made;
      assert.ok(first >= COUNT, `${first} regions of ${COUNT} programs`);
      // Programs that are run again are not translated again, unless they had to make room.
      if (COUNT < REGIONS / 2) assert.ok(second - first < COUNT / 2, `${second - first} regions more`);
      const growth = (kept.at(-1) as number) - (kept[1] as number);
      assert.ok(growth < GROWTH, `${growth} bytes more in use`);
    }));

  test(`a program with ${VERSIONS} versions`, () =>
    with_machine(async (machine, folder) => {
      const command: Command = { argv: [write_program(folder, 'rewriting', rewriting(VERSIONS))], cwd: '/', env: {} };
      const before = heap_in_use();
      const { regions_made, regions_live } = await compare(machine, command, 60 + VERSIONS / 50);
      assert.ok(regions_made >= VERSIONS / 2, `${regions_made} regions of ${VERSIONS} versions`);
      assert.ok(regions_live < 16, `${regions_live} regions of one version`);
      const growth = heap_in_use() - before;
      assert.ok(growth < GROWTH, `${growth} bytes more in use`);
    }));
}

test.run();
