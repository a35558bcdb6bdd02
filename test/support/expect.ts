/**
 * Expected texts, in test/expect. A test compares with them; run with `--write` it makes them what they are now, and
 * prints the difference.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { REPOSITORY } from './guest.ts';

const WRITE = process.argv.includes('--write');

/** Lines of `before` and `after` that differ, with - and + in front, by a longest common subsequence. */
export function line_difference(before: readonly string[], after: readonly string[]): string[] {
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      common[i * width + j] =
        before[i] === after[j]
          ? (common[(i + 1) * width + j + 1] as number) + 1
          : Math.max(common[(i + 1) * width + j] as number, common[i * width + j + 1] as number);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && before[i] === after[j]) {
      i++;
      j++;
    } else if (j >= after.length || (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!))
      lines.push(`-${before[i++]}`);
    else lines.push(`+${after[j++]}`);
  }
  return lines;
}

/** Compares with the expected text `name` (a path below test/expect), or writes it. */
export function expect_text(name: string, text: string, rewrite: string): void {
  const file = join(REPOSITORY, 'test', 'expect', name);
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (before === text) return;
  const difference = line_difference(before.split('\n'), text.split('\n')).join('\n');
  if (!WRITE) assert.unreachable(`test/expect/${name} is no longer so; rewrite with '${rewrite}':\n${difference}`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  console.log(`test/expect/${name}\n${difference}\n`);
}
