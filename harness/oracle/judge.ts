/** The oracles that need one run: what its outcome says about the kernel. */
import { EAGAIN, EFAULT, EMFILE, ENFILE, ENOBUFS, ENOMEM } from '../../engine/abi/errno.ts';
import type { ExecOutcome, Leak, LostWakeup, PanicInfo } from '../exec/executor.ts';
import type { Program } from '../prog/model.ts';
import type { Finding } from './finding.ts';

/** What is wrong with the run, the gravest first; undefined when nothing is. */
export function judge(program: Program, outcome: ExecOutcome): Finding | undefined {
  if (outcome.panic !== null) return panic_finding(program, outcome.panic);
  if (outcome.status === 'hang') return hang_finding(program, outcome);
  if (outcome.status === 'corrupt') return corruption_finding(outcome.corruption);
  const lost = lost_wakeup(program, outcome.lost_wakeups ?? []);
  if (lost !== undefined) return lost_wakeup_finding(program, lost);
  return outcome.leaks.length > 0 ? leak_finding(outcome.leaks) : undefined;
}

/** They look descriptors up at each scan, as Linux does: one that was closed meanwhile ends them, and wakes nobody. */
const RESCANNING: ReadonlySet<string> = new Set(['poll', 'ppoll', 'select', 'pselect6']);

/**
 * Memory that has gone since, or is used up, and O_NONBLOCK: so it would be in Linux when something else woke the call.
 */
const UNRELATED: ReadonlySet<number> = new Set([-EAGAIN, -EFAULT, -ENOMEM, -EMFILE, -ENFILE, -ENOBUFS]);

/** Whether whatever made the call end should have woken it. */
function is_owed(program: Program, { call, result }: LostWakeup): boolean {
  const name = call_name(program, call);
  // connect looks the name of the other end up again, which may be gone by then, and that wakes nobody.
  if (name === 'connect' && result < 0) return false;
  return !RESCANNING.has(name) && !UNRELATED.has(result);
}

/** What ends a call that looks its descriptors up again lets go of a closed file, and that may end others. */
function lost_wakeup(program: Program, wakeups: readonly LostWakeup[]): LostWakeup | undefined {
  if (wakeups.some(({ call }) => RESCANNING.has(call_name(program, call)))) return undefined;
  return wakeups.find((wakeup) => is_owed(program, wakeup));
}

function lost_wakeup_finding(program: Program, { call, result }: LostWakeup): Finding {
  const name = call_name(program, call);
  const details = `Call ${call} (${name}) blocked, and ended with ${result} when it was made to look again: nobody woke it.`;
  return { kind: 'hang', title: `lost wake-up: ${call_name(program, call)}`, details, call };
}

function call_name(program: Program, index: number): string {
  return program.calls[index]?.description.row.name ?? 'no call';
}

function panic_finding(program: Program, panic: PanicInfo): Finding {
  const kind = panic.kind === 'sanitizer' || panic.kind === 'lock_order' ? panic.kind : 'panic';
  const record = panic.record === '' ? '' : `${panic.record} `;
  const title = `${panic.kind.replace('_', ' ')}: ${record}in ${panic.function_name || 'an unknown function'}`;
  const lines = [panic.message, `call ${panic.call}: ${call_name(program, panic.call)}`, panic.stack];
  return { kind, title, details: lines.join('\n'), call: panic.call };
}

/** The first call that started and did not end is where the fuel went. */
function hang_finding(program: Program, outcome: ExecOutcome): Finding {
  const call = outcome.calls.findIndex(({ started, finished }) => started && !finished);
  const details = `The program used up its fuel: call ${call} (${call_name(program, call)}) did not end.`;
  return { kind: 'hang', title: `hang: ${call_name(program, call)}`, details, call };
}

function corruption_finding(text: string): Finding {
  const [first = ''] = text.split('\n');
  return { kind: 'corruption', title: `corruption: ${without_numbers(first)}`, details: text, call: -1 };
}

/** Addresses and counts differ from run to run. */
function without_numbers(text: string): string {
  return text
    .split(' ')
    .map((word) => (/^[([]?(0x[0-9a-f]|[0-9])/.test(word) ? 'N' : word))
    .join(' ');
}

function leak_finding(leaks: readonly Leak[]): Finding {
  const records = leaks.map(({ record }) => record).sort();
  const lines = leaks.map(({ record, before, after }) => `${record}: ${before} before the program, ${after} after it`);
  return { kind: 'leak', title: `leak: ${records.join(', ')}`, details: lines.join('\n'), call: -1 };
}
