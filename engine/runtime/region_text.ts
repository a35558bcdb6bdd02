/** What `tvisor debug` prints: counters of the tiers, then the hottest regions. */
import { type CodeName, code_name_text } from '../sentry/code_names.ts';
import type { RegionReport, RegionsAnswer } from '../sentry/region_log.ts';
import type { MachineStatistics } from '../sentry/statistics.ts';

/** A region with the name of where it begins. */
export interface NamedRegion extends RegionReport {
  readonly name: CodeName;
}

/** Everything that is told about a run. */
export interface TierReport {
  readonly statistics: MachineStatistics;
  readonly totals: {
    readonly instructions: number;
    /** Instructions of blocks that translated code ran to their end. */
    readonly translated: number;
    readonly regions: number;
    readonly region_instructions: number;
    readonly module_bytes: number;
    readonly compile_ns: number;
    /** Ways from the interpreter, or another region, into a region. */
    readonly entered: number;
  };
  readonly regions: readonly NamedRegion[];
}

/** Sums of all threads, and the hottest `limit` of their regions; `name` has them named. */
export function tier_report(
  statistics: MachineStatistics,
  answers: readonly RegionsAnswer[],
  limit: number,
  name: (regions: readonly RegionReport[]) => readonly CodeName[],
): TierReport {
  const sum = (pick: (totals: RegionsAnswer['totals']) => number): number =>
    answers.reduce((total, { totals }) => total + pick(totals), 0);
  const hottest = answers
    .flatMap((answer) => answer.hottest)
    .sort((a, b) => b.instructions - a.instructions)
    .slice(0, limit);
  const names = name(hottest);
  return {
    statistics,
    totals: {
      instructions: statistics.vcpus.reduce((total, vcpu) => total + vcpu.instructions, 0),
      translated: sum((totals) => totals.instructions),
      regions: sum((totals) => totals.regions),
      region_instructions: sum((totals) => totals.size),
      module_bytes: sum((totals) => totals.module_bytes),
      compile_ns: sum((totals) => totals.compile_ns),
      entered: sum((totals) => totals.entered),
    },
    regions: hottest.map((region, i) => ({ ...region, name: names[i] as CodeName })),
  };
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(1)} %`;
}

function totals_lines({ totals }: TierReport): string[] {
  const { instructions, translated, regions, entered } = totals;
  const interpreted = Math.max(instructions - translated, 0);
  const per_entry = entered === 0 ? '' : ` (${(translated / entered).toFixed(1)} instructions each)`;
  return [
    `translated: ${translated} instructions (${percent(translated, instructions)}), ${entered} entries${per_entry}`,
    `interpreted: ${interpreted} instructions (${percent(interpreted, instructions)})`,
    `regions: ${regions} made, ${totals.region_instructions} guest instructions, ` +
      `${(totals.module_bytes / 1024).toFixed(1)} KiB of WebAssembly, ${(totals.compile_ns / 1e6).toFixed(1)} ms to make`,
  ];
}

function region_lines(region: NamedRegion, rank: number, instructions: number): string[] {
  const { address, entered, blocks, size, entries, module_bytes, compile_ns, vcpu, program } = region;
  return [
    '',
    `region ${rank}: 0x${address.toString(16)} ${code_name_text(region.name)}`,
    `  ${program}, vCPU ${vcpu}: ${region.instructions} instructions ` +
      `(${percent(region.instructions, instructions)} of all), ${entered} times entered`,
    `  ${blocks} blocks, ${size} guest instructions, ${entries} entries; ` +
      `${module_bytes} bytes of WebAssembly in ${(compile_ns / 1e6).toFixed(2)} ms`,
    ...region.listing.map((line) => `  ${line}`),
    ...(region.wasm === '' ? [] : region.wasm.trimEnd().split('\n')).map((line) => `  ${line}`),
  ];
}

/** Lines that end with a newline each. */
export function tier_text(report: TierReport): string {
  const lines = totals_lines(report);
  for (const [i, region] of report.regions.entries())
    lines.push(...region_lines(region, i + 1, report.totals.instructions));
  return `${lines.join('\n')}\n`;
}
