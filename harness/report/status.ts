/** A campaign's state as text: one line for logs, a panel for terminals. */
import type { Snapshot } from '../fuzz/snapshot.ts';

/** 1h02m03s, without the parts that are zero at the front. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h > 0) return `${h}h${String(m).padStart(2, '0')}m${String(s).padStart(2, '0')}s`;
  return m > 0 ? `${m}m${String(s).padStart(2, '0')}s` : `${s}s`;
}

/** 1234567 as 1,234,567. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

function last_find({ last_find_s }: Snapshot): string {
  return last_find_s === null ? 'none' : `${duration(last_find_s)} ago`;
}

/** One line: elapsed, execs (rate), corpus, edges, crashes (unique/total), last find, reset, stability. */
export function status_line(snapshot: Snapshot): string {
  const { elapsed_s, execs, execs_per_s, corpus, edges, crashes_unique, crashes_total, reset_us, stability } = snapshot;
  return [
    duration(elapsed_s),
    `execs ${execs} (${execs_per_s}/s)`,
    `corpus ${corpus}`,
    `edges ${edges}`,
    `crashes ${crashes_unique}/${crashes_total}`,
    `last find ${last_find(snapshot)}`,
    `reset ${reset_us}us`,
    `stability ${stability}%`,
  ].join(', ');
}

const WIDTH = 38;

function row(left: [name: string, value: string], right: [name: string, value: string]): string {
  const cell = ([name, value]: [string, string]): string =>
    ` ${name.padStart(12)} : ${value}`.slice(0, WIDTH).padEnd(WIDTH);
  return `│${cell(left)}│${cell(right)}│`;
}

function bar(left: string, middle: string, right: string, title = ''): string {
  const line = '─'.repeat(WIDTH);
  const first = title === '' ? line : `─ ${title} `.padEnd(WIDTH, '─');
  return `${left}${first}${middle}${line}${right}`;
}

/** The panel's lines. */
export function panel_lines(snapshot: Snapshot, work_dir: string): string[] {
  const { runs } = snapshot;
  const lost = snapshot.workers_lost > 0 ? `, ${snapshot.workers_lost} lost` : '';
  return [
    bar('┌', '┬', '┐', `tvisor-harness fuzz · ${work_dir}`),
    row(['run time', duration(snapshot.elapsed_s)], ['corpus', grouped(snapshot.corpus)]),
    row(['last find', last_find(snapshot)], ['edges', grouped(snapshot.edges)]),
    row(['execs', grouped(snapshot.execs)], ['blocks', `${grouped(snapshot.blocks)} in the kernel`]),
    row(
      ['speed', `${grouped(snapshot.execs_per_s)}/s`],
      ['crashes', `${snapshot.crashes_unique} unique, ${grouped(snapshot.crashes_total)} in all`],
    ),
    row(['workers', `${snapshot.workers}${lost}`], ['stability', `${snapshot.stability}%`]),
    row(
      ['reset', `${snapshot.reset_us} us, ${snapshot.dirty_pages} pages`],
      ['program', `${snapshot.calls_per_program} calls`],
    ),
    bar('├', '┼', '┤', 'programs run for'),
    row(['generate', grouped(runs.generate)], ['mutate', grouped(runs.mutate)]),
    row(['smash', grouped(runs.smash)], ['hints', grouped(runs.hints)]),
    row(['faults', grouped(runs.faults)], ['races', grouped(runs.races)]),
    row(['triage', grouped(runs.triage)], ['minimize', grouped(runs.minimize)]),
    row(['load', grouped(runs.load)], ['waiting', `${grouped(snapshot.queue)} jobs`]),
    bar('└', '┴', '┘'),
  ];
}
