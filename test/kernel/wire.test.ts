import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter, frame, FrameReader } from "../../src/kernel/wire.ts";

test("a reader gives back what a writer wrote, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.double(), fc.uint8Array())), (values) => {
      const out = new ByteWriter(8);
      for (const value of values) {
        if (typeof value === "string") out.text(value);
        else if (typeof value === "number") out.f64(value);
        else out.bytes(value);
      }
      const from = new ByteReader(out.take());
      for (const value of values) {
        if (typeof value === "string") assert.equal(from.text(), Buffer.from(value).toString());
        else if (typeof value === "number") assert.ok(Object.is(from.f64(), value));
        else assert.deepEqual(new Uint8Array(from.bytes()), value);
      }
      assert.ok(from.done);
    }),
  );
});

test("a short buffer is refused instead of read past its end", () => {
  const out = new ByteWriter();
  out.text("prediction");
  const whole = out.take();
  for (let cut = 0; cut < whole.length; cut++) {
    assert.throws(() => new ByteReader(whole.subarray(0, cut)).text(), RangeError);
  }
});

test("frames arrive whole however the stream was cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 50 })), {
        maxLength: 20,
      }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(([kind, payload]) => frame(kind, payload)));
        const seen: [number, Uint8Array][] = [];
        const reader = new FrameReader((kind, payload) => seen.push([kind, new Uint8Array(payload)]));
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          reader.push(stream.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(
          seen,
          frames.map(([kind, payload]) => [kind, new Uint8Array(payload)]),
        );
      },
    ),
  );
});

test("a frame that claims more than the cap is refused", () => {
  const reader = new FrameReader(() => {});
  assert.throws(() => reader.push(Buffer.from([255, 255, 255, 255, 1])), RangeError);
});
