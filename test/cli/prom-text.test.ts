import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePromText, quantileOf, sumOf } from "../../src/cli/prom-text.ts";

const SCRAPE = `# HELP t_seconds Time.
# TYPE t_seconds histogram
t_seconds_bucket{route="a",le="0.1"} 5
t_seconds_bucket{route="a",le="0.2"} 10
t_seconds_bucket{route="a",le="+Inf"} 10
t_seconds_count{route="a"} 10
c_total{outcome="ok",note="a \\"b\\",{x}"} 3
c_total{outcome="bad"} 4
`;

test("a scrape is read back with its labels", () => {
  const samples = parsePromText(SCRAPE);
  assert.equal(samples.length, 6);
  assert.equal(sumOf(samples, "c_total"), 7);
  assert.equal(sumOf(samples, "c_total", { outcome: "ok" }), 3);
});

test("quantiles are interpolated inside a bucket, and an empty histogram has none", () => {
  const samples = parsePromText(SCRAPE);
  assert.ok(Math.abs((quantileOf(samples, "t_seconds", 0.75) ?? 0) - 0.15) < 1e-12);
  assert.equal(quantileOf(samples, "absent_seconds", 0.5), null);
});
