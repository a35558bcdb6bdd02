/**
 * Where the code of the running task comes from: for profiles and `tvisor debug`, which name it after the run, when the
 * process is gone.
 */
import { register_cache } from '../base/caches.ts';
import type { Ptr } from '../base/types.ts';
import { bytes_read } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { current } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { Mm, VM_EXEC } from '../mm/mm.layout.ts';
import { vma_snapshot } from '../mm/stats.ts';
import { d_path } from '../vfs/d_path.ts';
import { File } from '../vfs/file.layout.ts';
import { file_put } from '../vfs/file.ts';

const PATH_BYTES = 4096;

/** A mapped range of code. */
export interface CodeMapping {
  readonly start: number;
  readonly end: number;
  /** The file's path in the guest, '[vdso]', or '' for memory without a file. */
  readonly path: string;
  /** Byte offset in the file of its start. */
  readonly offset: number;
}

/** Where code is: an offset in a file, or an address where it belongs to none. */
export interface CodePlace {
  readonly path: string;
  readonly offset: number;
}

let mappings: readonly CodeMapping[] = [];
/** Whose they are, and its Mm.code_changes as of then. */
let space = 0;
let changes = 0;

register_cache('code mappings', () => {
  space = 0;
});

function path_of(file: Ptr<'File'>): string {
  const page = heap_page_alloc();
  if (page === 0) return '';
  const length = d_path(0 as Ptr<'FsContext'>, File.mount.get(file), File.dentry.get(file), page, PATH_BYTES);
  const path = length < 0 ? '' : bytes_read(page, length);
  heap_page_free(page);
  return path;
}

function read_mappings(mm: Ptr<'Mm'>): CodeMapping[] {
  const found: CodeMapping[] = [];
  for (let at = 0; ; ) {
    const vma = vma_snapshot(mm, at);
    if (vma === null) return found;
    at = vma.end;
    if ((vma.flags & VM_EXEC) !== 0) {
      const path = vma.file === 0 ? vma.name : path_of(vma.file);
      found.push({ start: vma.start, end: vma.end, path, offset: vma.offset });
    }
    if (vma.file !== 0) file_put(vma.file);
  }
}

function find(address: number): CodeMapping | undefined {
  return mappings.find(({ start, end }) => address >= start && address < end);
}

/**
 * The mapping of code at an address of the current task, null where nothing executable is mapped. The caller is not in
 * guest mode and holds no lock.
 */
export function code_mapping(address: number): CodeMapping | null {
  const mm = Task.mm.get(current);
  if (mm === 0) return null;
  const now = Mm.code_changes.load(mm);
  const known = space === Mm.number.get(mm) && changes === now ? find(address) : undefined;
  if (known !== undefined) return known;
  mappings = read_mappings(mm);
  space = Mm.number.get(mm);
  changes = now;
  return find(address) ?? null;
}

/** Where the code at an address of the current task comes from; see `code_mapping`. */
export function code_place(address: number): CodePlace {
  const mapping = code_mapping(address);
  if (mapping === null || mapping.path === '') return { path: '', offset: address };
  return { path: mapping.path, offset: address - mapping.start + mapping.offset };
}
