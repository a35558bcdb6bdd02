/**
 * Sockets that only messages refer to (Linux's net/unix/garbage.c): a socket's file may lie in a message that nobody
 * can receive any more, since all files of the socket where it waits lie in such messages too. References alone never
 * free them.
 *
 * A candidate is a socket whose file has no references but those in messages. What can be reached from sockets that
 * are not candidates, through messages and through connections that wait to be accepted, lives; the messages of the
 * other candidates are dropped, and the files in them go.
 */
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { File } from '../vfs/file.layout.ts';
import { FILE_KIND_SOCKET } from '../vfs/file.ts';
import { lock_sockets, socket_root, unlock_sockets } from './root.ts';
import { MARK_DONE, MARK_NONE, MARK_REACHED, SocketMessage, SocketRoot, UnixSocket } from './socket.layout.ts';
import { drop_messages } from './unix.ts';

type S = Ptr<'UnixSocket'>;

function is_candidate(socket: S): boolean {
  const file = UnixSocket.file.get(socket);
  const in_flight = UnixSocket.in_flight.get(socket);
  return in_flight > 0 && file !== 0 && File.refs.load(file) === in_flight;
}

function reach(socket: S): boolean {
  if (UnixSocket.mark.get(socket) !== MARK_NONE) return false;
  UnixSocket.mark.set(socket, MARK_REACHED);
  return true;
}

/** Reaches what a socket leads to; whether anything was new. */
function follow(socket: S): boolean {
  let found = false;
  UnixSocket.mark.set(socket, MARK_DONE);
  for (let child = UnixSocket.accept_head.get(socket); child !== 0; child = UnixSocket.accept_next.get(child))
    found = reach(child) || found;
  for (let m = UnixSocket.head.get(socket); m !== 0; m = SocketMessage.next.get(m)) {
    const files = SocketMessage.files.get(m) >> 2;
    for (let i = 0; i < SocketMessage.file_count.get(m); i++) {
      const file = U32[files + i] as Ptr<'File'>;
      if (File.kind.get(file) === FILE_KIND_SOCKET) found = reach(File.object.get(file) as S) || found;
    }
  }
  return found;
}

/** Frees sockets that nobody can reach any more. Cheap where no socket lies in a message. Called without locks. */
export function collect_sockets(): void {
  const root = socket_root();
  if (SocketRoot.in_flight.get(root) === 0) return;
  lock_sockets();
  const first = SocketRoot.first.get(root);
  for (let s = first; s !== 0; s = UnixSocket.next.get(s)) {
    // Connections that wait have no file: they live as long as their listener.
    const lives = UnixSocket.file.get(s) !== 0 && !is_candidate(s);
    UnixSocket.mark.set(s, lives ? MARK_REACHED : MARK_NONE);
  }
  for (let found = true; found; ) {
    found = false;
    for (let s = first; s !== 0; s = UnixSocket.next.get(s))
      if (UnixSocket.mark.get(s) === MARK_REACHED) found = follow(s) || found;
  }
  // The lost ones keep their records until their files go, after the lock; senders that are gone may lose theirs here.
  const lost: S[] = [];
  for (let s = first; s !== 0; s = UnixSocket.next.get(s))
    if (UnixSocket.mark.get(s) === MARK_NONE && UnixSocket.head.get(s) !== 0) lost.push(s);
  for (const socket of lost) drop_messages(socket);
  unlock_sockets();
}
