/** memfd_create(2). */
import { EFAULT, EINVAL, ENAMETOOLONG, ENODEV, ENOMEM } from '../abi/errno.ts';
import { O_CLOEXEC } from '../abi/fcntl.ts';
import {
  F_SEAL_EXEC,
  F_SEAL_SEAL,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
} from '../abi/memfd.ts';
import type { Ptr } from '../base/types.ts';
import { memfd_create } from '../fs/memfd/memfd.ts';
import { bytes_write } from '../heap/bytes.ts';
import { heap_page_alloc, heap_page_free } from '../heap/heap_pages.ts';
import { arg_lo, arg_u64 } from '../kernel/args.ts';
import { Credentials } from '../kernel/credentials.layout.ts';
import { current } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { copy_in_string } from '../mm/uaccess.ts';
import { install_new } from './eventfd.ts';
import { partial, type SyscallRow } from './row.ts';

const KNOWN_FLAGS = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
const PREFIX = 'memfd:';
/** NAME_MAX with room for the prefix (memfd_create(2): 249 bytes). */
const NAME_LIMIT = 250;

function sys_memfd_create(): number {
  const flags = arg_lo(1);
  // The page size of MFD_HUGETLB is in the upper bits; there are no huge pages.
  const known = (flags & MFD_HUGETLB) !== 0 ? KNOWN_FLAGS | MFD_HUGETLB | 0xfc00_0000 : KNOWN_FLAGS;
  if ((flags & ~known) !== 0) return -EINVAL;
  if ((flags & MFD_EXEC) !== 0 && (flags & MFD_NOEXEC_SEAL) !== 0) return -EINVAL;
  const page = heap_page_alloc();
  if (page === 0) return -ENOMEM;
  const result = create_named(page, flags);
  heap_page_free(page);
  return result;
}

function create_named(page: number, flags: number): number {
  const length = copy_in_string(arg_u64(0), page + PREFIX.length, NAME_LIMIT);
  if (length < 0) return length === -ENAMETOOLONG ? -EINVAL : -EFAULT;
  if ((flags & MFD_HUGETLB) !== 0) return -ENODEV;
  bytes_write(page, PREFIX);
  const noexec = (flags & MFD_NOEXEC_SEAL) !== 0;
  const open_to_seals = noexec || (flags & MFD_ALLOW_SEALING) !== 0;
  const seals = (noexec ? F_SEAL_EXEC : 0) | (open_to_seals ? 0 : F_SEAL_SEAL);
  const credentials = Task.credentials.get(current);
  const uid = Credentials.fsuid.get(credentials);
  const gid = Credentials.fsgid.get(credentials);
  const file = memfd_create(page, PREFIX.length + length, noexec ? 0o666 : 0o777, seals, uid, gid);
  if (file < 0) return file;
  return install_new(file as Ptr<'File'>, (flags & MFD_CLOEXEC) !== 0 ? O_CLOEXEC : 0);
}

export const MEMFD_ROWS: readonly SyscallRow[] = [
  partial(319, 'memfd_create', 'no huge pages (MFD_HUGETLB)', sys_memfd_create, 'name:string', 'flags:flags(MFD)'),
];
