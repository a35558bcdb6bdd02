/** Which source files of the engine are instrumented. */

/**
 * Left out, as Linux leaves out what is below kcov or runs outside of tasks: the heap and its locks, the CPU, entry
 * code, copies from and to user space, the scheduler and its clocks, kcov itself; and what is no kernel: build steps,
 * host, runtime, tracing, record layouts.
 */
const EXCLUDED = [
  'engine/index.ts',
  'engine/{abi,base,heap,host,kcov,machine,platform,runtime,snapshot,trace,wasm,x86}/**',
  'engine/**/*.layout.ts',
  'engine/mm/uaccess.ts',
  'engine/kernel/{args,cpu_time,current,kcov*,scheduler}.ts',
  'engine/time/clock.ts',
  'engine/syscalls/{args_spec,dispatch,row,table}.ts',
  'engine/sentry/{hand_over,machine,panic,run,vcpu_job}.ts',
];

/** A glob as a regular expression: `*` and `?` stay within a folder, `**` does not, `{a,b}` are alternatives. */
export function glob_pattern(glob: string): RegExp {
  let pattern = '';
  let braces = 0;
  for (let i = 0; i < glob.length; i++) {
    const c = glob.charAt(i);
    if (glob.startsWith('**/', i)) {
      pattern += '(?:.*/)?';
      i += 2;
    } else if (glob.startsWith('**', i)) {
      pattern += '.*';
      i++;
    } else if (c === '*') pattern += '[^/]*';
    else if (c === '?') pattern += '[^/]';
    else if (c === '{') {
      braces++;
      pattern += '(?:';
    } else if (c === '}' && braces > 0) {
      braces--;
      pattern += ')';
    } else if (c === ',' && braces > 0) pattern += '|';
    else pattern += c.replace(/[.+^$()|[\]\\{}]/, '\\$&');
  }
  if (braces !== 0) throw new Error(`'${glob}': a brace is not closed`);
  return new RegExp(`^${pattern}$`);
}

const excluded = EXCLUDED.map(glob_pattern);

/** Whether a source file, named from the repository's root (`engine/vfs/open.ts`), is instrumented at all. */
export function is_kernel_source(path: string): boolean {
  return path.startsWith('engine/') && !excluded.some((pattern) => pattern.test(path));
}

/** Splits a list of globs at the commas that are not within braces. */
function split_globs(text: string): string[] {
  const globs: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text.charAt(i);
    if (c === '{') depth++;
    else if (c === '}') depth--;
    else if (i === text.length || (c === ',' && depth <= 0)) {
      globs.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return globs.map((glob) => glob.trim()).filter((glob) => glob !== '');
}

/**
 * The filter of `--instrumentation-filter`: a list of globs with commas between them. A glob names source files from
 * the root (`engine/vfs/*.ts`) or from engine/ (`vfs/**`); one without a dot in its last part also names everything
 * below a folder (`vfs`). An empty list lets everything through. Throws an Error for a list that is no list of globs.
 */
export function source_filter(text: string): (path: string) => boolean {
  const patterns = split_globs(text).flatMap((glob) => {
    const full = glob.startsWith('engine/') ? glob : `engine/${glob}`;
    const last = full.slice(full.lastIndexOf('/') + 1);
    const below = last.includes('.') || last.includes('**') ? [] : [glob_pattern(`${full.replace(/\/$/, '')}/**`)];
    return [glob_pattern(full), ...below];
  });
  return (path) => patterns.length === 0 || patterns.some((pattern) => pattern.test(path));
}
