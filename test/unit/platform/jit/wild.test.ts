/**
 * Random programs of every kind of branch, fault and change of code end every slice in the same state in all tiers, and
 * when the tier changes on the way. TVISOR_COUNT programs are made of TVISOR_SEED.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FrameAddr } from '../../../../engine/base/types.ts';
import { CpuState } from '../../../../engine/machine/cpu.layout.ts';
import { PTE_EXEC } from '../../../../engine/machine/page_table.layout.ts';
import { ACCESS_EXEC, Vcpu } from '../../../../engine/machine/vcpu.layout.ts';
import type { JitOptions } from '../../../../engine/platform/jit/region_cache.ts';
import { EXIT_EXCEPTION, EXIT_FAULT, EXIT_FUEL, EXIT_SYSCALL } from '../../../../engine/platform/platform.ts';
import { ALL, CODE, DATA, EXECUTE, GuestCode, READ_ONLY, STACK_TOP } from '../../../support/guest_code.ts';
import { describe_state, load_guest, save_guest } from '../../../support/guest_state.ts';
import { random_of } from '../../../support/random.ts';
import { pick } from '../../../support/random_graph.ts';
import { wild_graph } from '../../../support/wild_graph.ts';

const SEED = Number(process.env.TVISOR_SEED ?? 1);
const COUNT = Number(process.env.TVISOR_COUNT ?? 8);
const EXITS = 50;
const PAGE = 4096;
const CODE_PAGES = 4;
const TABLE = 0x70_0000;
/** Pages that a program can change. */
const PAGES = [...[DATA, DATA + PAGE], ...[1, 2, 3, 4].flatMap((i) => [STACK_TOP - i * PAGE, CODE + (i - 1) * PAGE])];
const SLICES = [1, 2, 3, 10, 60, 300, 1000, 3000];

/** What happens at an exit besides, for all tiers alike. */
interface Step {
  readonly fuel: number;
  /** The code's last page goes away, and comes back when it is missed. */
  readonly unmap: boolean;
  /** Everything that is only a cache is dropped, or the other tier goes on. */
  readonly drop: boolean;
  readonly change: boolean;
  /** RIP becomes one of the table's targets, with a small count in rcx; -1: it does not. */
  readonly kick: number;
}

/** A program and what will happen to it. */
class Program {
  readonly seed: number;
  readonly steps: readonly Step[];
  /** Address of its first byte: not far before a page end. */
  readonly start: number;
  /** The last page that it reaches into. */
  private readonly last: number;
  /** Rights of the code's pages. */
  private readonly rights: number;
  private readonly bytes: readonly number[];
  private readonly targets: readonly number[];
  private readonly registers: readonly bigint[];

  constructor(seed: number) {
    const random = random_of(seed);
    for (let i = 0; i < 4; i++) random();
    this.seed = seed;
    this.start = CODE + PAGE - 1 - (random() % 200);
    const rewrites = random() % 2 === 0;
    this.rights = rewrites ? ALL : EXECUTE;
    const places = { code: this.start, table: TABLE, data: DATA, rewrites };
    const { bytes, targets } = wild_graph(random, 8 + (random() % 40), places);
    this.bytes = bytes;
    this.targets = targets;
    this.last = this.start + bytes.length - ((this.start + bytes.length) % PAGE);
    this.registers = Array.from({ length: 16 }, () => BigInt(random()) * BigInt(random()));
    this.steps = Array.from({ length: EXITS }, () => ({
      fuel: pick(random, SLICES),
      unmap: random() % 12 === 0,
      drop: random() % 8 === 0,
      change: random() % 3 === 0,
      kick: random() % 2 === 0 ? random() % this.targets.length : -1,
    }));
  }

  /** A machine with the program in it. */
  machine(jit: JitOptions | null): GuestCode {
    const g = new GuestCode(2, jit);
    g.map(CODE, CODE_PAGES, this.rights);
    const table = g.frame();
    g.map(TABLE, 1, READ_ONLY, table);
    this.targets.forEach((target, i) => {
      g.write_u64(TABLE + i * 8, BigInt(target));
    });
    g.load(this.bytes, this.start);
    this.registers.forEach((value, i) => {
      g.set(`r${i}`, value);
    });
    // What the kernel does depends on the guest's state alone, and changes it.
    g.hooks.syscall = () => {
      const rbx = g.get('rbx');
      g.set('rax', rbx + 1n);
      return rbx % 3n === 0n ? 1 : 0;
    };
    CpuState.mxcsr.set(g.cpu, 0x1fa0);
    this.restart(g);
    return g;
  }

  restart(g: GuestCode): void {
    g.set('rsi', BigInt(DATA + 0x800));
    g.set('rsp', BigInt(STACK_TOP - 0x100));
    CpuState.rip.set(g.cpu, this.start);
  }

  /** Takes the guest out of a loop that it would not leave. */
  kick(g: GuestCode, target: number): void {
    this.restart(g);
    g.set('rcx', g.get('rcx') & 63n);
    CpuState.rip.set(g.cpu, this.targets[target] as number);
  }

  /** Lets the program's last page be executed, or not. */
  set_last(g: GuestCode, there: boolean): void {
    const frame = ((g.pte(this.last) & ~0xfff) >>> 0) as FrameAddr;
    g.map(this.last, 1, there ? this.rights : this.rights & ~PTE_EXEC, frame);
    g.flush_tlb();
    g.platform.flush_translations(g.vcpu);
  }

  /** Whether a fetch from the last page has failed. */
  misses_last(g: GuestCode): boolean {
    const address = Vcpu.fault_address.get(g.vcpu);
    return Vcpu.fault_access.get(g.vcpu) === ACCESS_EXEC && address - (address % PAGE) === this.last;
  }
}

/** Runs a program; what was seen at each exit. With two tiers they take turns. */
function run(program: Program, tiers: readonly (JitOptions | null)[]): string[] {
  const machines = tiers.map((jit) => program.machine(jit));
  let turn = 0;
  let there = true;
  const seen: string[] = [];
  for (const step of program.steps) {
    const g = machines[turn] as GuestCode;
    g.bind();
    const reason = g.run(g.rip, step.fuel);
    seen.push(describe_state(g, reason, PAGES));
    if (reason === EXIT_FAULT && !there && program.misses_last(g)) there = true;
    else if (reason === EXIT_EXCEPTION || reason === EXIT_FAULT) program.restart(g);
    if (step.kick >= 0) program.kick(g, step.kick);
    if (step.unmap) there = false;
    if (step.drop) g.platform.drop_caches(g.vcpu);
    const image = save_guest(g, PAGES);
    if (step.change) turn = (turn + 1) % machines.length;
    const next = machines[turn] as GuestCode;
    next.bind();
    if (next !== g) load_guest(next, image, PAGES);
    program.set_last(next, there);
  }
  return seen;
}

const EAGER: JitOptions = { heat: 1, eager: true };
const wanted = new Map<number, string[]>();

for (const [name, tiers] of [
  ['everything translated', [EAGER]],
  ['everything translated, TLB misses resolved in place', [{ ...EAGER, misses: 0 }]],
  ['accesses that miss the TLB made again', [{ ...EAGER, misses: 2 }]],
  ['small regions', [{ ...EAGER, instructions: 3 }]],
  ['small regions in units', [{ ...EAGER, instructions: 4, units: { period: 1, samples: 2, cost: 0 } }]],
  ['hot code in units', [{ heat: 4, eager: false, instructions: 20, units: { period: 3, samples: 9, cost: 0 } }]],
  ['hot code translated', [{ heat: 20, eager: false }]],
  ['few regions at a time', [{ heat: 3, eager: false, regions: 3 }]],
  ['interpreter and translator by turns', [null, EAGER]],
  [
    'the translator by turns with itself',
    [
      { heat: 6, eager: false },
      { ...EAGER, instructions: 8 },
    ],
  ],
] as const)
  test(`random programs, ${name}`, () => {
    for (let seed = SEED; seed < SEED + COUNT; seed++) {
      const program = new Program(seed);
      if (!wanted.has(seed)) wanted.set(seed, run(program, [null]));
      const found = run(program, tiers);
      (wanted.get(seed) as string[]).forEach((state, i) => {
        assert.is(found[i], state, `seed ${seed}, exit ${i}: repeat with TVISOR_COUNT=1 TVISOR_SEED=${seed}`);
      });
    }
  });

// Few programs need not do everything.
const many_test = COUNT >= 8 ? test : test.skip;
many_test('the programs end slices in every way', () => {
  const lines = [...wanted.values()].flat();
  const exits = (reason: number): number => lines.filter((line) => line.startsWith(`reason ${reason} `)).length;
  for (const reason of [EXIT_SYSCALL, EXIT_FAULT, EXIT_EXCEPTION, EXIT_FUEL])
    assert.ok(exits(reason) > 0, `no exit of ${lines.length} for reason ${reason}`);
});

test.run();
