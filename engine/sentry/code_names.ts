/**
 * Names of code places, from the symbol tables of the files that were mapped, read through the guest's file tree. A file
 * that is gone or has changed since gives none, or wrong ones.
 */
import type { Ptr } from '../base/types.ts';
import { credentials_create, credentials_put } from '../kernel/credentials.ts';
import { read_bytes, with_string } from '../loader/image.ts';
import { read_symbol_table, type SymbolTable } from '../loader/symbols.ts';
import { file_put } from '../vfs/file.ts';
import { fs_context_create, fs_context_put } from '../vfs/fs_context.ts';
import { vfs_open } from '../vfs/open.ts';
import { PathContext } from '../vfs/path.ts';
import { vfs_root } from '../vfs/root.ts';
import { Mount, VfsRoot } from '../vfs/vfs.layout.ts';
import type { CodePlace } from './code_map.ts';

/** A place as people read it. */
export interface CodeName {
  /** Function, or '' where none is known, and bytes from its beginning. */
  readonly symbol: string;
  readonly distance: number;
  readonly place: CodePlace;
}

function read_table(context: PathContext, path: string): SymbolTable | null {
  const file = with_string(new TextEncoder().encode(path), (address) => vfs_open(context, address, 0, 0));
  if (file < 0) return null;
  const table = read_symbol_table((position, length) => {
    if (position > Number.MAX_SAFE_INTEGER - length) return null;
    const bytes = read_bytes(file as Ptr<'File'>, position, length);
    return typeof bytes === 'number' || bytes.length < length ? null : bytes;
  });
  file_put(file as Ptr<'File'>);
  return table;
}

/** The names of places, in their order. Runs on the host's thread, with the machine bound. */
export function name_places(
  places: readonly CodePlace[],
  ids: { uid: number; gid: number; groups: readonly number[] },
) {
  const root_mount = VfsRoot.root_mount.get(vfs_root());
  const context = new PathContext();
  context.credentials = credentials_create(ids.uid, ids.gid, ids.groups);
  context.fs = fs_context_create(root_mount, Mount.root.get(root_mount), 0);
  const tables = new Map<string, SymbolTable | null>();
  const names = places.map((place): CodeName => {
    let table = tables.get(place.path);
    if (table === undefined) {
      const readable = place.path.startsWith('/') && context.credentials !== 0 && context.fs !== 0;
      table = readable ? read_table(context, place.path) : null;
      tables.set(place.path, table);
    }
    const found = table?.lookup(place.offset) ?? null;
    return { symbol: found?.name ?? '', distance: found?.distance ?? 0, place };
  });
  if (context.fs !== 0) fs_context_put(context.fs);
  if (context.credentials !== 0) credentials_put(context.credentials);
  return names;
}

/** `main+0x12 (/bin/true)`, `/bin/true+0x1234`, or an address. */
export function code_name_text({ symbol, distance, place }: CodeName): string {
  const behind = distance === 0 ? '' : `+0x${distance.toString(16)}`;
  if (symbol !== '') return `${symbol}${behind} (${place.path})`;
  const offset = `0x${place.offset.toString(16)}`;
  return place.path === '' ? `${offset} (no file)` : `${place.path}+${offset}`;
}
