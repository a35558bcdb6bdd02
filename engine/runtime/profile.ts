/**
 * Profiles in the form of V8's .cpuprofile, which browsers' profilers and speedscope open (Chrome DevTools Protocol,
 * Profiler.Profile). One thread is all that the form knows: the vCPUs' times follow each other, each below a node of its
 * own.
 */
import type { CodePlace } from '../sentry/code_map.ts';
import type { CodeName } from '../sentry/code_names.ts';
import type { ProfileNode, ProfilePart } from '../sentry/profiler.ts';
import { SYSCALLS } from '../syscalls/table.ts';

export interface CpuProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly scriptId: string;
    /** The file, and whether the function's code was interpreted or translated when it was on top. */
    readonly url: string;
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
  hitCount: number;
  readonly children: number[];
}

/** Times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly CpuProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  /** Node at each sample, and the time since the sample before. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

class Tree {
  readonly nodes: CpuProfileNode[] = [];
  private readonly known = new Map<string, CpuProfileNode>();

  /** The child of a node with this name; `parent` 0 is none. */
  child(parent: number, name: string, url: string): number {
    const key = `${parent} ${name} ${url}`;
    let node = this.known.get(key);
    if (node === undefined) {
      const callFrame = { functionName: name, scriptId: '0', url, lineNumber: -1, columnNumber: -1 };
      node = { id: this.nodes.length + 1, callFrame, hitCount: 0, children: [] };
      this.nodes.push(node);
      this.known.set(key, node);
      this.nodes[parent - 1]?.children.push(node.id);
    }
    return node.id;
  }

  hit(id: number): void {
    (this.nodes[id - 1] as CpuProfileNode).hitCount++;
  }
}

function base_name(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Name and url of a node. */
function frame_of(node: ProfileNode, names: ReadonlyMap<CodePlace, CodeName>): [name: string, url: string] {
  if (node.kind === 'process') return [node.text, ''];
  if (node.kind === 'state') return [`(${node.text})`, ''];
  if (node.kind === 'call') return [`${SYSCALLS[Number(node.text)]?.name ?? node.text} (system call)`, 'kernel'];
  const place = node.place as CodePlace;
  const symbol = names.get(place)?.symbol ?? '';
  const offset = `0x${place.offset.toString(16)}`;
  const unnamed = place.path === '' ? offset : `${base_name(place.path)}+${offset}`;
  const path = place.path === '' ? 'no file' : place.path;
  return [symbol === '' ? unnamed : symbol, node.text === '' ? path : `${path} (${node.text})`];
}

/** The profile of what several threads have seen; `name` names places of code. */
export function cpu_profile(
  parts: readonly ProfilePart[],
  name: (places: readonly CodePlace[]) => readonly CodeName[],
): CpuProfile {
  const places = parts.flatMap(({ nodes }) => nodes.flatMap(({ place }) => (place === null ? [] : [place])));
  const named = name(places);
  const names = new Map(places.map((place, i) => [place, named[i] as CodeName]));
  const tree = new Tree();
  const root = tree.child(0, '(root)', '');
  const samples: number[] = [];
  const timeDeltas: number[] = [];
  let time = 0;
  let last = 0;
  for (const { vcpu, nodes, samples: seen, times } of parts) {
    const top = tree.child(root, `vCPU ${vcpu}`, '');
    const ids: number[] = [];
    for (const node of nodes)
      ids.push(tree.child(node.parent < 0 ? top : (ids[node.parent] as number), ...frame_of(node, names)));
    for (const [i, node] of seen.entries()) {
      const id = ids[node] as number;
      tree.hit(id);
      samples.push(id);
      timeDeltas.push(time - last);
      last = time;
      time += times[i] as number;
    }
  }
  // A sample lasts until the next one.
  samples.push(root);
  timeDeltas.push(time - last);
  return { nodes: tree.nodes, startTime: 0, endTime: time, samples, timeDeltas };
}
