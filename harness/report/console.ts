/** How `fuzz` tells what happens: a panel in a terminal, lines in a log, JSON lines for programs. */
import type { Crash } from '../fuzz/fuzzer.ts';
import type { Snapshot } from '../fuzz/snapshot.ts';
import { repro_line } from '../oracle/report.ts';
import { panel_lines, status_line } from './status.ts';

export interface Reporter {
  progress(snapshot: Snapshot): void;
  crash(crash: Crash, path: string): void;
  warning(message: string): void;
  /** The last words. */
  end(snapshot: Snapshot, reason: string): void;
}

type Write = (text: string) => void;

/** Seconds between two status lines. */
const LINE_EVERY_S = 3;

function crash_lines(crash: Crash, path: string): string {
  const again = path === '' ? '' : `\n    ${repro_line(path)}`;
  const once = crash.recurs ? '' : ' (did not recur)';
  return `FINDING ${crash.finding.title}${once}${again}\n`;
}

/** One line every few seconds. */
export class LineReporter implements Reporter {
  private readonly write: Write;
  private last = Number.NEGATIVE_INFINITY;

  constructor(write: Write) {
    this.write = write;
  }

  progress(snapshot: Snapshot): void {
    if (snapshot.elapsed_s - this.last < LINE_EVERY_S) return;
    this.last = snapshot.elapsed_s;
    this.write(`${status_line(snapshot)}\n`);
  }

  crash(crash: Crash, path: string): void {
    this.write(crash_lines(crash, path));
  }

  warning(message: string): void {
    this.write(`warning: ${message}\n`);
  }

  end(snapshot: Snapshot, reason: string): void {
    this.write(`${status_line(snapshot)}\nend: ${reason}\n`);
  }
}

/** One JSON object a line: `type` is 'status', 'finding', 'warning' or 'end'. */
export class JsonReporter implements Reporter {
  private readonly write: Write;

  constructor(write: Write) {
    this.write = write;
  }

  private line(object: object): void {
    this.write(`${JSON.stringify(object)}\n`);
  }

  progress(snapshot: Snapshot): void {
    this.line({ type: 'status', ...snapshot });
  }

  crash({ finding, recurs }: Crash, path: string): void {
    this.line({ type: 'finding', kind: finding.kind, title: finding.title, recurs, path });
  }

  warning(message: string): void {
    this.line({ type: 'warning', message });
  }

  end(snapshot: Snapshot, reason: string): void {
    this.line({ type: 'end', reason, ...snapshot });
  }
}

/** A panel that is drawn over itself; findings and warnings scroll above it. */
export class PanelReporter implements Reporter {
  private readonly write: Write;
  private readonly work_dir: string;
  private drawn = 0;

  constructor(write: Write, work_dir: string) {
    this.write = write;
    this.work_dir = work_dir;
  }

  private erase(): string {
    const back = this.drawn === 0 ? '' : `\x1b[${this.drawn}A\x1b[J`;
    this.drawn = 0;
    return back;
  }

  progress(snapshot: Snapshot): void {
    const lines = panel_lines(snapshot, this.work_dir);
    this.write(`${this.erase()}${lines.join('\n')}\n`);
    this.drawn = lines.length;
  }

  crash(crash: Crash, path: string): void {
    this.write(`${this.erase()}${crash_lines(crash, path)}`);
  }

  warning(message: string): void {
    this.write(`${this.erase()}warning: ${message}\n`);
  }

  end(snapshot: Snapshot, reason: string): void {
    this.progress(snapshot);
    this.write(`end: ${reason}\n`);
  }
}
