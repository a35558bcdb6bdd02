/** The commands of `tvisor-harness`, in the order of the help. A command is a file of this folder and a line here. */

import { bench_command } from './bench.ts';
import { cmin_command } from './cmin.ts';
import type { Command } from './command.ts';
import { cover_command } from './cover.ts';
import { diff_command } from './diff.ts';
import { fuzz_command } from './fuzz.ts';
import { gen_command } from './gen.ts';
import { merge_command } from './merge.ts';
import { repro_command } from './repro.ts';
import { tmin_command } from './tmin.ts';

export const COMMANDS: readonly Command[] = [
  fuzz_command,
  repro_command,
  tmin_command,
  cmin_command,
  merge_command,
  cover_command,
  diff_command,
  gen_command,
  bench_command,
];
