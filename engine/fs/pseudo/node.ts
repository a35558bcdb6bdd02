/**
 * File systems whose files are made up when they are looked at: procfs, sysfs. A file system is a tree of
 * nodes, declared once and the same on every thread; an inode carries its node's number and a subject
 * (whose /proc/PID it is, which descriptor). Contents are text of one character a byte.
 */
import { assert } from '../../base/assert.ts';
import type { Ptr } from '../../base/types.ts';
import type { IoCursor } from '../../machine/io.ts';
import type { PathRef } from '../../vfs/path_ref.ts';

/** What an inode is about: a task (0: none) and a descriptor or other number (-1: none). */
export interface Subject {
  readonly tid: number;
  readonly item: number;
}

export const NO_SUBJECT: Subject = { tid: 0, item: -1 };

/** A name found in a directory. */
export interface Entry {
  readonly node: PseudoNode;
  readonly subject: Subject;
}

/** Receives the names of a directory: false when it wants no more. */
export type EntrySink = (name: string, entry: Entry, cookie: number) => boolean;

export interface PseudoNode {
  /** Name in its directory; empty for nodes that stand for many names. */
  readonly name: string;
  /** Type and permission bits. */
  readonly mode: number;
  readonly children?: readonly PseudoNode[];
  /** Names beyond the children. */
  lookup?(name: string, subject: Subject): Entry | null;
  /** Offers names beyond the children from `cookie` (0 at first) on, rising, until the sink is full. */
  list?(cookie: number, subject: Subject, sink: EntrySink): void;
  /** Nodes that `lookup` and `list` answer. */
  readonly others?: readonly PseudoNode[];
  /** The whole content, or -errno. */
  read?(subject: Subject): string | number;
  /** A number that moves when the content changes, and the queue that is woken then: the file can be polled. */
  readonly changes?: { count(): number; queue(): Ptr<'WaitQueue'> };
  /** Reads and writes in place of `read` and `write`, for contents that are bytes: their number, or -errno. */
  transfer?(subject: Subject, file: Ptr<'File'>, io: IoCursor, position: number, write: boolean): number;
  /** Takes a whole write: 0 or -errno. */
  write?(subject: Subject, text: string): number;
  /** Asked by open(2); sets kind and object where the operations are not the file system's: 0, or -errno to refuse. */
  open?(file: Ptr<'File'>, subject: Subject): number;
  /** Text of a symbolic link, or -errno. */
  link?(subject: Subject): string | number;
  /** Magic links: where they lead, with references; 0 or -errno. */
  follow?(subject: Subject, out: PathRef): number;
  /** Whether the name exists for this subject; absent: always. */
  exists?(subject: Subject): boolean;
  /** Device number of a device node. */
  rdev?(subject: Subject): number;
  /** Permission bits that depend on the subject, in place of those of `mode`. */
  permissions?(subject: Subject): number;
  /** Owner: absent is root. */
  owner?(subject: Subject): { readonly uid: number; readonly gid: number };
}

const nodes: PseudoNode[] = [];
const numbers = new Map<PseudoNode, number>();

/** Numbers the nodes of a tree, at module load. Each file system starts at a base of its own. */
export function number_tree(root: PseudoNode, base: number): void {
  let next = base;
  const visit = (node: PseudoNode): void => {
    if (numbers.has(node)) return;
    assert(nodes[next] === undefined, 'number_tree: bases too close');
    nodes[next] = node;
    numbers.set(node, next++);
    for (const child of node.children ?? []) visit(child);
    for (const other of node.others ?? []) visit(other);
  };
  visit(root);
}

/** The number of a node. */
export function number_of(node: PseudoNode): number {
  const number = numbers.get(node);
  assert(number !== undefined, `pseudo node ${node.name} has no number`);
  return number;
}

/** The node with this number. */
export function node_of(number: number): PseudoNode {
  const node = nodes[number];
  assert(node !== undefined, 'pseudo node of unknown number');
  return node;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** A directory with fixed names. */
export function directory(name: string, children: readonly PseudoNode[], mode = 0o555): PseudoNode {
  return { name, mode: S_IFDIR | mode, children };
}

/** A file that can only be read. */
export function file(name: string, read: (subject: Subject) => string | number, mode = 0o444): PseudoNode {
  return { name, mode: S_IFREG | mode, read };
}

/** A file with one unchanging line. */
export function constant(name: string, text: string | number): PseudoNode {
  return file(name, () => `${text}\n`);
}

/** A symbolic link. */
export function link(name: string, target: (subject: Subject) => string | number): PseudoNode {
  return { name, mode: S_IFLNK | 0o777, link: target };
}
