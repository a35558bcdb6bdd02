/** From any program to one that may run on the host, and that runs the same way each time. */
import type { Call, GroupArg, NumberArg, Program } from '../prog/model.ts';
import { clone_program, for_each_arg, remove_call } from '../prog/walk.ts';
import { refusal } from './allow.ts';

export interface Prepared {
  readonly program: Program;
  /** How many calls were taken out because they may not run on the host. */
  readonly removed: number;
}

/** Calls that wait for so long at most, in ns. */
const LONGEST_WAIT = 10_000_000n;
/** Timers go off when every program is over, in s. */
const NEVER = 4_000_000_000n;
/** Between expiries of such timers, in s. */
const INTERVAL = 1000n;
const NEVER_BY_ALARM = 100_000_000n;

const WAITING: ReadonlySet<string> = new Set([
  ...['poll', 'ppoll', 'select', 'pselect6', 'epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'nanosleep'],
  ...['clock_nanosleep', 'rt_sigtimedwait', 'futex', 'semtimedop', 'mq_timedsend', 'mq_timedreceive'],
]);
const TIMERS: ReadonlySet<string> = new Set(['setitimer', 'timer_settime', 'timerfd_settime']);

/**
 * A copy without the calls that may not run, in one task (`async` calls are made in their turn), without injected
 * faults. Waits are made short, since they are real on the host; timers are made so long that none goes off.
 */
export function prepare(given: Program): Prepared {
  const program = clone_program(given);
  for (const { properties } of program.calls) {
    properties.async = false;
    properties.fail_nth = 0;
  }
  let removed = 0;
  for (let i = 0; i < program.calls.length; ) {
    shorten(program.calls[i]!);
    if (refusal(program, i) === '') i++;
    else {
      remove_call(program, i);
      removed++;
    }
  }
  return { program, removed };
}

function shorten(call: Call): void {
  const { name } = call.description.row;
  if (name === 'alarm') lengthen_alarm(call);
  if (WAITING.has(name)) shorten_milliseconds(call);
  if (!WAITING.has(name) && !TIMERS.has(name)) return;
  for_each_arg(call, (node) => {
    if (node.kind !== 'group' || node.type.kind !== 'struct') return;
    if (node.type.name === 'itimerspec') lengthen_timer(node, 1n);
    if (node.type.name === 'itimerval') lengthen_timer(node, 1000n);
    if (TIMERS.has(name)) return;
    if (node.type.name === 'timespec') shorten_time(node, 1n);
    if (node.type.name === 'timeval') shorten_time(node, 1000n);
  });
}

/** The time that a struct timespec or timeval holds, in ns; undefined of none, and of one that is not valid. */
function time_of(node: GroupArg, unit: bigint): bigint | undefined {
  const [whole, part] = node.inner as [NumberArg, NumberArg];
  const seconds = BigInt.asIntN(64, whole.value);
  const fraction = BigInt.asIntN(64, part.value) * unit;
  const valid = seconds >= 0n && fraction >= 0n && fraction < 1_000_000_000n;
  return valid && (seconds > 0n || fraction > 0n) ? seconds * 1_000_000_000n + fraction : undefined;
}

/** `unit`: ns of the fraction's units. */
function shorten_time(node: GroupArg, unit: bigint): void {
  const time = time_of(node, unit);
  if (time === undefined) return;
  const [whole, part] = node.inner as [NumberArg, NumberArg];
  whole.value = 0n;
  part.value = (time > LONGEST_WAIT ? LONGEST_WAIT : time) / unit;
}

/** A timer that goes off is one that goes off when everything is over; its interval only is small enough to be exact. */
function lengthen_timer(node: GroupArg, unit: bigint): void {
  const [interval, value] = node.inner as [GroupArg, GroupArg];
  if (time_of(interval, unit) !== undefined) (interval.inner[0] as NumberArg).value = INTERVAL;
  if (time_of(value, unit) !== undefined) (value.inner[0] as NumberArg).value = NEVER;
}

function shorten_milliseconds(call: Call): void {
  const index = call.description.args.findIndex(({ name }) => name === 'timeout');
  const node = call.args[index];
  if (node?.kind === 'number' && BigInt.asIntN(32, node.value) > 10n) node.value = 10n;
}

function lengthen_alarm(call: Call): void {
  const node = call.args[0] as NumberArg;
  if (BigInt.asUintN(32, node.value) > 0n) node.value = NEVER_BY_ALARM;
}
