/**
 * What the tidy tests know of the sources: every TypeScript file with its text, and a few readings of it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Source {
  /** Path from the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** The sources below the given top-level folders. */
export function sources(...folders: readonly string[]): Source[] {
  const found: Source[] = [];
  for (const folder of folders) {
    if (!existsSync(join(ROOT, folder))) continue;
    const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names) {
      if (!name.endsWith('.ts')) continue;
      const path = posix.join(folder, name.replaceAll('\\', '/'));
      found.push({ path, text: readFileSync(join(ROOT, path), 'utf8') });
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export interface Import {
  readonly specifier: string;
  readonly type_only: boolean;
}

/** Every static and dynamic import and re-export of a file. */
export function imports_of(source: Source): Import[] {
  const found: Import[] = [];
  const text = strip_comments(source.text);
  for (const match of text.matchAll(/^\s*(import|export)\s+(type\s+)?[^;'"]*?from\s+['"]([^'"]+)['"]/gm))
    found.push({ specifier: match[3] as string, type_only: match[2] !== undefined });
  for (const match of text.matchAll(/^\s*import\s+['"]([^'"]+)['"]/gm))
    found.push({ specifier: match[1] as string, type_only: false });
  for (const match of text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g))
    found.push({ specifier: match[1] as string, type_only: false });
  return found;
}

/** The text with comments blanked, line structure kept. String contents are left as they are. */
export function strip_comments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(^|[^:'"`])\/\/[^\n]*/g, (match, before: string | undefined) =>
    match.startsWith('/*') ? match.replace(/[^\n]/g, ' ') : (before ?? ''),
  );
}

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

/**
 * Functions and methods with their length. The formatter makes this exact: a body opened by a line that
 * ends in `{` is closed by the first later line with the same indentation that starts with `}`.
 */
export function functions_of(source: Source): FunctionSpan[] {
  const lines = source.text.split('\n');
  const found: FunctionSpan[] = [];
  const head =
    /^(\s*)(?:export\s+)?(?:async\s+)?(?:function\*?\s+(\w+)|(?:(?:private|public|protected|static|override|async|get|set)\s+)*(\w+)\s*(?:<[^>]*>)?\()/;
  for (let i = 0; i < lines.length; i++) {
    const match = head.exec(lines[i] as string);
    if (match === null) continue;
    const name = match[2] ?? match[3] ?? '';
    if (['if', 'for', 'while', 'switch', 'catch', 'return', 'function', 'await'].includes(name)) continue;
    const indent = match[1] as string;
    let open = i;
    while (open < lines.length && open < i + 12 && !(lines[open] as string).endsWith('{')) {
      if (/[;)]$/.test(lines[open] as string) && open > i && (lines[open] as string).startsWith(`${indent}}`)) break;
      if ((lines[open] as string).endsWith(';')) break;
      open++;
    }
    if (!(lines[open] ?? '').endsWith('{') || !/\)[^()]*\{$/.test(lines[open] as string)) continue;
    if (/=>\s*\{$/.test(lines[open] as string) && match[2] === undefined) continue;
    let close = open + 1;
    while (close < lines.length && !(lines[close] as string).startsWith(`${indent}}`)) close++;
    found.push({ name, line: i + 1, lines: close - i + 1 });
  }
  return found;
}
