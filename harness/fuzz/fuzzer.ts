/**
 * One worker's campaign: the loop that makes programs, runs them and keeps those that reach something new.
 *
 *     triage ──> load ──> 2/3 follow-up, 1/3 fresh          (order of precedence)
 *        ^                     │          │
 *        └──── new edges ──────┴──────────┘
 *
 *     triage     runs the program again (it must do the same), minimises it, adds it to the corpus
 *     follow-up  what a new entry of the corpus is worth: mutants, hints, faults, races (follow_up.ts)
 *     fresh      a mutant of an entry, 19 times of 20, or a program from nothing
 *
 * Everything is synchronous and depends on seed, corpus and executor alone: the same campaign twice does the same.
 */
import type { Target } from '../desc/target.ts';
import type { ExecOutcome } from '../exec/executor.ts';
import { compare_runs, type Fingerprint, fingerprint_of } from '../oracle/determinism.ts';
import type { Finding } from '../oracle/finding.ts';
import { CallPairs, type ChoiceTable, choice_table_of } from '../prog/choice_table.ts';
import { generate_program } from '../prog/generate.ts';
import { minimize } from '../prog/minimize.ts';
import type { Program } from '../prog/model.ts';
import { mutate_program } from '../prog/mutate.ts';
import { print_program } from '../prog/print.ts';
import type { Random } from '../prog/random.ts';
import { clone_program } from '../prog/walk.ts';
import { Corpus, cost_of, type Entry } from './corpus.ts';
import { follow_up } from './follow_up.ts';
import { alternate, Jobs, once, order, type Source } from './queue.ts';
import { minimize_finding, recurs } from './reproduce.ts';
import type { Runner, RunRequest, Suspect } from './runner.ts';
import { add_edges, covers, edges_of, type SignalSet, take_new_edges } from './signal.ts';
import type { Stats } from './stats.ts';

/** Calls of a program from nothing, and the most that a mutant has: the cost of a program grows with them. */
const GENERATED_CALLS = 10;
const MUTATED_CALLS = 20;
const GENERATE_ONE_IN = 20;
/** One step in this many is fresh while there is follow-up work. */
const FRESH_ONE_IN = 3;
/** Runs that minimising may cost: the arguments of a ten-call program take about a hundred. */
const MINIMIZE_TRIES = 150;
const MINIMIZE_FINDING_TRIES = 100;
/** A program that costs as much as a hundred others (megabytes through a terminal) is no example for any. */
const MOST_COST = 300_000;
/** The table of priorities is made anew when the corpus has grown by a fifth, or by this. */
const TABLE_GROWTH = 50;
/** Programs that ran before a finding which does not recur, kept for its log. */
const LOG_PROGRAMS = 50;
/** Programs that may have broken the state that a verification found broken. */
const MOST_SUSPECTS = 10_000;

/** A finding with what is needed to see it again. */
export interface Crash {
  readonly finding: Finding;
  /** Minimised where the finding recurs. */
  readonly program: Program;
  /** As it was found. */
  readonly original: Program;
  readonly seed: number;
  /** Whether another run showed it again. */
  readonly recurs: boolean;
  /** Where it does not: what ran before, oldest first. */
  readonly before: readonly Suspect[];
}

/** Where a fuzzer's results go. */
export interface Sink {
  /** An entry that is new in the corpus; `loaded` when it comes from an earlier campaign. */
  input(entry: Entry, loaded: boolean): void;
  crash(crash: Crash): void;
  /** A finding whose title is known. */
  repeated(title: string): void;
}

export interface FuzzerOptions {
  readonly target: Target;
  readonly runner: Runner;
  readonly random: Random;
  /** Edges that any worker has seen. */
  readonly known: SignalSet;
  readonly stats: Stats;
  readonly sink: Sink;
  /** Titles of findings that need no report any more. */
  readonly known_titles?: Iterable<string>;
  /** Asked before each program: true ends the work at hand. */
  readonly stop: () => boolean;
}

/** A program with a call that reached something new. */
interface Candidate {
  readonly program: Program;
  readonly seed: number;
  readonly call: number;
  readonly edges: Uint32Array;
  readonly fingerprint: Fingerprint;
}

export class Fuzzer {
  readonly target: Target;
  readonly random: Random;
  readonly corpus: Corpus = new Corpus();
  readonly stop: () => boolean;
  private readonly runner: Runner;
  private readonly known: SignalSet;
  private readonly stats: Stats;
  private readonly sink: Sink;
  private readonly titles: Set<string>;
  private readonly triage: Jobs = new Jobs();
  private readonly loads: Jobs = new Jobs();
  private readonly follow_ups: Jobs = new Jobs();
  private readonly work: Source;
  private readonly pairs: CallPairs;
  private table: ChoiceTable;
  /** Entries of the corpus that the table has. */
  private table_size = 0;

  constructor(options: FuzzerOptions) {
    this.target = options.target;
    this.runner = options.runner;
    this.random = options.random;
    this.known = options.known;
    this.stats = options.stats;
    this.sink = options.sink;
    this.stop = options.stop;
    this.titles = new Set(options.known_titles);
    this.pairs = new CallPairs(this.target);
    this.table = choice_table_of(this.pairs);
    const fresh: Source = { step: () => this.fresh() };
    this.work = order(this.triage, this.loads, alternate(FRESH_ONE_IN, this.follow_ups, fresh));
  }

  /** Does one piece of work: one program, or a few that belong together. */
  step(): void {
    this.work.step();
    this.stats.set('queue', this.triage.length + this.loads.length + this.follow_ups.length);
  }

  /** What waits for triage joins the corpus, as small as it is: the end of a campaign loses nothing. */
  finish(): void {
    while (this.triage.step());
  }

  /** Runs a program of an earlier campaign, and keeps it if it reaches anything that others do not. */
  load(program: Program, seed: number): void {
    this.loads.push(once(() => this.run_loaded(program, seed)));
  }

  /** Takes an entry that another worker has found. */
  import_entry(entry: Entry): void {
    add_edges(this.known, entry.signal);
    this.corpus.add(entry);
  }

  /** Another worker has reported the finding. */
  know_title(title: string): void {
    this.titles.add(title);
  }

  /** A mutant of a program; the given one stays as it is. */
  mutant(entry: Entry): Program {
    const program = clone_program(entry.program);
    const { target, random, table } = this;
    mutate_program({ target, table, random, corpus: this.corpus.programs, max_calls: MUTATED_CALLS }, program);
    return program;
  }

  /**
   * Runs a program, reports what the oracles say, and queues what is new for triage. Answers undefined when there was
   * a finding: such a program is no example for others.
   */
  execute(request: RunRequest): ExecOutcome | undefined {
    const { outcome, finding } = this.runner.run(request);
    if (finding !== undefined) {
      this.report(request, finding);
      return undefined;
    }
    this.note_signal(request, outcome);
    return outcome;
  }

  private fresh(): boolean {
    const { random, corpus } = this;
    if (corpus.size === 0 || random.one_in(GENERATE_ONE_IN)) {
      const program = generate_program(this.target, this.table, random, GENERATED_CALLS);
      this.execute({ program, seed: 0, kind: 'generate' });
    } else {
      const entry = corpus.choose(random);
      this.execute({ program: this.mutant(entry), seed: entry.seed, kind: 'mutate' });
    }
    return true;
  }

  /** New edges become known at once, so that each is triaged only once. */
  private note_signal({ program, seed }: RunRequest, outcome: ExecOutcome): void {
    let copy: Program | undefined;
    let fingerprint: Fingerprint | undefined;
    const { calls } = outcome;
    for (let call = 0; call < calls.length; call++) {
      const edges = take_new_edges(calls[call]!.pcs, this.known);
      if (edges.length === 0) continue;
      copy ??= clone_program(program);
      fingerprint ??= fingerprint_of(outcome);
      const candidate: Candidate = { program: copy, seed, call, edges, fingerprint };
      this.triage.push(once(() => this.triage_candidate(candidate)));
    }
  }

  private triage_candidate(candidate: Candidate): void {
    const { program, seed, call } = candidate;
    this.stats.add('triaged');
    const second = this.execute({ program, seed, kind: 'triage' });
    if (second === undefined || cost_of(second) > MOST_COST) return;
    const stable = this.stable_edges(candidate, second);
    if (stable.length === 0) return;
    const smaller = minimize(program, call, (copy, index) => this.still_covers(copy, seed, index, stable), {
      max_tries: MINIMIZE_TRIES,
    });
    this.add_entry(smaller.program, seed, smaller.call_index);
  }

  /** The candidate's edges that a second run has too; all of them, unless the kernel is not deterministic. */
  private stable_edges(candidate: Candidate, second: ExecOutcome): Uint32Array {
    const { program, seed, call, edges } = candidate;
    const difference = compare_runs(program, candidate.fingerprint, fingerprint_of(second));
    if (difference === undefined) return edges;
    const again = new Set(edges_of(second.calls[call]?.pcs ?? new Uint32Array(0)));
    const stable = edges.filter((edge) => again.has(edge));
    this.stats.add('unstable');
    this.report({ program, seed, kind: 'triage' }, difference);
    return stable;
  }

  private still_covers(program: Program, seed: number, call: number, edges: Uint32Array): boolean {
    if (this.stop()) return false;
    const outcome = this.execute({ program, seed, kind: 'minimize' });
    return outcome !== undefined && covers(outcome.calls[call]?.pcs ?? new Uint32Array(0), edges);
  }

  private add_entry(program: Program, seed: number, call: number): void {
    const outcome = this.execute({ program, seed, kind: 'triage' });
    if (outcome === undefined) return;
    const signal = edges_of(outcome.calls[call]!.pcs);
    const entry: Entry = { program, text: print_program(program), call, seed, signal, cost: cost_of(outcome) };
    if (!this.corpus.add(entry)) return;
    this.sink.input(entry, false);
    this.follow_ups.push(follow_up(this, entry));
    this.refresh_table();
  }

  private refresh_table(): void {
    const grown = this.corpus.size - this.table_size;
    if (grown < TABLE_GROWTH || grown * 5 < this.table_size) return;
    for (; this.table_size < this.corpus.size; this.table_size++)
      this.pairs.add(this.corpus.programs[this.table_size]!);
    this.table = choice_table_of(this.pairs);
  }

  private run_loaded(program: Program, seed: number): void {
    const request: RunRequest = { program, seed, kind: 'load' };
    const { outcome, finding } = this.runner.run(request);
    if (finding !== undefined) {
      this.report(request, finding);
      return;
    }
    let best = -1;
    let most = 0;
    for (const [call, { pcs }] of outcome.calls.entries()) {
      const { length } = take_new_edges(pcs, this.known);
      if (length < most || length === 0) continue;
      best = call;
      most = length;
    }
    if (best < 0 || cost_of(outcome) > MOST_COST) return;
    const signal = edges_of(outcome.calls[best]!.pcs);
    const text = print_program(program);
    const entry: Entry = { program, text, call: best, seed, signal, cost: cost_of(outcome) };
    if (!this.corpus.add(entry)) return;
    this.sink.input(entry, true);
    this.refresh_table();
  }

  /** Minimises a finding that is new and hands it on; counts one that is known. */
  private report({ program, seed }: RunRequest, finding: Finding): void {
    this.stats.add('crashes');
    if (this.titles.has(finding.title)) {
      this.sink.repeated(finding.title);
      return;
    }
    this.titles.add(finding.title);
    const original = clone_program(program);
    const suspects = this.runner.take_suspects(finding.kind === 'corruption' ? MOST_SUSPECTS : LOG_PROGRAMS);
    const culprit = this.culprit(original, seed, finding, suspects);
    if (culprit === undefined) {
      this.sink.crash({
        finding,
        program: original,
        original,
        seed,
        recurs: false,
        before: suspects.slice(-LOG_PROGRAMS),
      });
      return;
    }
    const smaller = minimize_finding(
      this.runner,
      culprit.program,
      culprit.seed,
      finding,
      MINIMIZE_FINDING_TRIES,
      this.stop,
    );
    const crash = {
      finding,
      program: smaller,
      original: culprit.program,
      seed: culprit.seed,
      recurs: true,
      before: [],
    };
    this.sink.crash(crash);
  }

  /** The program that shows the finding again: of a state found corrupt, any that ran since it was last verified. */
  private culprit(program: Program, seed: number, finding: Finding, suspects: readonly Suspect[]): Suspect | undefined {
    if (recurs(this.runner, program, seed, finding)) return { program, seed };
    if (finding.kind !== 'corruption') return undefined;
    return suspects.find((suspect) => !this.stop() && recurs(this.runner, suspect.program, suspect.seed, finding));
  }
}
