// Bytes broken at will: replaced, put in, taken out, doubled.

import fc from "fast-check";

const ODD = [0, 9, 10, 13, 32, 34, 44, 48, 58, 59, 91, 123, 127, 128, 255];

export type Mutation = readonly [how: number, where: number, byte: number];

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.tuple(fc.nat(3), fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(...ODD)),
  { minLength: 1, maxLength: 4 },
);

export function mutated(bytes: Buffer, list: readonly Mutation[]): Buffer {
  let now = bytes;
  for (const [how, where, byte] of list) {
    const at = Math.floor(where * now.length);
    const [before, after] = [now.subarray(0, at), now.subarray(at)];
    if (how === 0) now = Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
    else if (how === 1) now = Buffer.concat([before, Buffer.from([byte]), after]);
    else if (how === 2) now = Buffer.concat([before, after.subarray(1)]);
    else now = Buffer.concat([before, after.subarray(0, 20), after]);
  }
  return now;
}
