/**
 * Many different programs in one machine: they do what they do natively, and what the translator keeps of them is
 * bounded. TVISOR_COUNT programs are made of TVISOR_SEED, and run twice.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine, type VcpuStatistics } from '../../engine/index.ts';
import { MAX_PAGES } from '../../engine/platform/interp/cache.ts';
import { MAX_BYTES, REGIONS } from '../../engine/platform/jit/region_cache.ts';
import { type Command, GUEST_FILES, native_host, run_guest, run_native } from '../support/guest.ts';
import { random_of } from '../support/random.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const COUNT = Number(process.env.TVISOR_COUNT ?? 150);
const SECONDS = 60 + COUNT;
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

/** An executable file with that code (System V gABI, chapters 4 and 5). */
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
  view.setUint32(68, 5, true);
  for (const at of [80, 88]) view.setBigUint64(at, BigInt(BASE), true);
  for (const at of [96, 104]) view.setBigUint64(at, BigInt(bytes.length), true);
  view.setBigUint64(112, 4096n, true);
  bytes.set(code, HEADERS);
  return bytes;
}

function check({ code_pages, regions_live, region_bytes_live, region_places }: VcpuStatistics): void {
  const shown = `${regions_live} regions, ${region_bytes_live} bytes, ${region_places} places, ${code_pages} pages`;
  console.log(`${shown}, rss ${process.memoryUsage().rss >> 20} MiB`);
  assert.ok(regions_live <= REGIONS + 1 && region_places <= REGIONS + 1, shown);
  // A module is far smaller than a MiB.
  assert.ok(region_bytes_live <= MAX_BYTES + (1 << 20), shown);
  assert.ok(code_pages <= MAX_PAGES + 2, shown);
}

if (native_host())
  test(`${COUNT} programs, twice`, async () => {
    mkdirSync(GUEST_FILES, { recursive: true });
    const folder = mkdtempSync(join(GUEST_FILES, 'many-'));
    const random = random_of(SEED);
    for (let n = 0; n < COUNT; n++) {
      const path = join(folder, String(n));
      writeFileSync(path, executable(code_of(random)));
      chmodSync(path, 0o755);
    }
    const script = `i=0; while [ $i -lt ${COUNT} ]; do ${folder}/$i; echo $i $?; i=$((i+1)); done`;
    const command: Command = { argv: ['sh', '-c', script], cwd: '/', env: { PATH: '/usr/bin:/bin' } };
    const machine = await Machine.create({ vcpus: 0, memory: 512 << 20 });
    try {
      const wanted = await run_native(command);
      const made: number[] = [];
      for (let pass = 0; pass < 2; pass++) {
        const found = await run_guest(machine, command, SECONDS);
        assert.is(found.stdout, wanted.stdout, `repeat with TVISOR_SEED=${SEED} TVISOR_COUNT=${COUNT}`);
        assert.is(found.status, wanted.status);
        const vcpu = (await machine.statistics()).vcpus[0] as VcpuStatistics;
        check(vcpu);
        made.push(vcpu.regions_made);
      }
      const [first = 0, second = 0] = made;
      assert.ok(first >= COUNT, `${first} regions of ${COUNT} programs`);
      // Programs that are run again are not translated again, unless they had to make room.
      if (COUNT < REGIONS / 2) assert.ok(second - first < COUNT / 2, `${second - first} regions more`);
    } finally {
      await machine.close();
      rmSync(folder, { recursive: true });
    }
  });

test.run();
