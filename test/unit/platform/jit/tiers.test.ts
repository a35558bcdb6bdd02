/**
 * The interpreter and the translator do the same: random programs end every slice in the same state.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { U32 } from '../../../../engine/heap/memory.ts';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import type { JitOptions } from '../../../../engine/platform/jit/region_cache.ts';
import { EXIT_EXCEPTION, EXIT_FAULT } from '../../../../engine/platform/platform.ts';
import { CODE, DATA, GuestCode, STACK_TOP } from '../../../support/guest_code.ts';
import { random_of } from '../../../support/random.ts';
import { random_graph } from '../../../support/random_graph.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const EXITS = 60;

/** Bytes of the register record up to the first field that is not guest state. */
const STATE_WORDS = CpuState.ea.offset >> 2;

function hash(from: number, words: number, seed: number): number {
  let value = seed;
  for (let i = 0; i < words; i++) value = Math.imul(value ^ (U32[(from >>> 2) + i] as number), 0x0100_0193);
  return value >>> 0;
}

/** What can be seen when a slice ends. */
function describe(g: GuestCode, reason: number): string {
  const registers = Array.from({ length: 16 }, (_, i) => g.get(`r${i}`).toString(16)).join(' ');
  const xmm = hash(g.cpu + CpuState.xmm.offset, 64, 1);
  const data = hash(g.at(DATA), 1024, hash(g.at(DATA + 4096), 1024, 1));
  return [
    `reason ${reason} rip ${g.rip.toString(16)} retired ${CpuState.retired.get(g.cpu)} fuel ${Vcpu.fuel.get(g.vcpu)}`,
    `registers ${registers}`,
    `flags ${CpuState.flags_result.get_big(g.cpu).toString(16)} ${CpuState.flags_aux.get(g.cpu).toString(16)}`,
    `state ${hash(g.cpu, STATE_WORDS, 1)} xmm ${xmm} mxcsr ${CpuState.mxcsr.get(g.cpu)} data ${data}`,
    reason === EXIT_FAULT ? `fault ${Vcpu.fault_address.get(g.vcpu)} ${Vcpu.fault_access.get(g.vcpu)}` : '',
    reason === EXIT_EXCEPTION ? `vector ${Vcpu.exception.get(g.vcpu)}` : '',
  ].join('\n');
}

/** Runs a random program to so many exits; what was seen at each. */
function run(seed: number, slice: number, jit: JitOptions | null): string[] {
  const random = random_of(seed);
  const g = new GuestCode(2, jit);
  const code = random_graph(random, 24);
  g.load(code);
  for (let i = 0; i < 16; i++) g.set(`r${i}`, BigInt(random()) * BigInt(random()));
  CpuState.mxcsr.set(g.cpu, 0x1fa0);
  const seen: string[] = [];
  const restart = (): void => {
    g.set('rsi', BigInt(DATA + 0x800));
    g.set('rsp', BigInt(STACK_TOP - 0x100));
    CpuState.rip.set(g.cpu, CODE);
  };
  restart();
  for (let i = 0; i < EXITS; i++) {
    const reason = g.run(CpuState.rip.get(g.cpu), slice);
    seen.push(describe(g, reason));
    if (reason === EXIT_EXCEPTION) CpuState.rip.set(g.cpu, CODE);
    if (reason === EXIT_FAULT) restart();
  }
  return seen;
}

for (const [name, jit, slice] of [
  ['eager, long slices', { heat: 1, eager: true }, 3000],
  ['eager, short slices', { heat: 1, eager: true }, 150],
  ['eager, small regions', { heat: 1, eager: true, instructions: 3 }, 2000],
  ['hot code only', { heat: 20, eager: false }, 2000],
] as const)
  test(`random programs: ${name}`, () => {
    for (let seed = SEED; seed < SEED + 12; seed++) {
      const wanted = run(seed, slice, null);
      const found = run(seed, slice, jit);
      wanted.forEach((state, i) => {
        assert.is(found[i], state, `seed ${seed}, exit ${i}: repeat with TVISOR_SEED=${seed}`);
      });
    }
  });

test.run();
