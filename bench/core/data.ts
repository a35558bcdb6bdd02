/** Input of benchmarks, made the same everywhere: text, and C source without includes. */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder } from './host.ts';

/** xorshift32 numbers from one seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Words that are made of syllables; the shorter the more frequent, as in languages. */
function vocabulary(next: () => number, size: number): string[] {
  const consonants = 'bcdfghjklmnprstvwz';
  const vowels = 'aeiou';
  return Array.from({ length: size }, (_, i) => {
    let word = '';
    for (let length = 1 + Math.floor(Math.log2(2 + i)) / 3; length > 0; length--)
      word += `${consonants[next() % consonants.length]}${vowels[next() % vowels.length]}`;
    return next() % 4 === 0 ? `${word}s` : word;
  });
}

/** Lines of words, the frequent ones first in the vocabulary, until there are `bytes`. */
export function make_text(bytes: number): string {
  const next = numbers(2463534242);
  const words = vocabulary(next, 4096);
  const lines: string[] = [];
  let line = '';
  for (let length = 0; length < bytes; ) {
    const rank = Math.floor(words.length ** ((next() % 4096) / 4096));
    line += `${words[rank] ?? 'a'} `;
    if (line.length < 60 + (next() % 30)) continue;
    lines.push(line.trimEnd());
    length += line.length;
    line = '';
  }
  return `${lines.join('\n')}\n`;
}

/** Lines in random order, each with a number of its own. */
export function make_lines(count: number): string {
  const next = numbers(88675123);
  const words = vocabulary(next, 512);
  return Array.from({ length: count }, (_, i) => `${words[next() % 512]} ${next().toString(36)} ${i}\n`).join('');
}

/** Lines of a function of `make_c_source`. */
const LINES_EACH = 19;

/** C source of about so many lines that needs no header: functions with loops, structures, switches and calls. */
export function make_c_source(lines: number): string {
  const next = numbers(123456789);
  const parts = ['struct item { int key; long value; double weight; struct item *next; };\n'];
  for (let i = 0; i * LINES_EACH < lines; i++) {
    const [a = 1, b = 2, c = 3, d = 4] = [next() % 97, next() % 89, next() % 31, next() % 7];
    const call = i === 0 ? 'n' : `f${next() % i}(list, n / 2)`;
    parts.push(`
static long f${i}(struct item *list, int n) {
  long table[16] = {${a}, ${b}, ${c}}, sum = ${d};
  double weight = ${a}.${b};
  for (int i = 0; i < n; i++) {
    switch ((n + i) % 5) {
      case 0: sum += table[i & 15] * ${a}; break;
      case 1: sum ^= sum << ${c}; break;
      case 2: weight = weight * 1.${b} + list->weight; break;
      default: table[(i * ${b}) & 15] = sum >> ${d};
    }
    if (list->next && list->key > ${a}) list = list->next;
    else list->value += sum;
  }
  while (n-- > ${c}) sum += table[n & 15] % ${b + 1};
  if (n > ${d}) sum -= ${call};
  return sum + (long)weight;
}
`);
  }
  const calls = Array.from({ length: Math.ceil(lines / LINES_EACH) }, (_, i) => `f${i}(list, n)`);
  return `${parts.join('')}\nlong all(struct item *list, int n) { return ${calls.join(' + ')}; }\n`;
}

/** Puts a file into the folder unless it is there, and answers its name. */
export function data_file(name: string, make: () => string): string {
  const path = join(folder(), name);
  if (existsSync(path)) return name;
  const scratch = `${path}.${process.pid}`;
  writeFileSync(scratch, make());
  renameSync(scratch, path);
  return name;
}
