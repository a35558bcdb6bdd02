/**
 * The work directory of a campaign:
 *
 *     workdir.json                   version of the layout
 *     lock                           process that has the campaign running
 *     corpus/HASH.prog               programs that reached something new
 *     unreadable/                    files of the corpus that could not be read, each with its reason
 *     crashes/HASH/, hangs/HASH/     findings (oracle/report.ts)
 *     diffs/                         differences from Linux
 *     stats.json, plot.jsonl         the state of the campaign, and its history
 */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import type { Target } from '../desc/target.ts';
import { HarnessError, message_of } from '../errors.ts';
import { title_hash } from '../oracle/finding.ts';
import { type CrashRecord, crash_files } from '../oracle/report.ts';
import { EXTENSION, parse_file, print_file, type SeededProgram } from './program_file.ts';
import { Saver, write_whole } from './saver.ts';

/** Version of the layout; a directory of a later one is left alone. */
const FORMAT = 1;

export interface WorkDirOptions {
  /** Put an existing directory aside and start anew. */
  readonly fresh?: boolean;
  /** Where the corpus is, when it is not below the work directory. */
  readonly corpus?: string;
}

export interface LoadedCorpus {
  readonly programs: readonly SeededProgram[];
  /** A line for each file that could not be read. */
  readonly problems: readonly string[];
}

export class WorkDir {
  readonly path: string;
  readonly corpus: string;
  readonly saver: Saver = new Saver();

  /** Opens or makes the directory. Throws a HarnessError when it is of another version, in use or out of reach. */
  static open(path: string, options: WorkDirOptions = {}): WorkDir {
    try {
      if (options.fresh === true && existsSync(path)) put_aside(path);
      const directory = new WorkDir(path, options.corpus ?? join(path, 'corpus'));
      mkdirSync(path, { recursive: true });
      check_version(path);
      lock(path);
      mkdirSync(directory.corpus, { recursive: true });
      return directory;
    } catch (error) {
      if (error instanceof HarnessError) throw error;
      throw new HarnessError(`the work directory ${path}: ${message_of(error)}`, 'choose another with --workdir');
    }
  }

  private constructor(path: string, corpus: string) {
    this.path = path;
    this.corpus = corpus;
  }

  /** The programs of the corpus, by name. Files that are none are moved to unreadable/, with the reason. */
  load(target: Target): LoadedCorpus {
    return load_directory(target, this.corpus, (name, reason) => {
      const aside = join(this.path, 'unreadable');
      mkdirSync(aside, { recursive: true });
      renameSync(join(this.corpus, name), join(aside, name));
      writeFileSync(join(aside, `${name}.reason`), `${reason}\n`);
    });
  }

  save_program(text: string, seed: number): void {
    const contents = print_file(text, seed);
    const path = join(this.corpus, `${content_hash(contents)}${EXTENSION}`);
    if (!existsSync(path)) this.saver.save(path, contents);
  }

  /** Writes a finding's directory and answers its path. */
  save_crash(crash: CrashRecord): string {
    const path = this.crash_path(crash);
    for (const [name, text] of Object.entries(crash_files(crash, path))) this.saver.save(join(path, name), text);
    return path;
  }

  private crash_path({ crash: { finding } }: CrashRecord): string {
    return join(this.path, finding.kind === 'hang' ? 'hangs' : 'crashes', title_hash(finding.title));
  }

  /** Titles of the findings of earlier campaigns. */
  known_titles(): string[] {
    const titles: string[] = [];
    for (const kind of ['crashes', 'hangs']) {
      const folder = join(this.path, kind);
      if (!existsSync(folder)) continue;
      for (const name of readdirSync(folder)) {
        const file = join(folder, name, 'meta.json');
        try {
          titles.push((JSON.parse(readFileSync(file, 'utf8')) as { title: string }).title);
        } catch {
          // Half a finding: it is found and written again.
        }
      }
    }
    return titles;
  }

  save_stats(stats: object): void {
    this.saver.save(join(this.path, 'stats.json'), `${JSON.stringify(stats, undefined, 2)}\n`);
  }

  /** Adds a line to the history; a disk that is full costs the line. */
  append_plot(line: object): void {
    try {
      appendFileSync(join(this.path, 'plot.jsonl'), `${JSON.stringify(line)}\n`);
    } catch (error) {
      this.saver.problem ||= message_of(error);
    }
  }

  /**
   * Waits until all is written. The last chance of what could not be: a directory of its own among the host's temporary files. Throws a
   * HarnessError that says where the files are, or how many are lost.
   */
  async rescue(): Promise<void> {
    if (await this.saver.retry()) return;
    const files = this.saver.rest();
    const remedy = 'make room, and copy them back';
    const place = join(tmpdir(), `tvisor-rescue-${process.pid}`);
    try {
      for (const [path, text] of files)
        write_whole(join(place, relative(this.path, path).replaceAll('..', 'corpus')), text);
    } catch (error) {
      throw new HarnessError(`${files.length} files could be written nowhere: ${message_of(error)}`, 'make room');
    }
    throw new HarnessError(`${this.path}: ${this.saver.problem}: ${files.length} files are in ${place}`, remedy);
  }

  close(): void {
    rmSync(join(this.path, 'lock'), { force: true });
  }
}

/** The programs of a directory, by name; `reject` is told of each file that is none. */
export function load_directory(
  target: Target,
  path: string,
  reject: (name: string, reason: string) => void = () => {},
): LoadedCorpus {
  const programs: SeededProgram[] = [];
  const problems: string[] = [];
  for (const name of readdirSync(path).sort()) {
    if (!name.endsWith(EXTENSION)) continue;
    try {
      programs.push(parse_file(target, readFileSync(join(path, name), 'utf8')));
    } catch (error) {
      const reason = message_of(error);
      problems.push(`${join(path, name)}: ${reason}`);
      try {
        reject(name, reason);
      } catch (failure) {
        problems.push(`${join(path, name)} stays where it is: ${message_of(failure)}`);
      }
    }
  }
  return { programs, problems };
}

/** Name of a program's file. */
export function content_hash(text: string): string {
  return createHash('sha1').update(text).digest('hex').slice(0, 16);
}

/** Renames a work directory to the first free DIR.1, DIR.2... */
function put_aside(path: string): void {
  if (readdirSync(path).length === 0) return;
  check_free(path);
  for (let n = 1; ; n++) {
    const aside = `${path.replace(/\/+$/, '')}.${n}`;
    if (existsSync(aside)) continue;
    renameSync(path, aside);
    return;
  }
}

function check_version(path: string): void {
  const file = join(path, 'workdir.json');
  if (!existsSync(file)) {
    write_whole(file, `${JSON.stringify({ format: FORMAT })}\n`);
    return;
  }
  const { format } = JSON.parse(readFileSync(file, 'utf8')) as { format?: unknown };
  if (format !== FORMAT)
    throw new HarnessError(
      `the work directory ${path} has format ${String(format)}, and this version knows ${FORMAT}`,
      'use another with --workdir, or copy its corpus/ into one: programs are plain text',
    );
}

function lock(path: string): void {
  check_free(path);
  write_whole(join(path, 'lock'), `${process.pid}\n`);
}

/** Throws when a process that lives has the directory. */
function check_free(path: string): void {
  const file = join(path, 'lock');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8'));
  if (pid === process.pid || !is_alive(pid)) return;
  throw new HarnessError(
    `the campaign in ${path} is running (process ${pid})`,
    `stop it, choose another with --workdir, or remove ${join(basename(path), 'lock')} if that process is something else`,
  );
}

function is_alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
