/**
 * What a new entry of the corpus is worth, one program a step:
 *
 *     smash    25 mutants
 *     hints    operands of the comparisons that its call made, put into the arguments
 *     faults   each place of the call that can fail does: fail_nth 1, 2, ... until nothing is left to fail
 *     races    its calls at the same time, in several orders
 */
import type { Comparison } from '../exec/executor.ts';
import { Comparisons, mutate_with_hints } from '../prog/hints.ts';
import type { Program } from '../prog/model.ts';
import { assign_async, duplicate } from '../prog/race.ts';
import { clone_program } from '../prog/walk.ts';
import type { Entry } from './corpus.ts';
import type { Fuzzer } from './fuzzer.ts';
import { once, order, type Source, times } from './queue.ts';

const MUTANTS = 25;
/** Calls fail in fewer places than this but for the very long ones. */
const MOST_FAULTS = 100;
/** A call that compares much, on much data, gives thousands: the first ones are the most telling. */
const MOST_HINTS = 300;
/** Variants of a program with calls at the same time, and orders to try each in. */
const RACES = 4;
const ORDERS = 3;

/** An entry that costs as much as this many blocks is not worth hundreds of runs: it is drawn now and then. */
const DEAR = 50_000;

export function follow_up(fuzzer: Fuzzer, entry: Entry): Source {
  if (entry.cost > DEAR) return faults(fuzzer, entry);
  return order(
    smash(fuzzer, entry),
    once(() => hints(fuzzer, entry)),
    faults(fuzzer, entry),
    races(fuzzer, entry),
  );
}

function smash(fuzzer: Fuzzer, entry: Entry): Source {
  return times(MUTANTS, () => {
    fuzzer.execute({ program: fuzzer.mutant(entry), seed: entry.seed, kind: 'smash' });
  });
}

function hints(fuzzer: Fuzzer, { program, seed, call }: Entry): void {
  const outcome = fuzzer.execute({ program, seed, kind: 'hints', collect: 'cmp' });
  const met = outcome?.calls[call]?.comparisons;
  if (met === undefined) return;
  let left = MOST_HINTS;
  mutate_with_hints(program, call, comparisons_of(met), (hinted) => {
    fuzzer.execute({ program: hinted, seed, kind: 'hints' });
    return --left > 0 && !fuzzer.stop();
  });
}

/** A constant is never the program's side; of two values, either may be. */
export function comparisons_of(met: readonly Comparison[]): Comparisons {
  const found = new Comparisons();
  for (const { low1, high1, low2, high2, constant } of met) {
    const first = u64(low1, high1);
    const second = u64(low2, high2);
    if (first === second) continue;
    found.add(first, second);
    if (!constant) found.add(second, first);
  }
  return found;
}

function u64(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function faults(fuzzer: Fuzzer, { program, seed, call }: Entry): Source {
  let nth = program.calls[call]!.properties.fail_nth > 0 ? MOST_FAULTS : 0;
  return {
    step: () => {
      if (++nth > MOST_FAULTS) return false;
      const copy = clone_program(program);
      copy.calls[call]!.properties.fail_nth = nth;
      const outcome = fuzzer.execute({ program: copy, seed, kind: 'faults' });
      if (outcome !== undefined && !outcome.calls[call]!.fault_injected) nth = MOST_FAULTS;
      return true;
    },
  };
}

function races(fuzzer: Fuzzer, { program }: Entry): Source {
  const { random } = fuzzer;
  let variant: Program | undefined;
  return times(RACES * ORDERS, (i) => {
    if (i % ORDERS === 0) variant = random.one_in(2) ? assign_async(random, program) : duplicate(random, program);
    if (variant === undefined) return;
    fuzzer.execute({ program: variant, seed: random.u32(), kind: 'races' });
  });
}
