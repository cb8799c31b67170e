import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { catalogue, SCORE_BOUNDS, translate, type FamilyType } from "../../src/catalogue.ts";
import { SCORE_BOUNDS as MEASURED_BOUNDS } from "../../src/measure/score-bounds.ts";

test("the OTLP name of every family translates to its Prometheus name", () => {
  for (const { name, otel, type } of catalogue) {
    assert.equal(translate(otel.name, otel.unit, type), name, `${otel.name} ${otel.unit}`);
  }
});

test("translation is that of Prometheus' OTLP receiver", () => {
  const known: [name: string, unit: string, type: FamilyType, expected: string][] = [
    ["http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"],
    ["http.server.active_requests", "{request}", "updowncounter", "http_server_active_requests"],
    ["system.network.io", "By", "counter", "system_network_io_bytes_total"],
    ["system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"],
    ["system.cpu.utilization", "1", "updowncounter", "system_cpu_utilization"],
    ["process_cpu_seconds_total", "s", "counter", "process_cpu_seconds_total"],
    ["fuel.speed", "m/s", "gauge", "fuel_speed_m_per_second"],
    ["9lives", "", "gauge", "_9lives"],
    ["a..b--c", "ms", "gauge", "a_b_c_milliseconds"],
  ];
  for (const [name, unit, type, expected] of known) assert.equal(translate(name, unit, type), expected);
});

test("a translated name is always a valid Prometheus name, and translates to itself", () => {
  const types: FamilyType[] = ["counter", "gauge", "updowncounter", "histogram"];
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/);
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 5 }),
      fc.constantFrom("s", "By", "1", "", "{request}", "ms"),
      fc.constantFrom(...types),
      (words, unit, type) => {
        const name = translate(words.join("."), unit, type);
        assert.match(name, /^[a-zA-Z_:][a-zA-Z0-9_:]*$/);
        assert.equal(translate(name, unit, type), name);
      },
    ),
  );
});

test("families are named once, and no family's series can be taken for another's", () => {
  const series = catalogue.flatMap(({ name, type }) =>
    type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  assert.equal(new Set(series).size, series.length);
  const open = catalogue.map(({ name, type }) => (type === "counter" ? name.replace(/_total$/, "") : name));
  assert.equal(new Set(open).size, open.length, "also without the _total of OpenMetrics");
});

test("names, dimensions and buckets follow the conventions", () => {
  for (const { name, type, labels, help, buckets } of catalogue) {
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.equal(new Set(labels).size, labels.length, name);
    for (const label of labels) {
      assert.match(label, /^[a-z][a-z0-9_]*$/, name);
      assert.ok(!["le", "quantile", "job", "instance"].includes(label), `${name}{${label}}`);
    }
    assert.ok(help.length > 0 && help.endsWith("."), `${name}: ${help}`);
    assert.equal(buckets !== undefined, type === "histogram", name);
    for (const [at, bound] of (buckets ?? []).entries()) {
      assert.ok(at === 0 || bound > (buckets?.[at - 1] ?? Infinity), `${name} ${bound}`);
    }
  }
});

test("families of event-time windows carry the basis", () => {
  for (const { name, labels } of catalogue) {
    const ofWindows =
      /^outrider_(window|quality)_/.test(name) && !/^outrider_quality_baseline(_margin_ratio)?$/.test(name);
    if (ofWindows) assert.ok(labels.includes("basis"), name);
  }
});

test("score bounds are the ones the measuring room counts by, and none is an integer", () => {
  assert.deepEqual(SCORE_BOUNDS, MEASURED_BOUNDS);
  assert.ok(SCORE_BOUNDS.every((bound) => !Number.isInteger(bound)));
});
