/** A run of the diff oracle over many programs: what is new, what is known, each told once. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { print_file } from '../fuzz/program_file.ts';
import { write_whole } from '../fuzz/saver.ts';
import { title_hash } from '../oracle/finding.ts';
import type { Program } from '../prog/model.ts';
import { print_program } from '../prog/print.ts';
import { type Difference, title_of } from './compare.ts';
import { known_difference } from './known.ts';
import type { DiffOracle, Verdict } from './oracle.ts';

export interface NewDifference {
  readonly title: string;
  /** Smallest program that was found to show it. */
  readonly program: Program;
  readonly difference: Difference;
  /** Its directory, '' without a work directory. */
  readonly path: string;
}

/** Differences of one title. */
export interface CountedKind {
  readonly title: string;
  /** Why it is known; '' for a new one. */
  readonly reason: string;
  programs: number;
}

export interface DiffCounts {
  programs: number;
  /** Programs of which nothing may run on the host. */
  skipped: number;
  /** Programs that Linux does not run the same way each time, and those that the machine did not get through. */
  unstable: number;
  failed: number;
  /** Calls that were compared, and calls that were taken out. */
  calls: number;
  removed: number;
  /** Programs with known differences only, and with a new one. */
  known: number;
  different: number;
}

export class DiffSession {
  readonly counts: DiffCounts = {
    ...{ programs: 0, skipped: 0, unstable: 0, failed: 0 },
    ...{ calls: 0, removed: 0, known: 0, different: 0 },
  };
  readonly found = new Map<string, NewDifference>();
  /** Known and new ones, by reason and title. */
  readonly kinds = new Map<string, CountedKind>();
  private readonly oracle: DiffOracle;
  private readonly directory: string | undefined;

  /** `work_dir`: where differences are written to, if anywhere. */
  constructor(oracle: DiffOracle, work_dir?: string) {
    this.oracle = oracle;
    this.directory = work_dir === undefined ? undefined : join(work_dir, 'diffs');
  }

  /** Compares a program; a difference that was not seen before, made smaller and written down. */
  judge(program: Program): NewDifference | undefined {
    const { counts } = this;
    const verdict = this.oracle.judge(program);
    counts.programs++;
    counts.calls += verdict.compared;
    counts.removed += verdict.removed;
    if (verdict.kind === 'empty') counts.skipped++;
    if (verdict.kind === 'unstable') counts.unstable++;
    if (verdict.kind === 'failed') counts.failed++;
    for (const known of verdict.known) this.count(known, known_difference(known, verdict.program)!.reason);
    if (verdict.kind === 'known') counts.known++;
    if (verdict.kind !== 'different' || verdict.difference === undefined) return undefined;
    counts.different++;
    this.count(verdict.difference, '');
    return this.tell(verdict, verdict.difference);
  }

  private count(difference: Difference, reason: string): void {
    const title = title_of(difference);
    const key = `${reason}\n${title}`;
    const kind = this.kinds.get(key) ?? { title, reason, programs: 0 };
    kind.programs++;
    this.kinds.set(key, kind);
  }

  private tell(verdict: Verdict, difference: Difference): NewDifference | undefined {
    const title = title_of(difference);
    if (this.found.has(title)) return undefined;
    const smaller = this.oracle.minimize(verdict.program, difference);
    const again = this.oracle.judge(smaller);
    const shown = again.kind === 'different' && again.difference !== undefined ? again : verdict;
    const path = this.directory === undefined ? '' : join(this.directory, title_hash(title));
    const found = { title, program: shown.program, difference: shown.difference ?? difference, path };
    this.found.set(title, found);
    if (path !== '') write_difference(found, shown);
    return found;
  }
}

/** A line for each kind of difference: new ones first, then by reason; the most frequent first. */
export function summary({ kinds }: DiffSession): string {
  const lines: string[] = [];
  const sorted = [...kinds.values()].sort((a, b) => b.programs - a.programs);
  const total = (reason: string) => sorted.reduce((sum, kind) => sum + (kind.reason === reason ? kind.programs : 0), 0);
  const reasons = [...new Set(sorted.map(({ reason }) => reason))];
  reasons.sort((a, b) => Number(b === '') - Number(a === '') || total(b) - total(a));
  for (const reason of reasons) {
    lines.push(reason === '' ? 'New differences:' : `Known: ${reason}`);
    for (const { title, programs } of sorted.filter((kind) => kind.reason === reason))
      lines.push(`${String(programs).padStart(7)}  ${title}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Several lines that tell a difference. */
export function describe({ title, program, difference, path }: NewDifference): string {
  const { call, field, native, ours } = difference;
  const what = field === '' ? 'returns' : `leaves in ${field}`;
  const lines = [title, `call ${call} ${what}`, `    Linux   ${native}`, `    tvisor  ${ours}`, ''];
  const text = print_program(program).trimEnd();
  return `${[...lines, text, ...(path === '' ? [] : ['', `npx tvisor-harness diff ${path}/repro.prog`])].join('\n')}\n`;
}

function write_difference(found: NewDifference, { native, ours }: Verdict): void {
  mkdirSync(found.path, { recursive: true });
  write_whole(join(found.path, 'description'), describe(found));
  write_whole(join(found.path, 'repro.prog'), print_file(print_program(found.program), 0, [found.title]));
  write_whole(join(found.path, 'native.json'), `${JSON.stringify(native, undefined, 2)}\n`);
  write_whole(join(found.path, 'tvisor.json'), `${JSON.stringify(ours, undefined, 2)}\n`);
}
