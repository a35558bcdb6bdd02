/** The commands of `tvisor-harness`, in the order of the help. A command is a file of this folder and a line here. */

import { bench_command } from './bench.ts';
import type { Command } from './command.ts';
import { gen_command } from './gen.ts';

export const COMMANDS: readonly Command[] = [bench_command, gen_command];
