// What Node keeps of a socket for itself: looked at where node:http2 offers no other way, and always as if it might not be there.

import type { Socket } from "node:net";

/** A part of the socket's handle; null or undefined: there is none. */
export function ofHandle(socket: Socket, what: string): unknown {
  const handle: unknown = Reflect.get(socket, "_handle");
  return typeof handle === "object" && handle !== null ? Reflect.get(handle, what) : null;
}
