/**
 * tvisor: run unmodified Linux programs in a machine of this process.
 *
 *     import { Machine } from 'tvisor';
 *     const machine = await Machine.create();
 *     const { stdout, exitCode } = await machine.run(['ls', '-l']);
 *     await machine.close();
 */
export type { MachineOptions, Volume } from './runtime/config.ts';
export { TvisorError } from './runtime/errors.ts';
export {
  type Input,
  Machine,
  type MachineSnapshot,
  type Output,
  type RunOptions,
  type RunResult,
  type Terminal,
} from './runtime/machine.ts';
export type { CodePlace } from './sentry/code_map.ts';
export type { CodeName } from './sentry/code_names.ts';
export type { RegionReport, RegionsAnswer, RegionsRequest } from './sentry/region_log.ts';
export type { MachineStatistics, VcpuStatistics } from './sentry/statistics.ts';
