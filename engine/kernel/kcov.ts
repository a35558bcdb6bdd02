/**
 * kcov: coverage of the kernel for the program that causes it (Linux kernel/kcov.c). This file keeps the records;
 * what instrumented code calls is in kcov_trace.ts, the device in fs/sys/kcov_device.ts.
 *
 *   life     kcov_create (or an open and KCOV_INIT_TRACE) - kcov_attach - the task runs and appends - kcov_detach, or
 *            the task's end - kcov_put
 *   tracing  the run loop calls `kcov_resume` when a task is about to run kernel code on this vCPU, and `kcov_pause`
 *            before anyone else may run it. Interrupts (timers, the end of a slice) are left out, as in Linux
 *   remote   work that a task started and another context does: sections between `begin` and `end` of the timers'
 *            context are collected for whoever has registered the handle that was kept with the timer
 *
 * Lock order: kcov (the handles), then kcov_area (one record). Neither is held over a guest access.
 */
import { EBUSY, EEXIST, EINVAL, ENOMEM } from '../abi/errno.ts';
import { KCOV_DISABLED, KCOV_INIT, KCOV_TRACING_CMP, KCOV_TRACING_PC, KCOV_WORDS_PER_CMP } from '../abi/kcov.ts';
import { assert } from '../base/assert.ts';
import type { FrameAddr, Ptr } from '../base/types.ts';
import { heap_page_alloc } from '../heap/heap_pages.ts';
import { lock, unlock } from '../heap/lock.ts';
import { KCOV_AREA_LOCK, KCOV_LOCK } from '../heap/lock_order.ts';
import { MACHINE, MachineHeader, ROOT_KCOV } from '../heap/machine.layout.ts';
import { I32, U32 } from '../heap/memory.ts';
import { slab } from '../heap/slab.ts';
import { frame_alloc, frame_put, frames_total } from '../machine/frames.ts';
import { register_fire_context } from '../time/timer.ts';
import { MAPPING_KCOV } from '../vfs/mapping.layout.ts';
import { mapping_create, mapping_get, mapping_page, mapping_put, register_mapping_kind } from '../vfs/mapping.ts';
import { current } from './current.ts';
import { Kcov, KcovRemote, KcovRoot } from './kcov.layout.ts';
import {
  KCOV_STREAM_START,
  kcov_deliver,
  kcov_store,
  kcov_stream_begin,
  kcov_stream_end,
  kcov_trace_filter,
  kcov_trace_off,
  kcov_trace_to,
} from './kcov_trace.ts';
import { Task } from './task.layout.ts';

type K = Ptr<'Kcov'>;
type T = Ptr<'Task'>;

export const kcovs = slab(Kcov);
export const kcov_remotes = slab(KcovRemote);
export const kcov_roots = slab(KcovRoot);

const NONE = 0 as K;
const INT_MAX = 0x7fff_ffff;
const WORDS_PER_PAGE = 512;
const TABLE_ENTRIES = 1024;

/** Makes the KcovRoot at boot. `slots`: the files that may report, at most 1024; null for all. */
export function boot_kcov(slots: readonly number[] | null): void {
  const root = kcov_roots.alloc();
  const page = slots === null ? 0 : heap_page_alloc();
  assert(root !== 0 && (slots === null || page !== 0), 'boot_kcov: no heap');
  I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_KCOV] = root;
  if (slots === null) return;
  assert(slots.length <= TABLE_ENTRIES, 'boot_kcov: too many files');
  for (let i = 0; i < slots.length; i++) U32[(page >> 2) + i] = slots[i] as number;
  KcovRoot.filter.set(root, page);
  KcovRoot.filter_count.set(root, slots.length);
}

function kcov_root(): Ptr<'KcovRoot'> {
  return I32[(MachineHeader.roots.at(MACHINE) >> 2) + ROOT_KCOV] as Ptr<'KcovRoot'>;
}

const FILTER_BYTES = (1 << 19) / 8;

/** Prepares this thread to trace on the bound machine. */
export function kcov_enter_machine(): void {
  kcov_pause();
  const root = kcov_root();
  const page = root === 0 ? 0 : KcovRoot.filter.get(root);
  if (page === 0) {
    kcov_trace_filter(null);
    return;
  }
  const bits = new Uint8Array(FILTER_BYTES);
  for (let i = 0; i < KcovRoot.filter_count.get(root); i++) {
    const slot = U32[(page >> 2) + i] as number;
    bits[slot >> 3] = (bits[slot >> 3] as number) | (1 << (slot & 7));
  }
  kcov_trace_filter(bits);
}

// Records and areas

/** A kcov without area, as a file has it after open; 0 when the heap is exhausted. */
export function kcov_alloc(): K {
  const kcov = kcovs.alloc();
  if (kcov !== 0) Kcov.refs.store(kcov, 1);
  return kcov;
}

/** Takes a reference. */
export function kcov_get(kcov: K): void {
  Kcov.refs.add(kcov, 1);
}

/** Drops a reference; the last one frees area and record. Call it with no lock held. */
export function kcov_put(kcov: K): void {
  if (Kcov.refs.add(kcov, -1) !== 1) return;
  assert(Kcov.task.get(kcov) === 0, 'kcov_put: its task still holds a reference');
  free_area(Kcov.mapping.get(kcov), Kcov.directory.get(kcov) as FrameAddr, Kcov.words.get(kcov));
  kcovs.free(kcov);
}

/**
 * Gives a kcov its area of `words` words of 8 bytes, filled with zeros (KCOV_INIT_TRACE): 0; -EBUSY when it has one;
 * -EINVAL for fewer than 2 or more than INT_MAX / 8; -ENOMEM.
 */
export function kcov_init(kcov: K, words: number): number {
  if (Kcov.mode.get(kcov) !== KCOV_DISABLED) return -EBUSY;
  if (!(words >= 2 && words <= Math.floor(INT_MAX / 8))) return -EINVAL;
  const pages = Math.ceil(words / WORDS_PER_PAGE);
  if (pages > frames_total()) return -ENOMEM;
  const mapping = mapping_create(MAPPING_KCOV, 0 as Ptr<'Inode'>, pages * 4096);
  const directory = mapping === 0 ? (0 as FrameAddr) : frame_alloc();
  const filled = directory !== 0 && fill_area(mapping, directory, pages);
  if (filled) {
    lock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
    const first = Kcov.mode.get(kcov) === KCOV_DISABLED;
    if (first) {
      Kcov.mapping.set(kcov, mapping);
      Kcov.directory.set(kcov, directory);
      Kcov.words.set(kcov, words);
      Kcov.mode.set(kcov, KCOV_INIT);
    }
    unlock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
    if (first) return 0;
  }
  free_area(mapping, directory, words);
  return filled ? -EBUSY : -ENOMEM;
}

/** Puts the area's frames into the mapping and the directory; false when memory is exhausted half way. */
function fill_area(mapping: Ptr<'Mapping'>, directory: FrameAddr, pages: number): boolean {
  for (let i = 0; i < pages; i++) {
    const at = (directory >>> 2) + Math.floor(i / TABLE_ENTRIES);
    if (i % TABLE_ENTRIES === 0) U32[at] = frame_alloc();
    const table = U32[at] as number;
    // The reference that comes with the frame is the record's own.
    const frame = table === 0 ? 0 : mapping_page(mapping, i, true);
    if (frame <= 0) return false;
    U32[(table >>> 2) + (i % TABLE_ENTRIES)] = frame;
  }
  return true;
}

function free_area(mapping: Ptr<'Mapping'>, directory: FrameAddr, words: number): void {
  const pages = directory === 0 ? 0 : Math.ceil(words / WORDS_PER_PAGE);
  for (let i = 0; i < pages; i += TABLE_ENTRIES) {
    const table = U32[(directory >>> 2) + i / TABLE_ENTRIES] as FrameAddr;
    if (table === 0) break;
    for (let j = 0; j < Math.min(TABLE_ENTRIES, pages - i); j++) {
      const frame = U32[(table >>> 2) + j] as FrameAddr;
      if (frame !== 0) frame_put(frame);
    }
    frame_put(table);
  }
  if (directory !== 0) frame_put(directory);
  if (mapping !== 0) mapping_put(mapping);
}

/** The area's mapping with a reference for the caller; -EINVAL before kcov_init and for another size in bytes. */
export function kcov_mapping(kcov: K, offset: number, length: number): Ptr<'Mapping'> | number {
  lock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  const mapping = Kcov.mapping.get(kcov);
  const fits = mapping !== 0 && offset === 0 && length === Kcov.words.get(kcov) * 8;
  unlock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  if (!fits) return -EINVAL;
  // The file that is being mapped keeps the kcov, and that its mapping.
  mapping_get(mapping);
  return mapping;
}

// Tracing

/** A host that runs programs itself takes the records of all tasks of this thread, instead of their areas. */
export interface KcovCollector {
  /** The thread is about to run `task` in the kernel. */
  resume(task: T): void;
  pause(): void;
  /** How far the stream (kcov_trace.ts) is in use. */
  place(): number;
}

let collector: KcovCollector | null = null;

/** From now on this thread's records go to a collector; null: to the tasks' areas again. */
export function kcov_collect(to: KcovCollector | null): void {
  kcov_trace_off();
  collector = to;
}

/** Sets this thread to append for `task`, which it is about to run in the kernel. */
export function kcov_resume(task: T): void {
  if (collector !== null) {
    collector.resume(task);
    return;
  }
  const kcov = Task.kcov.get(task);
  if (kcov === 0 || Kcov.remote.get(kcov) !== 0) kcov_trace_off();
  else kcov_trace_to(Kcov.mode.get(kcov), Kcov.directory.get(kcov), Kcov.words.get(kcov));
}

/** This thread appends to nothing until the next `kcov_resume`. */
export function kcov_pause(): void {
  if (collector !== null) collector.pause();
  else kcov_trace_off();
}

/**
 * Begins to trace a task (KCOV_ENABLE): KCOV_TRACING_PC or KCOV_TRACING_CMP. 0; -EINVAL without an area or when it
 * traces already; -EBUSY when the task has another kcov. From outside, the task must not be running.
 */
export function kcov_attach(task: T, kcov: K, mode: number): number {
  lock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  const result = claim(task, kcov, mode);
  unlock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  if (result === 0 && task === current) kcov_resume(task);
  return result;
}

function claim(task: T, kcov: K, mode: number): number {
  if (Kcov.mode.get(kcov) !== KCOV_INIT) return -EINVAL;
  if (Kcov.task.get(kcov) !== 0 || Task.kcov.get(task) !== 0) return -EBUSY;
  if (mode !== KCOV_TRACING_PC && mode !== KCOV_TRACING_CMP) return -EINVAL;
  Kcov.mode.set(kcov, mode);
  Kcov.task.set(kcov, task);
  Task.kcov.set(task, kcov);
  // Given back when tracing ends.
  kcov_get(kcov);
  return 0;
}

/** Ends the tracing of a task, if it is traced: mode INIT, the area and its mappings stay. */
export function kcov_detach(task: T): void {
  const kcov = Task.kcov.get(task);
  if (kcov === 0) return;
  if (task === current) kcov_pause();
  remove_handles(kcov);
  lock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  Task.kcov.set(task, NONE);
  Task.kcov_handle.set(task, 0);
  Kcov.task.set(kcov, 0 as T);
  Kcov.mode.set(kcov, KCOV_INIT);
  Kcov.remote.set(kcov, 0);
  Kcov.remote_words.set(kcov, 0);
  Kcov.sequence.set(kcov, Kcov.sequence.get(kcov) + 1);
  unlock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  kcov_put(kcov);
}

/** KCOV_DISABLE of the current task: -EINVAL when it is not this kcov that traces it. */
export function kcov_disable(kcov: K): number {
  if (Task.kcov.get(current) !== kcov) return -EINVAL;
  kcov_detach(current);
  return 0;
}

// The host's own use: coverage without a guest's descriptor

/** A kcov with an area of `words` words and one reference (`kcov_put`), or 0 when memory is exhausted. */
export function kcov_create(words: number): K {
  const kcov = kcov_alloc();
  if (kcov === 0 || kcov_init(kcov, words) === 0) return kcov;
  kcov_put(kcov);
  return NONE;
}

/** Index into U32 of a word of the area. */
function area_index(kcov: K, position: number): number {
  const page = Math.floor(position / WORDS_PER_PAGE);
  const table = U32[(Kcov.directory.get(kcov) >>> 2) + Math.floor(page / TABLE_ENTRIES)] as number;
  const frame = U32[(table >>> 2) + (page % TABLE_ENTRIES)] as number;
  return (frame >>> 2) + (position % WORDS_PER_PAGE) * 2;
}

/** Stores 0 to word 0 of the area. */
export function kcov_reset(kcov: K): void {
  kcov_deliver();
  const at = area_index(kcov, 0);
  U32[at + 1] = 0;
  Atomics.store(I32, at, 0);
}

/** How many records word 0 tells of: what was appended since the last reset, unless the guest stored to it. */
export function kcov_count(kcov: K): number {
  kcov_deliver();
  return Atomics.load(I32, area_index(kcov, 0)) >>> 0;
}

/**
 * Copies the low words of the program counters from record `from` on (KCOV_TRACING_PC) and returns how many; as many
 * as `target` holds. Their high words are all 0xffffffff.
 */
export function kcov_read_pcs(kcov: K, from: number, target: Uint32Array): number {
  const room = Math.min(kcov_count(kcov), Kcov.words.get(kcov) - 1);
  const count = Math.max(0, Math.min(room - from, target.length));
  let done = 0;
  while (done < count) {
    const position = 1 + from + done;
    let at = area_index(kcov, position);
    const piece = Math.min(count - done, WORDS_PER_PAGE - (position % WORDS_PER_PAGE));
    for (let i = 0; i < piece; i++, at += 2) target[done++] = U32[at] as number;
  }
  return count;
}

/** Elements of a comparison in `kcov_read_comparisons`: type, low and high word of both operands, low word of the PC. */
export const KCOV_CMP_ELEMENTS = 6;

/** Copies comparisons from record `from` on (KCOV_TRACING_CMP), six elements each, and returns how many. */
export function kcov_read_comparisons(kcov: K, from: number, target: Uint32Array): number {
  const room = Math.min(kcov_count(kcov), Math.floor((Kcov.words.get(kcov) - 1) / KCOV_WORDS_PER_CMP));
  const count = Math.max(0, Math.min(room - from, Math.floor(target.length / KCOV_CMP_ELEMENTS)));
  for (let i = 0; i < count; i++) {
    const position = 1 + (from + i) * KCOV_WORDS_PER_CMP;
    const to = i * KCOV_CMP_ELEMENTS;
    target[to] = U32[area_index(kcov, position)] as number;
    for (let operand = 1; operand <= 2; operand++) {
      const at = area_index(kcov, position + operand);
      target[to + operand * 2 - 1] = U32[at] as number;
      target[to + operand * 2] = U32[at + 1] as number;
    }
    target[to + 5] = U32[area_index(kcov, position + 3)] as number;
  }
  return count;
}

/** Calls `visit` with each frame of the area and of its directory: they hold nothing that a program observes by itself. */
export function kcov_each_frame(kcov: K, visit: (frame: FrameAddr) => void): void {
  const directory = Kcov.directory.get(kcov) as FrameAddr;
  if (directory === 0) return;
  visit(directory);
  const pages = Math.ceil(Kcov.words.get(kcov) / WORDS_PER_PAGE);
  for (let i = 0; i < pages; i++) {
    const table = U32[(directory >>> 2) + Math.floor(i / TABLE_ENTRIES)] as FrameAddr;
    if (i % TABLE_ENTRIES === 0) visit(table);
    visit(U32[(table >>> 2) + (i % TABLE_ENTRIES)] as FrameAddr);
  }
}

// Remote coverage

/** A 64-bit handle: subsystem in the highest byte, instance in the low half. */
export interface RemoteHandle {
  readonly low: number;
  readonly high: number;
}

const SUBSYSTEM_COMMON = 0;
const SUBSYSTEM_USB = 0x0100_0000;

/** Whether a handle is one that a list may have, or the common one (Linux's kcov_check_handle). */
function is_handle({ low, high }: RemoteHandle, common: boolean): boolean {
  if (common) return high === SUBSYSTEM_COMMON && low !== 0;
  return high === SUBSYSTEM_USB;
}

/**
 * Collects remote coverage for the current task (KCOV_REMOTE_ENABLE): from sections under one of `handles`, and from
 * work that this task starts, under `common` (0: none). `words` bounds what one section adds. 0; -EINVAL and -EBUSY as
 * for `kcov_attach`, -EINVAL for a bad handle, -EEXIST for one in use, -ENOMEM.
 */
export function kcov_remote_enable(
  kcov: K,
  mode: number,
  words: number,
  handles: readonly RemoteHandle[],
  common: RemoteHandle,
): number {
  lock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  let result = claim(current, kcov, mode);
  if (result === 0) {
    Kcov.remote.set(kcov, 1);
    Kcov.remote_words.set(kcov, words);
  }
  unlock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  if (result !== 0) return result;
  kcov_pause();
  lock(KcovRoot.lock.at(kcov_root()), KCOV_LOCK);
  for (let i = 0; i < handles.length && result === 0; i++) result = add_handle(kcov, handles[i] as RemoteHandle, false);
  if (result === 0 && (common.low !== 0 || common.high !== 0)) {
    result = add_handle(kcov, common, true);
    if (result === 0) Task.kcov_handle.set(current, common.low);
  }
  unlock(KcovRoot.lock.at(kcov_root()), KCOV_LOCK);
  if (result !== 0) kcov_detach(current);
  return result;
}

function find_handle(low: number, high: number): Ptr<'KcovRemote'> {
  let remote = KcovRoot.handles.get(kcov_root());
  while (remote !== 0 && (KcovRemote.handle.lo(remote) !== low || KcovRemote.handle.hi(remote) !== high))
    remote = KcovRemote.next.get(remote);
  return remote;
}

/** Under the root's lock. */
function add_handle(kcov: K, handle: RemoteHandle, common: boolean): number {
  if (!is_handle(handle, common)) return -EINVAL;
  if (find_handle(handle.low, handle.high) !== 0) return -EEXIST;
  const remote = kcov_remotes.alloc();
  if (remote === 0) return -ENOMEM;
  KcovRemote.handle.set_parts(remote, handle.low, handle.high);
  KcovRemote.kcov.set(remote, kcov);
  KcovRemote.next.set(remote, KcovRoot.handles.get(kcov_root()));
  KcovRoot.handles.set(kcov_root(), remote);
  KcovRemote.next_own.set(remote, Kcov.handles.get(kcov));
  Kcov.handles.set(kcov, remote);
  return 0;
}

function remove_handles(kcov: K): void {
  if (Kcov.remote.get(kcov) === 0) return;
  const root = kcov_root();
  lock(KcovRoot.lock.at(root), KCOV_LOCK);
  for (let own = Kcov.handles.get(kcov); own !== 0; ) {
    const next_own = KcovRemote.next_own.get(own);
    const next = KcovRemote.next.get(own);
    let before = KcovRoot.handles.get(root);
    if (before === own) KcovRoot.handles.set(root, next);
    else {
      while (KcovRemote.next.get(before) !== own) before = KcovRemote.next.get(before);
      KcovRemote.next.set(before, next);
    }
    kcov_remotes.free(own);
    own = next_own;
  }
  Kcov.handles.set(kcov, 0 as Ptr<'KcovRemote'>);
  unlock(KcovRoot.lock.at(root), KCOV_LOCK);
}

/** The remote section that this thread is in: its handle, -1 outside of one; and whom it is for, 0 nobody. */
let section_handle = -1;
let section_kcov = NONE;
let section_sequence = 0;
let section_mode = 0;
let section_words = 0;

/** Begins a section under a common handle (Linux's kcov_remote_start_common). Tracing is paused already. */
function section_begin(handle: number): void {
  section_handle = handle;
  if (handle === 0) return;
  lock(KcovRoot.lock.at(kcov_root()), KCOV_LOCK);
  const remote = find_handle(handle, SUBSYSTEM_COMMON);
  if (remote !== 0) {
    const kcov = KcovRemote.kcov.get(remote);
    kcov_get(kcov);
    section_kcov = kcov;
    section_sequence = Kcov.sequence.get(kcov);
    section_mode = Kcov.mode.get(kcov);
    section_words = Math.min(Kcov.remote_words.get(kcov), Kcov.words.get(kcov));
  }
  unlock(KcovRoot.lock.at(kcov_root()), KCOV_LOCK);
  if (remote !== 0) kcov_stream_begin(section_mode, collector === null ? KCOV_STREAM_START : collector.place());
}

/** Ends a section: its records are added to the area, unless the tracing has ended meanwhile. */
function section_end(): void {
  section_handle = -1;
  const kcov = section_kcov;
  if (kcov === 0) return;
  const from = collector === null ? KCOV_STREAM_START : collector.place();
  const to = kcov_stream_end();
  lock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  if (Kcov.sequence.get(kcov) === section_sequence)
    kcov_store(section_mode, Kcov.directory.get(kcov), Kcov.words.get(kcov), from + 1, to, section_words);
  unlock(Kcov.lock.at(kcov), KCOV_AREA_LOCK);
  section_kcov = NONE;
  kcov_put(kcov);
}

/** Installs kcov's tables, once a thread, in the instrumented build. */
export function register_kcov(): void {
  register_mapping_kind(MAPPING_KCOV, { name: 'kcov', evictable: false });
  register_fire_context({
    handle: () => (section_handle >= 0 ? section_handle : current === 0 ? 0 : Task.kcov_handle.get(current)),
    begin: section_begin,
    end: section_end,
  });
}
