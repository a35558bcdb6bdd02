/**
 * The fuzz harness as a library:
 *
 *     import { fuzz, minimize, replay } from 'tvisor/harness';
 *     const { findings } = await fuzz({ maxTotalTime: 60, workdir: 'work', signal });
 *     for (const { program } of findings) console.log(replay(program).findings, minimize(program).program);
 *
 * Programs are text, as in corpus files. Nothing is kept between calls; several campaigns can run in one process.
 */

import { select_target } from './cmd/enable.ts';
import { replay_runs } from './cmd/repro.ts';
import { tmin } from './cmd/tmin.ts';
import { Campaign, type EndReason } from './fuzz/campaign.ts';
import type { Crash } from './fuzz/fuzzer.ts';
import { open_kernel } from './fuzz/kernel.ts';
import { ThreadPool } from './fuzz/pool.ts';
import { parse_file, print_file } from './fuzz/program_file.ts';
import type { Snapshot } from './fuzz/snapshot.ts';
import { WorkDir } from './fuzz/work_dir.ts';
import type { FindingKind } from './oracle/finding.ts';
import { print_program } from './prog/print.ts';

export { HarnessError } from './errors.ts';
export type { EndReason, FindingKind, Snapshot };

/** Something that is wrong with the kernel. */
export interface HarnessFinding {
  readonly kind: FindingKind;
  /** Tells findings apart: the same defect has the same title. */
  readonly title: string;
  /** Several lines for people. */
  readonly details: string;
}

export interface CampaignFinding extends HarnessFinding {
  /** Minimised where `recurs`; with its seed in a comment, ready for `replay`. */
  readonly program: string;
  /** Another run showed it again. */
  readonly recurs: boolean;
  /** The finding's directory, '' without a work directory. */
  readonly path: string;
}

export interface FuzzOptions {
  /** With one job, the same seed and corpus give the same campaign; default 1. */
  readonly seed?: number;
  /** Worker threads, each with a machine of its own; default 1. */
  readonly jobs?: number;
  /** Programs to run at most. */
  readonly runs?: number;
  /** Seconds. */
  readonly maxTotalTime?: number;
  /** Where corpus and findings are kept; what is there is gone on with. Default: nowhere. */
  readonly workdir?: string;
  /** System calls by name or glob; default: all that are implemented. */
  readonly enable?: readonly string[];
  readonly disable?: readonly string[];
  readonly exitOnCrash?: boolean;
  /** Programs between two verifications of the whole state; default 1000. */
  readonly verifyEvery?: number;
  /** Ends the campaign; the result has what was found until then. */
  readonly signal?: AbortSignal;
  /** Called about once a second, and at the end. */
  readonly onProgress?: (snapshot: Snapshot) => void;
  readonly onFinding?: (finding: CampaignFinding) => void;
}

export interface FuzzResult {
  readonly reason: EndReason;
  readonly snapshot: Snapshot;
  readonly findings: readonly CampaignFinding[];
  /** The programs that reached something new, in order of arrival. */
  readonly corpus: readonly string[];
}

/**
 * Runs a campaign. Without `runs`, `maxTotalTime` or `signal` it does not end. Throws a HarnessError when the kernel
 * reports no coverage, when a system call is unknown, or when the work directory cannot be used.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { seed = 1, jobs = 1, runs, maxTotalTime, workdir, signal, onProgress } = options;
  const target = select_target(options.enable ?? [], options.disable ?? []);
  const work_dir = workdir === undefined ? undefined : WorkDir.open(workdir);
  const findings: CampaignFinding[] = [];
  try {
    const campaign = new Campaign({
      target,
      pool: await ThreadPool.create(jobs),
      jobs,
      seed,
      verify_every: options.verifyEvery ?? 1000,
      exit_on_crash: options.exitOnCrash ?? false,
      programs: work_dir?.load(target).programs ?? [],
      ...(runs === undefined ? {} : { runs }),
      ...(maxTotalTime === undefined ? {} : { max_total_s: maxTotalTime }),
      ...(work_dir === undefined ? {} : { work_dir }),
      ...(onProgress === undefined ? {} : { progress: onProgress }),
      on_crash: (crash, path) => {
        const finding = campaign_finding(crash, path);
        findings.push(finding);
        options.onFinding?.(finding);
      },
    });
    const stop = (): void => campaign.stop('stopped');
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const { reason, snapshot, corpus } = await campaign.run();
    signal?.removeEventListener('abort', stop);
    return { reason, snapshot, findings, corpus: corpus.map((entry) => print_file(entry.text, entry.seed)) };
  } finally {
    work_dir?.close();
  }
}

function campaign_finding({ finding, program, seed, recurs }: Crash, path: string): CampaignFinding {
  const { kind, title, details } = finding;
  return { kind, title, details, program: print_file(print_program(program), seed), recurs, path };
}

export interface ReplayOptions {
  /** How often; default 3. */
  readonly runs?: number;
  /** Order in which the program's tasks run; default: what the text says, or 0. */
  readonly seed?: number;
}

export interface ReplayResult {
  /** One for each run that showed one. */
  readonly findings: readonly HarnessFinding[];
  /** What each call answered in the last run; null where it did not end. */
  readonly results: readonly (number | null)[];
}

/** Runs a program again, on a machine of its own. Throws an Error when the text is no program. */
export function replay(program: string, options: ReplayOptions = {}): ReplayResult {
  const kernel = open_kernel(false);
  try {
    const given = parse_file(kernel.target, program);
    const seeded = { program: given.program, seed: options.seed ?? given.seed };
    let results: (number | null)[] = [];
    const findings = replay_runs(kernel, seeded, options.runs ?? 3, (_run, { calls }) => {
      results = calls.map(({ finished, result }) => (finished ? result : null));
    });
    return { findings: findings.map(({ kind, title, details }) => ({ kind, title, details })), results };
  } finally {
    kernel.executor.close();
  }
}

export interface MinimizeOptions {
  /** Order in which the program's tasks run; default: what the text says, or 0. */
  readonly seed?: number;
  /** Without a finding: the call whose coverage is kept, from 0; default the last. */
  readonly call?: number;
}

export interface MinimizeResult {
  /** The smaller program's text. */
  readonly program: string;
  /** What was kept: the finding, or null for coverage. */
  readonly finding: HarnessFinding | null;
}

/**
 * Makes a program smaller while it shows its finding, or covers the same. Throws an Error when the text is no program,
 * a HarnessError when there is neither a finding nor coverage.
 */
export function minimize(program: string, options: MinimizeOptions = {}): MinimizeResult {
  const kernel = open_kernel(false);
  try {
    const given = parse_file(kernel.target, program);
    const seeded = { program: given.program, seed: options.seed ?? given.seed };
    const { smaller, finding } = tmin(kernel, seeded, options.call ?? given.program.calls.length - 1);
    const kept = finding === undefined ? null : { kind: finding.kind, title: finding.title, details: finding.details };
    return { program: print_file(print_program(smaller), seeded.seed), finding: kept };
  } finally {
    kernel.executor.close();
  }
}
