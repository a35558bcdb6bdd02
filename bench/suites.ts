/** The suites, in the order they run when none is named. */
import type { Suite } from './core/suite.ts';
import { cpu_suite } from './suites/cpu.ts';
import { harness_suite } from './suites/harness.ts';
import { kcov_suite } from './suites/kcov.ts';
import { scaling_suite } from './suites/scaling.ts';
import { heap_suite, interp_suite } from './suites/scripts.ts';
import { startup_suite } from './suites/startup.ts';
import { syscalls_suite } from './suites/syscalls.ts';

export const SUITES: readonly Suite[] = [
  syscalls_suite,
  scaling_suite,
  startup_suite,
  cpu_suite,
  harness_suite,
  kcov_suite,
  heap_suite,
  interp_suite,
];
