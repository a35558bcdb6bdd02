/**
 * The command of the memory-order oracle:
 *
 *     npm run oracle:litmus -- [--seconds N] [--test NAMES] [--platform NAMES] [--seed S]
 *
 * Runs each litmus test for its share of N seconds (default 60) on every platform, which are interp, jit, jit-eager and
 * native (names with commas between them; default the first three). Exit status 1 when a forbidden outcome was seen.
 */
import { PLATFORMS } from '../../engine/platform/create.ts';
import { native_host } from '../support/guest.ts';
import { LitmusBench, type LitmusRunner, litmus_line, litmus_tests } from './litmus_oracle.ts';

async function main(argv: readonly string[]): Promise<number> {
  const flag = (name: string): string | undefined => {
    const at = argv.indexOf(name);
    return at < 0 ? undefined : argv[at + 1];
  };
  if (!native_host()) {
    console.log('skipped: this needs an x86-64 Linux host with a C compiler (cc)');
    return 0;
  }
  const all = await litmus_tests();
  const names = flag('--test')?.split(',') ?? [...all.keys()];
  const runners = (flag('--platform')?.split(',') ?? PLATFORMS) as LitmusRunner[];
  const seed = Number(flag('--seed') ?? Date.now() % 1_000_000);
  const milliseconds = (Number(flag('--seconds') ?? 60) * 1000) / (names.length * runners.length);
  let forbidden = 0;
  for (const runner of runners) {
    const bench = await LitmusBench.create(runner);
    try {
      for (const name of names) {
        const result = await bench.run(name, all.get(name) ?? '', milliseconds, seed);
        console.log(litmus_line(result));
        forbidden += result.forbidden;
      }
    } finally {
      await bench.close();
    }
  }
  console.log(`seed ${seed}: ${forbidden} forbidden outcomes`);
  return forbidden > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
