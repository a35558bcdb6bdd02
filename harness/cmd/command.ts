/** What a command of `tvisor-harness` is, and the values of its flags. One file a command; `registry.ts` lists them. */
import { usage_error } from '../errors.ts';

export interface Flag {
  readonly name: string;
  /** One letter; '' or absent for none. */
  readonly short?: string;
  /** What its value is called in the help; '' for a switch. */
  readonly value: string;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** The arguments behind the name, for the help: '[CORPUS...]'. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** Command lines without the program's name. */
  readonly examples: readonly string[];
  /** Runs on the kernel that reports coverage; the others run on the plain, faster one. */
  readonly instrumented: boolean;
  /** Answers the exit status; throws a HarnessError with a remedy. */
  run(line: CommandLine): Promise<number>;
}

/** A parsed command line: arguments in order, and each flag's values as they were written. */
export class CommandLine {
  readonly args: readonly string[];
  private readonly command: string;
  private readonly values: ReadonlyMap<string, readonly string[]>;

  constructor(command: string, args: readonly string[], values: ReadonlyMap<string, readonly string[]>) {
    this.command = command;
    this.args = args;
    this.values = values;
  }

  /** True when the switch is there. */
  has(name: string): boolean {
    return this.values.has(name);
  }

  /** The last value given; undefined without the flag. */
  text(name: string): string | undefined {
    return this.values.get(name)?.at(-1);
  }

  /** Every value given, also those that a comma separates. */
  list(name: string): string[] {
    return (this.values.get(name) ?? []).flatMap((value) => value.split(',')).filter((item) => item !== '');
  }

  /** A whole number from `low` to `high`, both included; `fallback` without the flag. */
  integer(name: string, fallback: number, low = 0, high = Number.MAX_SAFE_INTEGER): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= low && value <= high) return value;
    const limit = high === Number.MAX_SAFE_INTEGER ? `${low} or more` : `${low} to ${high}`;
    throw usage_error(`--${name} takes a whole number, ${limit}, not '${text}'`, `write --${name}=${fallback}`);
  }

  /** Seconds: a plain number, or one with ms, s, m or h. */
  seconds(name: string, fallback: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
    if (match === null)
      throw usage_error(`--${name} takes a time, not '${text}'`, `write --${name}=60 or --${name}=10m`);
    return Number(match[1]) * { ms: 0.001, s: 1, m: 60, h: 3600 }[match[2] ?? 's']!;
  }

  /** One of the words; the first without the flag. */
  choice<T extends string>(name: string, words: readonly T[]): T {
    const text = this.text(name) ?? words[0]!;
    const found = words.find((word) => word === text);
    if (found === undefined) throw usage_error(`--${name} takes ${words.join(', ')}, not '${text}'`, this.see_help());
    return found;
  }

  /** The argument at `index`. Throws when it is not there. */
  argument(index: number, name: string): string {
    const found = this.args[index];
    if (found === undefined) throw usage_error(`${name} is missing`, this.see_help());
    return found;
  }

  private see_help(): string {
    return `see 'tvisor-harness ${this.command} --help'`;
  }
}
