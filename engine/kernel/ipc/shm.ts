/**
 * System V shared memory (shmget(2); Linux ipc/shm.c). A segment owns a mapping, whose pages are the data, and a file
 * that attachments map: the file's references count the attachments. After IPC_RMID the last of them ends the segment.
 */
import { CAP_IPC_LOCK } from '../../abi/capability.ts';
import { EEXIST, EIDRM, EINVAL, ENODEV, ENOMEM, ENOSPC, EPERM, ESPIPE } from '../../abi/errno.ts';
import {
  IPC_PRIVATE,
  SHM_DEST,
  SHM_EXEC,
  SHM_HUGETLB,
  SHM_LOCKED,
  SHM_RDONLY,
  SHM_REMAP,
  SHM_RND,
} from '../../abi/ipc.ts';
import { MAP_FIXED, MAP_FIXED_NOREPLACE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { RLIMIT_MEMLOCK } from '../../abi/resource.ts';
import type { Ptr } from '../../base/types.ts';
import { slab } from '../../heap/slab.ts';
import { frames_total } from '../../machine/frames.ts';
import { Vma } from '../../mm/mm.layout.ts';
import { mm_lock, mm_unlock } from '../../mm/mm_lock.ts';
import { map_object, page_align, unmap_range } from '../../mm/mmap.ts';
import { vma_find } from '../../mm/vma_tree.ts';
import { File } from '../../vfs/file.layout.ts';
import { anon_file, FILE_KIND_SHM, file_put, no_transfer, register_file_operations } from '../../vfs/file.ts';
import { MAPPING_ANONYMOUS } from '../../vfs/mapping.layout.ts';
import { mapping_create, mapping_put } from '../../vfs/mapping.ts';
import { Credentials } from '../credentials.layout.ts';
import { capable } from '../credentials.ts';
import { current } from '../current.ts';
import { rlimit } from '../limits.ts';
import { Task } from '../task.layout.ts';
import { ThreadGroup } from '../thread_group.layout.ts';
import { ipc_add, ipc_own, ipc_remove, ipc_root, ipc_seconds, ipc_use, lock_ipc, unlock_ipc } from './ids.ts';
import { IPC_SHM, IpcObject, IpcRoot, ShmSegment } from './ipc.layout.ts';

type S = Ptr<'ShmSegment'>;

export const shm_segments = slab(ShmSegment);
const O_RDWR = 2;

/** The head of a segment. */
export function shm_object(segment: S): Ptr<'IpcObject'> {
  return ShmSegment.object.at(segment);
}

function tgid(): number {
  return current === 0 ? 0 : ThreadGroup.tgid.get(Task.group.get(current));
}

/** Makes a segment: its identifier, -EINVAL for its size, -ENOMEM, -ENOSPC. Under the lock. */
export function shm_make(key: number, size: number, flags: number): number {
  // As a kernel without huge pages answers.
  if (size < 1 || size > IpcRoot.shm_max.get(ipc_root()) || (flags & SHM_HUGETLB) !== 0) return -EINVAL;
  const pages = page_align(size) / 4096;
  if (pages > 2 ** 52 - IpcRoot.shm_pages.get(ipc_root())) return -ENOSPC;
  if (pages > frames_total()) return -ENOMEM;
  const segment = shm_segments.alloc();
  if (segment === 0) return -ENOMEM;
  const mapping = mapping_create(MAPPING_ANONYMOUS, 0 as Ptr<'Inode'>, pages * 4096);
  const file = mapping === 0 ? (0 as Ptr<'File'>) : anon_file(FILE_KIND_SHM, segment, O_RDWR);
  const id = file === 0 ? -ENOMEM : ipc_add(IPC_SHM, shm_object(segment), key, flags);
  if (id < 0) {
    if (file !== 0) {
      File.object.set(file, 0);
      file_put(file);
    }
    if (mapping !== 0) mapping_put(mapping);
    shm_segments.free(segment);
    return id;
  }
  ShmSegment.size.set(segment, size);
  ShmSegment.file.set(segment, file);
  ShmSegment.mapping.set(segment, mapping);
  ShmSegment.cpid.set(segment, tgid());
  IpcRoot.shm_pages.set(ipc_root(), IpcRoot.shm_pages.get(ipc_root()) + pages);
  return id;
}

/** Attachments of a segment. */
export function shm_attachments(segment: S): number {
  const own = (IpcObject.mode.get(shm_object(segment)) & SHM_DEST) !== 0 ? 0 : 1;
  return File.refs.load(ShmSegment.file.get(segment)) - own;
}

/** References the file, unless its last reference has gone: then the segment is about to end. */
function file_get_live(file: Ptr<'File'>): boolean {
  for (;;) {
    const refs = File.refs.load(file);
    if (refs === 0) return false;
    if (File.refs.cas(file, refs, refs + 1) === refs) return true;
  }
}

/** The address that shmat's arguments ask for, 0 for any; -EINVAL. */
function attach_address(address: number, flags: number): number {
  const unaligned = address % 4096;
  if (unaligned !== 0 && (flags & SHM_RND) === 0) return -EINVAL;
  return address - unaligned === 0 && (flags & SHM_REMAP) !== 0 ? -EINVAL : address - unaligned;
}

/** Attaches segment `id` to the current address space: the address or -errno (shmat(2)). */
export function shm_attach(id: number, address: number, flags: number): number {
  const at = attach_address(address, flags);
  if (at < 0) return at;
  const read_only = (flags & SHM_RDONLY) !== 0;
  const execute = (flags & SHM_EXEC) !== 0;
  lock_ipc();
  const found = ipc_use(IPC_SHM, id, (read_only ? 0o444 : 0o666) | (execute ? 0o111 : 0));
  const segment = found as S;
  const file = found < 0 ? (0 as Ptr<'File'>) : ShmSegment.file.get(segment);
  const live = found >= 0 && file_get_live(file);
  const size = live ? ShmSegment.size.get(segment) : 0;
  const mapping = live ? ShmSegment.mapping.get(segment) : (0 as Ptr<'Mapping'>);
  unlock_ipc();
  if (found < 0) return found;
  if (!live) return -EIDRM;
  const prot = PROT_READ | (read_only ? 0 : PROT_WRITE) | (execute ? PROT_EXEC : 0);
  const fixed = at === 0 ? 0 : (flags & SHM_REMAP) !== 0 ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  const result = map_object(Task.mm.get(current), at, page_align(size), prot, fixed, file, mapping);
  if (result >= 0) {
    lock_ipc();
    ShmSegment.atime.set(segment, ipc_seconds());
    ShmSegment.lpid.set(segment, tgid());
    unlock_ipc();
  }
  file_put(file);
  return result === -EEXIST ? -EINVAL : result;
}

/** Whether a range is (part of) an attachment that began at `address`. */
function attached_at(vma: Ptr<'Vma'>, address: number): boolean {
  const file = Vma.file.get(vma);
  if (file === 0 || File.kind.get(file) !== FILE_KIND_SHM) return false;
  return Vma.start.get(vma) - address === Vma.pgoff.get(vma) * 4096;
}

/** Detaches what shmat attached at `address`: 0, -EINVAL when there is nothing (shmdt(2)). */
export function shm_detach(address: number): number {
  if (address % 4096 !== 0) return -EINVAL;
  const mm = Task.mm.get(current);
  mm_lock(mm);
  let file = 0 as Ptr<'File'>;
  let end = Number.POSITIVE_INFINITY;
  let result = -EINVAL;
  let vma = vma_find(mm, address);
  while (vma !== 0 && Vma.start.get(vma) < end) {
    const next = Vma.next.get(vma);
    if (attached_at(vma, address) && (file === 0 || file === Vma.file.get(vma))) {
      if (file === 0) {
        file = Vma.file.get(vma);
        end = address + page_align(ShmSegment.size.get(File.object.get(file) as S));
      }
      result = unmap_range(mm, Vma.start.get(vma), Vma.end.get(vma));
      if (result < 0) break;
    }
    vma = next;
  }
  mm_unlock(mm);
  return result;
}

/** IPC_RMID: the key goes now, the segment with its last attachment. 0 or -errno. */
export function shm_destroy(id: number): number {
  lock_ipc();
  const found = ipc_own(IPC_SHM, id);
  let file = 0 as Ptr<'File'>;
  if (found >= 0) {
    const object = shm_object(found as S);
    if ((IpcObject.mode.get(object) & SHM_DEST) === 0) file = ShmSegment.file.get(found as S);
    IpcObject.mode.set(object, IpcObject.mode.get(object) | SHM_DEST);
    IpcObject.key.set(object, IPC_PRIVATE);
  }
  unlock_ipc();
  if (file !== 0) file_put(file);
  return Math.min(found, 0);
}

/** SHM_LOCK and SHM_UNLOCK: told in the mode; nothing is ever swapped out. Under the lock: 0 or -EPERM. */
export function shm_set_locked(segment: S, locked: boolean): number {
  const object = shm_object(segment);
  if (!capable(CAP_IPC_LOCK)) {
    const euid = Credentials.euid.get(Task.credentials.get(current));
    if (euid !== IpcObject.uid.get(object) && euid !== IpcObject.cuid.get(object)) return -EPERM;
    if (locked && rlimit(RLIMIT_MEMLOCK) === 0) return -EPERM;
  }
  const mode = IpcObject.mode.get(object);
  IpcObject.mode.set(object, locked ? mode | SHM_LOCKED : mode & ~SHM_LOCKED);
  return 0;
}

/** The segment's last reference has gone. */
function end_segment(segment: S): void {
  const mapping = ShmSegment.mapping.get(segment);
  const root = ipc_root();
  lock_ipc();
  ipc_remove(IPC_SHM, shm_object(segment));
  IpcRoot.shm_pages.set(root, IpcRoot.shm_pages.get(root) - page_align(ShmSegment.size.get(segment)) / 4096);
  unlock_ipc();
  mapping_put(mapping);
  shm_segments.free(segment);
}

register_file_operations(FILE_KIND_SHM, {
  name: 'shm',
  read: no_transfer,
  write: no_transfer,
  poll: () => 0,
  queue: () => 0 as Ptr<'WaitQueue'>,
  seek: () => -ESPIPE,
  ioctl: () => -ENODEV,
  path(file) {
    const key = IpcObject.key.get(shm_object(File.object.get(file) as S));
    return `/SYSV${(key >>> 0).toString(16).padStart(8, '0')} (deleted)`;
  },
  unmapped(file) {
    const segment = File.object.get(file) as S;
    lock_ipc();
    ShmSegment.dtime.set(segment, ipc_seconds());
    ShmSegment.lpid.set(segment, tgid());
    unlock_ipc();
  },
  release(file) {
    const segment = File.object.get(file) as S;
    if (segment !== 0) end_segment(segment);
  },
});
