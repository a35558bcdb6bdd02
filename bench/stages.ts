/**
 * Where a campaign's worker spends its time, from samples of V8's profiler in the same thread: a sample belongs to the
 * innermost function on its stack that begins a stage.
 */
import { Session } from 'node:inspector';

/** Microseconds between two samples. */
const INTERVAL_US = 200;

/** Functions that begin a stage. Their names are theirs alone in the bundle, or end in the class that has them. */
const STAGES: Readonly<Record<string, string>> = {
  mutate_program: 'mutate',
  generate_program: 'generate',
  clone_program: 'copy programs',
  pack: 'pack',
  exec_encode: 'encode',
  prepare_calls: 'prepare calls',
  run_to_end: 'run: platform and run loop',
  enter_syscall: 'run: system calls',
  resume_syscall: 'run: system calls',
  fill_memory: 'run: memory of calls',
  end_processes: 'end of processes',
  find: 'leak check',
  restore: 'reset',
  verify: 'verify the reset',
  note_signal: 'signal',
  take_new_edges: 'signal',
  covers: 'signal',
  minimize: 'minimise',
  make_choice_table: 'choice table',
  print_program: 'print',
  mutate_with_hints: 'hints',
  comparisons_of: 'hints',
  '(garbage collector)': 'collect garbage',
  '(program)': 'V8 and host',
};

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Of all time, 0 to 1. */
  readonly share: number;
}

export interface Shares {
  readonly stages: readonly Share[];
  /** Functions by their own time, with the stage that they work for. */
  readonly functions: readonly Share[];
  /** Handlers of system calls, with all that they call. */
  readonly handlers: readonly Share[];
}

/** Profiles this thread while `work` runs. A session of the same thread answers before `post` returns. */
export function profile(work: () => void): Shares {
  const session = new Session();
  session.connect();
  let found: Profile | undefined;
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  session.post('Profiler.start');
  work();
  session.post('Profiler.stop', (error, result) => {
    if (error === null) found = result.profile as Profile;
  });
  session.disconnect();
  if (found === undefined) throw new Error('V8 gave no profile');
  return shares_of(found);
}

function shares_of({ nodes, samples, timeDeltas }: Profile): Shares {
  const parents = new Map<number, ProfileNode>();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  const self = new Map<number, number>();
  let total = 0;
  for (const [i, id] of samples.entries()) {
    const time = timeDeltas[i + 1] ?? 0;
    self.set(id, (self.get(id) ?? 0) + time);
    total += time;
  }
  const [stages, functions, handlers] = [
    new Map<string, number>(),
    new Map<string, number>(),
    new Map<string, number>(),
  ];
  const add = (to: Map<string, number>, name: string, time: number): void =>
    void to.set(name, (to.get(name) ?? 0) + time);
  for (const node of nodes) {
    const time = self.get(node.id) ?? 0;
    const { functionName, url, lineNumber } = node.callFrame;
    const stage = stage_of(node, parents);
    add(stages, stage, time);
    add(functions, `${stage}: ${functionName} ${url.split('/').at(-1)}:${lineNumber + 1}`, time);
    const handler = handler_of(node, parents);
    if (handler !== '') add(handlers, handler, time);
  }
  const sorted = (times: Map<string, number>): Share[] =>
    [...times].map(([name, time]) => ({ name, share: time / total })).sort((a, b) => b.share - a.share);
  return { stages: sorted(stages), functions: sorted(functions), handlers: sorted(handlers) };
}

function stage_of(node: ProfileNode, parents: ReadonlyMap<number, ProfileNode>): string {
  for (let at: ProfileNode | undefined = node; at !== undefined; at = parents.get(at.id)) {
    const stage = STAGES[at.callFrame.functionName];
    if (stage !== undefined) return stage;
  }
  return 'other';
}

/** The function that the dispatcher called. */
function handler_of(node: ProfileNode, parents: ReadonlyMap<number, ProfileNode>): string {
  for (let at = node; ; ) {
    const above = parents.get(at.id);
    if (above === undefined) return '';
    if (above.callFrame.functionName === 'run_handler') return at.callFrame.functionName;
    at = above;
  }
}
