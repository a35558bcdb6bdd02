/** The commands of `tvisor-harness`, in the order of the help. A command is a file of this folder and a line here. */

import { bench_command } from './bench.ts';
import type { Command } from './command.ts';
import { fuzz_command } from './fuzz.ts';
import { gen_command } from './gen.ts';

export const COMMANDS: readonly Command[] = [fuzz_command, gen_command, bench_command];
