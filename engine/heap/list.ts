// @hot
/**
 * Intrusive doubly linked lists. A record embeds a ListNode for each list it can be on; a list is a
 * ListNode that stands for its own head and points to itself when empty. Guarded by the list owner's lock.
 */
import { assert, CHECKED } from '../base/assert.ts';
import type { Ptr } from '../base/types.ts';
import { layout } from './layout.ts';

const l = layout('ListNode');
export const ListNode = l.done(
  {
    next: l.ptr('ListNode', "guarded by the list owner's lock"),
    prev: l.ptr('ListNode', "guarded by the list owner's lock"),
  },
  8,
);

type Node = Ptr<'ListNode'>;

/** Makes an empty list, or a node that is on no list. */
export function list_init(head: Node): void {
  ListNode.next.set(head, head);
  ListNode.prev.set(head, head);
}

/** Whether the list is empty (or the node is on no list). */
export function list_empty(head: Node): boolean {
  return ListNode.next.get(head) === head;
}

/** Inserts `node` before `at`; before the head is at the end. */
export function list_insert_before(at: Node, node: Node): void {
  if (CHECKED) assert(ListNode.next.get(node) === 0 || list_empty(node), 'list_insert_before: already on a list');
  const prev = ListNode.prev.get(at);
  ListNode.next.set(node, at);
  ListNode.prev.set(node, prev);
  ListNode.next.set(prev, node);
  ListNode.prev.set(at, node);
}

/** Appends at the end. */
export function list_push(head: Node, node: Node): void {
  list_insert_before(head, node);
}

/** Takes a node off its list; it is then on none. Harmless on a node that is on none. */
export function list_remove(node: Node): void {
  const next = ListNode.next.get(node);
  const prev = ListNode.prev.get(node);
  ListNode.next.set(prev, next);
  ListNode.prev.set(next, prev);
  list_init(node);
}

/** The first node, or 0. Iterate with `list_next(head, node)`. */
export function list_first(head: Node): Node {
  const first = ListNode.next.get(head);
  return first === head ? (0 as Node) : first;
}

/** The node behind `node`, or 0 at the end. Take it before removing `node`. */
export function list_next(head: Node, node: Node): Node {
  const next = ListNode.next.get(node);
  return next === head ? (0 as Node) : next;
}

/** Takes the first node off, or returns 0. */
export function list_pop(head: Node): Node {
  const first = list_first(head);
  if (first !== 0) list_remove(first);
  return first;
}
