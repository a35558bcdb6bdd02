/** /proc/PID/maps, statm: what the address space holds. */
import { dev_major, dev_minor } from '../../abi/stat.ts';
import type { Ptr } from '../../base/types.ts';
import { bytes_read } from '../../heap/bytes.ts';
import { Mm, SPECIAL_VDSO, SPECIAL_VVAR, VM_EXEC, VM_READ, VM_SHARED, VM_WRITE, Vma } from '../../mm/mm.layout.ts';
import { mm_lock, mm_unlock } from '../../mm/mm_lock.ts';
import { file_path } from '../../vfs/d_path.ts';
import { File } from '../../vfs/file.layout.ts';
import { file_get, file_put } from '../../vfs/file.ts';
import { Inode, SuperBlock } from '../../vfs/vfs.layout.ts';
import type { Subject } from '../pseudo/node.ts';
import { with_mm, with_page, with_task } from './subject.ts';

/** A range of an address space, as maps shows it. */
export interface Region {
  readonly start: number;
  readonly end: number;
  readonly flags: number;
  readonly offset: number;
  readonly special: number;
  readonly file: Ptr<'File'>;
}

/** The regions of an address space, their files referenced: names are asked for without its lock. */
function regions_of(mm: Ptr<'Mm'>): Region[] {
  const found: Region[] = [];
  mm_lock(mm);
  for (let vma = Mm.first.get(mm); vma !== 0; vma = Vma.next.get(vma)) {
    const file = Vma.file.get(vma);
    if (file !== 0) file_get(file);
    found.push({
      start: Vma.start.get(vma),
      end: Vma.end.get(vma),
      flags: Vma.flags.get(vma),
      offset: file === 0 ? 0 : Vma.pgoff.get(vma) * 4096,
      special: Vma.special.get(vma),
      file,
    });
  }
  mm_unlock(mm);
  return found;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function name_of(region: Region, mm: Ptr<'Mm'>): string {
  if (region.file !== 0)
    return with_page('', (page) => {
      const length = file_path(0 as Ptr<'FsContext'>, region.file, page, 4096);
      return length < 0 ? '' : bytes_read(page, length).replaceAll('\n', '\\012');
    });
  if (region.special === SPECIAL_VDSO) return '[vdso]';
  if (region.special === SPECIAL_VVAR) return '[vvar]';
  if (region.start <= Mm.brk.get(mm) && region.end >= Mm.start_brk.get(mm) && Mm.brk.get(mm) > Mm.start_brk.get(mm))
    return '[heap]';
  const stack = Mm.start_stack.get(mm);
  return region.start <= stack && stack < region.end ? '[stack]' : '';
}

/** One line of maps, without its end. */
export function maps_line(region: Region, mm: Ptr<'Mm'>): string {
  const { flags } = region;
  const rights =
    ((flags & VM_READ) !== 0 ? 'r' : '-') +
    ((flags & VM_WRITE) !== 0 ? 'w' : '-') +
    ((flags & VM_EXEC) !== 0 ? 'x' : '-') +
    ((flags & VM_SHARED) !== 0 ? 's' : 'p');
  const inode = region.file === 0 ? (0 as Ptr<'Inode'>) : File.inode.get(region.file);
  const dev = inode === 0 ? 0 : SuperBlock.dev.get(Inode.sb.get(inode));
  const ino = inode === 0 ? 0 : Inode.ino.get(inode);
  const place = `${hex(dev_major(dev), 2)}:${hex(dev_minor(dev), 2)} ${ino}`;
  const head = `${hex(region.start, 8)}-${hex(region.end, 8)} ${rights} ${hex(region.offset, 8)} ${place}`;
  const name = name_of(region, mm);
  return name === '' ? `${head} ` : `${`${head} `.padEnd(73)}${name}`;
}

/** The text of each region of the subject's address space, one after the other; -errno when it is gone. */
export function each_line(subject: Subject, text: (region: Region, mm: Ptr<'Mm'>) => string): string | number {
  return with_task(subject, (task) =>
    with_mm(task, '', (mm) => {
      let out = '';
      for (const region of regions_of(mm)) {
        out += text(region, mm);
        if (region.file !== 0) file_put(region.file);
      }
      return out;
    }),
  );
}

/** /proc/PID/maps (proc_pid_maps(5)). */
export function maps(subject: Subject): string | number {
  return each_line(subject, (region, mm) => `${maps_line(region, mm)}\n`);
}

/** Resident pages. */
export function resident_pages(mm: Ptr<'Mm'>): number {
  return Mm.rss_anon.get(mm) + Mm.rss_file.get(mm) + Mm.rss_shmem.get(mm);
}

/** Pages of program text. */
function text_pages(mm: Ptr<'Mm'>): number {
  return Math.ceil(Mm.end_code.get(mm) / 4096) - Math.floor(Mm.start_code.get(mm) / 4096);
}

/** /proc/PID/statm, in pages. */
export function statm(subject: Subject): string | number {
  return with_task(subject, (task) =>
    with_mm(task, '0 0 0 0 0 0 0\n', (mm) => {
      const shared = Mm.rss_file.get(mm) + Mm.rss_shmem.get(mm);
      const data = Mm.data_vm.get(mm) + Mm.stack_vm.get(mm);
      return `${Mm.total_vm.get(mm)} ${resident_pages(mm)} ${shared} ${text_pages(mm)} 0 ${data} 0\n`;
    }),
  );
}
