/** Speed of guest code: programs natively, interpreted, translated, and by other emulators where they are installed. */
import { find_program, guest_platforms, in_machine, run_process, runs_natively } from '../core/host.ts';
import { type Context, type Suite, Unavailable, wanted, wants_column } from '../core/suite.ts';
import { type Amount, BASKET, type Basket, type Command } from './basket.ts';

const ROUNDS = 5;
/** What takes longer is run once. */
const ONCE_MS = 20_000;
const LESS = 'native, less work';
/** Ways so slow that they get less work, and are compared with the same of it natively. */
const SLOW = ['interp', 'qemu', 'blink'];

interface Way {
  readonly column: string;
  readonly amount: Amount;
  readonly argv: (argv: readonly string[]) => readonly string[];
}

/** What runs the programs here. The guest's processor has no AVX: qemu gets one without, for it to be comparable. */
function ways({ options }: Context): Way[] {
  const found: Way[] = [];
  const add = (column: string, argv: Way['argv']): void => {
    const amount = column === LESS || SLOW.includes(column) ? 'less' : 'full';
    if (wants_column(options, column === LESS ? 'native' : column))
      found.push({ column, amount: options.quick ? 'least' : amount, argv });
  };
  const native = options.native !== 'never' && runs_natively();
  if (options.native === 'must' && !native)
    throw new Unavailable('programs for x86-64 Linux do not run natively on this host');
  if (native) add('native', (argv) => argv);
  if (guest_platforms().includes('jit')) add('jit', (argv) => in_machine(argv, 'jit'));
  if (native) add(LESS, (argv) => argv);
  add('interp', (argv) => in_machine(argv, 'interp'));
  const qemu = find_program('qemu-x86_64');
  if (qemu !== '') add('qemu', ([program = '', ...rest]) => [qemu, '-cpu', 'qemu64', '-0', program, program, ...rest]);
  const blink = find_program('blink');
  if (blink !== '') add('blink', (argv) => [blink, ...argv]);
  return found;
}

/** Processor time, or wall time where that cannot be had; checks that every way has the same output. */
async function measure(context: Context, basket: Basket, all: readonly Way[], budget_ms: number): Promise<void> {
  const { options, signal } = context;
  const rounds = options.quick ? 1 : ROUNDS;
  const samples = new Map<string, number[]>();
  const outputs = new Map<Amount, Buffer>();
  const broken = new Set<string>();
  const slow = new Set<string>();
  const commands = new Map<Amount, Command>();
  const start = performance.now();
  for (let round = 1; round <= rounds && (round <= 2 || performance.now() - start < budget_ms); round++)
    for (const { column, amount, argv } of all) {
      if (broken.has(column) || slow.has(column)) continue;
      const command = commands.get(amount) ?? basket.command(amount);
      commands.set(amount, command);
      context.progress(`${basket.name}, ${column}, round ${round} of ${rounds}`);
      try {
        const ended = await run_process({ ...command, argv: argv(command.argv) }, signal);
        const expected = outputs.get(amount) ?? ended.stdout;
        outputs.set(amount, expected);
        if (!expected.equals(ended.stdout)) throw new Error('its output differs from that of the first column');
        if (ended.wall_ms > ONCE_MS) slow.add(column);
        const ms = Number.isNaN(ended.cpu_ms) ? ended.wall_ms : ended.cpu_ms;
        // Zero is less than a millisecond.
        samples.set(column, [...(samples.get(column) ?? []), Math.max(ms, 0.5)]);
      } catch (error) {
        if (signal.aborted) throw error;
        broken.add(column);
        // Others' emulators may lack what a program needs; ours may not.
        if (column === 'qemu' || column === 'blink') context.note(`${basket.name}: ${column} cannot run it`);
        else context.failed(`${basket.name} (${column})`, error);
      }
    }
  for (const [column, ms] of samples)
    if (!broken.has(column))
      context.record({ suite: 'cpu', name: basket.name, column, unit: 'ms', better: 'lower', samples: ms });
}

async function run(context: Context): Promise<void> {
  const all = ways(context);
  for (const basket of BASKET) {
    if (!wanted(context.options, basket.name)) continue;
    const some = basket.startup ? all.filter(({ column }) => column !== LESS) : all;
    try {
      await measure(context, basket, some, context.options.time_ms);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      context.note(`${basket.name} is left out: ${error.message}`);
    }
  }
}

export const cpu_suite: Suite = {
  name: 'cpu',
  summary: 'speed of guest code: own and real programs, beside native and other emulators',
  legend:
    'least processor time of the whole command; the others are multiples of native, and include the start of Node. ' +
    `${SLOW.join(', ')}: for about a tenth of the work, natively as well`,
  default_time_ms: 60_000,
  style: {
    base: 'native',
    ratios_only: true,
    reference: Object.fromEntries(SLOW.map((column) => [column, LESS])),
    hidden: [LESS],
    mean: (name) => !name.startsWith('start:'),
  },
  run,
};
