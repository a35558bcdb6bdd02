/**
 * Differences from Linux that were looked at: they are the host's own, or what the machine is known not to do. A
 * difference that no rule here fits is a defect until somebody has looked at it.
 */
import type { Program } from '../prog/model.ts';
import type { Difference } from './compare.ts';

export interface KnownDifference {
  /** Why it is so. */
  readonly reason: string;
  /** The description's name, whole. */
  readonly name: RegExp;
  /** What is written differently, whole; default: it is the result. */
  readonly field?: RegExp;
  /** What Linux answers or writes, and what the machine does, whole; default anything. */
  readonly native?: RegExp;
  readonly ours?: RegExp;
  /** What else must hold of the program and its call at `index`. */
  readonly where?: (program: Program, index: number) => boolean;
}

/** The low 32 bits of a number that a call is given; NaN for what another call made. */
function number(program: Program, index: number, name: string): number {
  const { description, args } = program.calls[index]!;
  const node = args[description.args.findIndex((field) => field.name === name)];
  const given = node?.kind === 'number' || (node?.kind === 'result' && node.source === undefined);
  return given ? Number(BigInt.asIntN(32, node.value)) : Number.NaN;
}

/** CLOCK_REALTIME_ALARM and CLOCK_BOOTTIME_ALARM. */
const ALARM_CLOCKS: readonly number[] = [8, 9];
const ARCH_SET_CPUID = 0x1012;

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    reason: 'the host: without a real-time clock it has no alarm clocks, whose time can be told with one only',
    name: /clock_gettime|clock_getres/,
    native: /-EINVAL/,
    ours: /0/,
    where: (program, index) => ALARM_CLOCKS.includes(number(program, index, 'clockid')),
  },
  {
    reason: 'the host: without a real-time clock it has no timers on alarm clocks; with one they need a capability',
    name: /clock_nanosleep|timer_create/,
    native: /-EOPNOTSUPP/,
    ours: /0|-EPERM|-EFAULT|-EINVAL|does not end/,
    where: (program, index) => ALARM_CLOCKS.includes(number(program, index, 'clockid')),
  },
  {
    reason: 'the host: its processor can refuse CPUID to programs, and the machine has one that cannot',
    name: /arch_prctl/,
    native: /0/,
    ours: /-ENODEV/,
    where: (program, index) => number(program, index, 'code') === ARCH_SET_CPUID,
  },
  {
    reason: "how many bytes a stream's buffer takes: Linux counts the memory of its own buffers",
    name: /sendto/,
    native: /\d{6}/,
    ours: /\d{6}/,
    where: (program, index) => number(program, index, 'size') < 0,
  },
];

/** The rule that the difference fits. */
export function known_difference(
  difference: Difference,
  program: Program,
  rules: readonly KnownDifference[] = KNOWN_DIFFERENCES,
): KnownDifference | undefined {
  return rules.find(
    ({ name, field, native, ours, where }) =>
      whole(name, difference.name) &&
      whole(field ?? /(?:)/, difference.field) &&
      whole(native, difference.native) &&
      whole(ours, difference.ours) &&
      (where === undefined || where(program, difference.call)),
  );
}

function whole(pattern: RegExp | undefined, text: string): boolean {
  return pattern === undefined || new RegExp(`^(?:${pattern.source})$`).test(text);
}
