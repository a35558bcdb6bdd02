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
    if (node.type.name === 'timespec') change_time(node, 1n, TIMERS.has(name));
    if (node.type.name === 'timeval') change_time(node, 1000n, TIMERS.has(name));
  });
}

/** Seconds and a fraction in units of `unit` ns. Times that are not valid stay as they are. */
function change_time(node: GroupArg, unit: bigint, is_timer: boolean): void {
  const [whole, part] = node.inner as [NumberArg, NumberArg];
  const seconds = BigInt.asIntN(64, whole.value);
  const fraction = BigInt.asIntN(64, part.value) * unit;
  if (seconds < 0n || fraction < 0n || fraction >= 1_000_000_000n || (seconds === 0n && fraction === 0n)) return;
  if (is_timer) whole.value = NEVER;
  else {
    whole.value = 0n;
    part.value = (fraction > LONGEST_WAIT || seconds > 0n ? LONGEST_WAIT : fraction) / unit;
  }
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
