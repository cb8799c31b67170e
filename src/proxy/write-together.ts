// Parts that leave in one write of the system.

import type { Socket } from "node:net";

/** Texts are latin-1. False: not all of it could leave, wait for `drain`. */
export function writeTogether(socket: Socket, parts: readonly (Buffer | string)[]): boolean {
  let more = true;
  socket.cork();
  for (const part of parts) if (part.length > 0) more = socket.write(part, "latin1");
  socket.uncork();
  // A corked stream says that it is full also when all of it leaves at once.
  return more || socket.writableLength === 0;
}
