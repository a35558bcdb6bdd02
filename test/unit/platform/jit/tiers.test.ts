/**
 * The interpreter and the translator do the same: random programs end every slice in the same state.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import type { JitOptions } from '../../../../engine/platform/jit/region_cache.ts';
import { EXIT_EXCEPTION, EXIT_FAULT } from '../../../../engine/platform/platform.ts';
import { CODE, DATA, GuestCode, STACK_TOP } from '../../../support/guest_code.ts';
import { describe_state } from '../../../support/guest_state.ts';
import { random_of } from '../../../support/random.ts';
import { random_graph } from '../../../support/random_graph.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const EXITS = 60;
const PAGES = [DATA, DATA + 4096];
/** Regions that lead to each other are a unit as soon as that is seen. */
const UNITS = { period: 1, samples: 2, cost: 0 };

/** A random program's blocks, and the most instructions of one. */
type Shape = readonly [blocks: number, longest: number];
const SHORT: Shape = [24, 6];
/** Blocks that a region takes in beyond its limit, in more pieces than the interpreter's blocks. */
const LONG: Shape = [6, 500];

/** Runs a random program to so many exits; what was seen at each. */
function run(seed: number, slice: number, jit: JitOptions | null, [blocks, longest]: Shape): string[] {
  const random = random_of(seed);
  const g = new GuestCode(2, jit);
  const code = random_graph(random, blocks, longest);
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
    seen.push(describe_state(g, reason, PAGES));
    if (reason === EXIT_EXCEPTION) CpuState.rip.set(g.cpu, CODE);
    if (reason === EXIT_FAULT) restart();
  }
  return seen;
}

for (const [name, jit, slice, shape] of [
  ['eager, long slices', { heat: 1, eager: true }, 3000, SHORT],
  ['eager, short slices', { heat: 1, eager: true }, 150, SHORT],
  ['eager, TLB misses resolved in place', { heat: 1, eager: true, misses: 0 }, 700, SHORT],
  ['eager, small regions', { heat: 1, eager: true, instructions: 3 }, 2000, SHORT],
  ['eager, small regions in units', { heat: 1, eager: true, instructions: 3, units: UNITS }, 1000, SHORT],
  ['hot code only, in units', { heat: 5, eager: false, instructions: 12, units: UNITS }, 2000, SHORT],
  ['hot code only', { heat: 20, eager: false }, 2000, SHORT],
  ['long blocks', { heat: 1, eager: true }, 1500, LONG],
  ['long blocks, regions that end in them', { heat: 1, eager: true, instructions: 300 }, 1500, LONG],
] as const)
  test(`random programs: ${name}`, () => {
    for (let seed = SEED; seed < SEED + 12; seed++) {
      const wanted = run(seed, slice, null, shape);
      const found = run(seed, slice, jit, shape);
      wanted.forEach((state, i) => {
        assert.is(found[i], state, `seed ${seed}, exit ${i}: repeat with TVISOR_SEED=${seed}`);
      });
    }
  });

test.run();
