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

test("texts come back as they were, in latin-1 or beyond it, and are not read past their end", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.constant("größe"),
    fc.constant("模型"),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (values) => {
      const out = new ByteWriter(8);
      out.texts(values);
      out.u8(7);
      const whole = out.take();
      const from = new ByteReader(whole);
      assert.deepEqual(
        from.texts(),
        values.map((value) => Buffer.from(value).toString()),
      );
      assert.equal(from.u8(), 7);
      assert.throws(() => {
        const cut = new ByteReader(whole.subarray(0, whole.length - 2));
        cut.texts();
        cut.u8();
      }, RangeError);
    }),
  );
});

test("a buffer that was given back is written again", () => {
  const out = new ByteWriter();
  out.text("one");
  const first = out.take();
  out.recycle(first);
  out.text("two");
  const second = out.take();
  out.text("three");
  const third = out.take();
  assert.equal(third.buffer, first.buffer);
  assert.equal(new ByteReader(second).text(), "two");
  assert.equal(new ByteReader(third).text(), "three");
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
