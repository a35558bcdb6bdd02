/** devpts (pts(4)): the slave sides of pseudo-terminals by number, and ptmx. */
import { DEVPTS_MAGIC } from '../../abi/mount.ts';
import { make_dev, S_IFCHR, S_IFDIR } from '../../abi/stat.ts';
import { FILE_KIND_DEVPTS } from '../../vfs/file.ts';
import { INODE_KIND_DEVPTS } from '../../vfs/inode.ts';
import { FS_DEVPTS } from '../../vfs/super.ts';
import { number_tree, type PseudoNode, type Subject } from '../pseudo/node.ts';
import { register_pseudo } from '../pseudo/pseudo.ts';
import { PTMX_MAJOR, PTMX_MINOR } from './ptmx.ts';
import { PTS_MAJOR, Tty } from './tty.layout.ts';
import { tty_find, tty_put } from './tty.ts';

const NUMBER_BASE = 3072;
/** The group "tty", which may write to a terminal. */
const TTY_GID = 5;

/** Number and owner of the terminal of the lowest number from `number` on; null: there is none. */
function find(number: number): { number: number; uid: number } | null {
  const tty = tty_find(number);
  if (tty === 0) return null;
  const found = { number: Tty.number.get(tty), uid: Tty.uid.get(tty) };
  tty_put(tty);
  return found;
}

const SLAVE: PseudoNode = {
  name: '',
  mode: S_IFCHR | 0o620,
  rdev: (subject: Subject) => make_dev(PTS_MAJOR, subject.item),
  owner: (subject) => ({ uid: find(subject.item)?.uid ?? 0, gid: TTY_GID }),
};

const PTMX: PseudoNode = { name: 'ptmx', mode: S_IFCHR, rdev: () => make_dev(PTMX_MAJOR, PTMX_MINOR) };

const ROOT: PseudoNode = {
  name: '',
  mode: S_IFDIR | 0o755,
  children: [PTMX],
  others: [SLAVE],
  lookup(name) {
    if (!/^(0|[1-9][0-9]{0,5})$/.test(name)) return null;
    const found = find(Number(name));
    return found === null || found.number !== Number(name)
      ? null
      : { node: SLAVE, subject: { tid: 0, item: found.number } };
  },
  list(cookie, _subject, sink) {
    for (let found = find(cookie); found !== null; found = find(found.number + 1))
      if (!sink(String(found.number), { node: SLAVE, subject: { tid: 0, item: found.number } }, found.number)) return;
  },
};

number_tree(ROOT, NUMBER_BASE);

register_pseudo({
  name: 'devpts',
  magic: DEVPTS_MAGIC,
  fs_kind: FS_DEVPTS,
  inode_kind: INODE_KIND_DEVPTS,
  file_kind: FILE_KIND_DEVPTS,
  root: ROOT,
});
