/**
 * Random operations on a file tree, made in the same way on a TestSpace and on a directory of the host,
 * so that results can be compared call by call.
 */
import fs from 'node:fs';
import { constants } from 'node:os';
import type { Random } from './seeds.ts';
import type { TestSpace } from './vfs.ts';

/** A result: what both sides must agree on. */
export type Outcome = string | number;

/** The calls of the model; paths are relative to the tree's working directory. */
export interface Tree {
  mkdir(path: string, mode: number): Outcome;
  rmdir(path: string): Outcome;
  unlink(path: string): Outcome;
  rename(from: string, to: string): Outcome;
  link(from: string, to: string): Outcome;
  symlink(target: string, path: string): Outcome;
  readlink(path: string): Outcome;
  open_write(path: string, flags: number, mode: number, at: number, text: string): Outcome;
  truncate(path: string, size: number): Outcome;
  chmod(path: string, mode: number): Outcome;
  cat(path: string): Outcome;
  names(path: string): Outcome;
  stat(path: string, follow: boolean): Outcome;
  access(path: string, mode: number): Outcome;
}

function native(call: () => Outcome | undefined): Outcome {
  try {
    return call() ?? 0;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return -((constants.errno as Record<string, number>)[code] ?? 9999);
  }
}

function describe(st: { mode: number; size: number; nlink: number; uid: number; gid: number }): string {
  const directory = (st.mode & 0o170000) === 0o040000;
  return `${st.mode.toString(8)} ${directory ? '' : st.size} ${st.nlink} ${st.uid}:${st.gid}`;
}

/** The host's tree at `base`. */
export function native_tree(base: string): Tree {
  const at = (path: string): string => (path === '' ? '' : `${base}/${path}`);
  return {
    mkdir: (path, mode) =>
      native(() => {
        fs.mkdirSync(at(path), { mode });
        return 0;
      }),
    rmdir: (path) => native(() => fs.rmdirSync(at(path)) as undefined),
    unlink: (path) => native(() => fs.unlinkSync(at(path)) as undefined),
    rename: (from, to) => native(() => fs.renameSync(at(from), at(to)) as undefined),
    link: (from, to) => native(() => fs.linkSync(at(from), at(to)) as undefined),
    symlink: (target, path) => native(() => fs.symlinkSync(target, at(path)) as undefined),
    readlink: (path) => native(() => fs.readlinkSync(at(path), 'latin1')),
    open_write: (path, flags, mode, position, text) =>
      native(() => {
        const fd = fs.openSync(at(path), flags, mode);
        try {
          return text === '' ? 0 : fs.writeSync(fd, text, position, 'latin1');
        } finally {
          fs.closeSync(fd);
        }
      }),
    truncate: (path, size) => native(() => fs.truncateSync(at(path), size) as undefined),
    chmod: (path, mode) => native(() => fs.chmodSync(at(path), mode) as undefined),
    cat: (path) => native(() => fs.readFileSync(at(path), 'latin1')),
    names: (path) => native(() => fs.readdirSync(at(path), 'latin1').sort().join(' ')),
    stat: (path, follow) =>
      native(() => {
        const st = follow ? fs.statSync(at(path)) : fs.lstatSync(at(path));
        return describe(st);
      }),
    access: (path) => native(() => Number(fs.statSync(at(path)) === undefined)),
  };
}

/** The tree of a TestSpace, at its current directory. */
export function guest_tree(s: TestSpace): Tree {
  return {
    mkdir: (path, mode) => s.mkdir(path, mode),
    rmdir: (path) => s.rmdir(path),
    unlink: (path) => s.unlink(path),
    rename: (from, to) => s.rename(from, to),
    link: (from, to) => s.link(from, to),
    symlink: (target, path) => s.symlink(target, path),
    readlink: (path) => s.readlink(path),
    open_write(path, flags, mode, position, text) {
      const file = s.open(path, flags, mode);
      if (file < 0) return file;
      const n = text === '' ? 0 : s.write(file, position, text);
      s.put(file);
      return n;
    },
    truncate(path, size) {
      // The C library's truncate opens nothing; node:fs opens the file for reading and writing.
      const file = s.open(path, fs.constants.O_RDWR);
      if (file < 0) return file;
      s.put(file);
      return s.truncate(path, size);
    },
    chmod: (path, mode) => s.chmod(path, mode),
    cat(path) {
      const file = s.open(path, 0);
      if (file < 0) return file;
      const text = s.stat(path) === 0 && (s.status.mode & 0o170000) === 0o040000 ? -21 : s.read(file, 0, 1 << 20);
      s.put(file);
      return text;
    },
    names(path) {
      const names = s.names(path);
      return typeof names === 'number' ? names : names.join(' ');
    },
    stat(path, follow) {
      const result = s.stat(path, follow);
      return result !== 0 ? result : describe(s.status);
    },
    access: (path) => s.stat(path),
  };
}

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDWR, O_TRUNC, O_WRONLY } = fs.constants;
const FLAGS = [
  O_RDWR,
  O_WRONLY,
  O_RDWR | O_CREAT,
  O_RDWR | O_CREAT,
  O_WRONLY | O_CREAT | O_TRUNC,
  O_RDWR | O_CREAT | O_EXCL,
  O_RDWR | O_NOFOLLOW,
  O_RDWR | O_CREAT | O_NOFOLLOW,
  O_WRONLY | O_TRUNC,
  O_RDWR | O_DIRECTORY,
  O_WRONLY | O_CREAT | O_APPEND,
];

/** A path of one to four components; now and then "." or "..", a doubled or a trailing slash. */
export function random_path(random: Random): string {
  let path = '';
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++) {
    const odd = random.below(24);
    const name = odd === 0 ? '.' : odd === 1 ? '..' : random.pick(NAMES);
    path += (i === 0 ? '' : odd === 2 ? '//' : '/') + name;
  }
  return random.below(20) === 0 ? `${path}/` : path;
}

/** One random operation: its text, and how to make it. */
export function random_operation(random: Random): { text: string; run: (tree: Tree) => Outcome } {
  const path = random_path(random);
  const other = random_path(random);
  const mode = random.pick([0o777, 0o777, 0o644, 0o700, 0o1777, 0o2755, 0o555, 0o2777]);
  const flags = random.pick(FLAGS);
  const position = random.pick([0, 0, 5, 4000, 4096, 9000]);
  const body = random.pick(['', 'x', 'hello', 'long'.repeat(1500)]);
  const size = random.pick([0, 3, 4095, 4096, 10000]);
  const table: { text: string; run: (tree: Tree) => Outcome }[] = [
    { text: `mkdir ${path}`, run: (t) => t.mkdir(path, mode) },
    { text: `mkdir ${other}`, run: (t) => t.mkdir(other, mode) },
    { text: `rmdir ${path}`, run: (t) => t.rmdir(path) },
    { text: `unlink ${path}`, run: (t) => t.unlink(path) },
    { text: `rename ${path} ${other}`, run: (t) => t.rename(path, other) },
    { text: `rename ${other} ${path}`, run: (t) => t.rename(other, path) },
    { text: `link ${path} ${other}`, run: (t) => t.link(path, other) },
    { text: `symlink ${path} ${other}`, run: (t) => t.symlink(path, other) },
    { text: `readlink ${path}`, run: (t) => t.readlink(path) },
    {
      text: `write ${path} flags ${flags.toString(8)} at ${position} ${body.length}`,
      run: (t) => t.open_write(path, flags, 0o644, position, body),
    },
    {
      text: `write ${other} flags ${flags.toString(8)} at ${position} ${body.length}`,
      run: (t) => t.open_write(other, flags, 0o600, position, body),
    },
    { text: `truncate ${path} ${size}`, run: (t) => t.truncate(path, size) },
    { text: `chmod ${path} ${mode.toString(8)}`, run: (t) => t.chmod(path, mode) },
    { text: `cat ${path}`, run: (t) => t.cat(path) },
    { text: `names ${path}`, run: (t) => t.names(path) },
    { text: `stat ${path}`, run: (t) => t.stat(path, true) },
    { text: `lstat ${path}`, run: (t) => t.stat(path, false) },
    { text: `access ${path}`, run: (t) => t.access(path, 0) },
  ];
  return random.pick(table);
}

/** The whole tree as text: every name with its attributes, data and link target. */
export function dump_tree(tree: Tree, path = '.'): string[] {
  const names = tree.names(path);
  if (typeof names === 'number' || names === '') return [];
  const lines: string[] = [];
  for (const name of names.split(' ')) {
    const full = `${path}/${name}`;
    const st = tree.stat(full, false);
    lines.push(`${full} ${st}`);
    if (String(st).startsWith('4')) lines.push(...dump_tree(tree, full));
    else if (String(st).startsWith('12')) lines.push(`${full} -> ${tree.readlink(full)}`);
    else lines.push(`${full} = ${hash(String(tree.cat(full)))}`);
  }
  return lines;
}

function hash(text: string): string {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return `${text.length}:${(h >>> 0).toString(16)}`;
}
