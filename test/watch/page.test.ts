// CPU and memory as the model server's own metrics page tells them, over real sockets; a hostile page harms nobody.

import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import fc from "fast-check";
import type { TargetOptions } from "../../src/watch/target.ts";
import { parseFigures } from "../../src/watch/page-figures.ts";
import { machine, PORT, watching } from "./watching.ts";

interface Page {
  readonly url: string;
  asked: number;
  text: string;
}

async function serve(t: TestContext, answer: RequestListener, path: string | null = null): Promise<Page> {
  const page: Page = { url: "", asked: 0, text: "" };
  const server = createServer((request, response) => {
    page.asked++;
    answer(request, response);
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => {
    if (path === null) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return Object.assign(page, {
    url: path === null ? `http://127.0.0.1:${port}/metrics` : `unix:${path}:/metrics`,
  });
}

/** As Python's prometheus_client writes it, between other families. */
const figures = (cpu: number, rss: number, started: number): string => `\
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes ${rss.toExponential()}
# TYPE process_start_time_seconds gauge
process_start_time_seconds ${started}
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total ${cpu}
# TYPE process_cpu_seconds_created gauge
my_process_cpu_seconds_total 999
`;

async function telling(t: TestContext): Promise<Page> {
  const page: Page = await serve(t, (_request, response) => response.end(page.text));
  return page;
}

const auto = (page: Page): TargetOptions => ({ ...PORT, page: { url: page.url, tls: null } });
const named = (page: Page): TargetOptions => ({ kind: "metrics", url: page.url, tls: null });

suite("a hidden model server", { concurrency: true }, () => {
  test("a listener whose process is not shown to us is read by its own page, and that is said once", async (t) => {
    const page = await telling(t);
    page.text = figures(12.5, 3e8, 1_700_000_000);
    const watch = watching(t, auto(page), machine(t));
    const sample = await watch.first();
    assert.deepEqual(sample, {
      source: "metrics",
      cpuSecondsTotal: 12.5,
      cpuUtilization: null,
      cpuLimit: null,
      memoryBytes: { rss: 3e8, workingSet: null },
      memoryLimitBytes: null,
      throttledSeconds: null,
      oomKills: null,
      processes: null,
      restarts: 0,
      pids: [],
    });
    page.text = figures(13, 3e8, 1_700_000_000);
    const next = await watch.next();
    assert.deepEqual([next?.cpuSecondsTotal, next?.cpuUtilization], [13, null]);
    assert.deepEqual([watch.errors, watch.said.length], [[], 1]);
  });

  test("one on another machine, too; where the process can be seen the page is never asked", async (t) => {
    const page = await telling(t);
    page.text = figures(1, 2, 3);
    const away = watching(t, { ...PORT, host: "192.0.2.1", page: { url: page.url, tls: null } }, machine(t));
    assert.equal((await away.first())?.source, "metrics");
    const asked = page.asked;
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50, cpu: 100, sockets: ["777"] });
    assert.equal((await watching(t, auto(page), fake).first())?.source, "procfs");
    assert.equal(page.asked, asked);
  });

  test("its counter goes on over restarts, also when the new life had used more than the old one", async (t) => {
    const page = await telling(t);
    page.text = figures(10, 1e8, 1_700_000_000);
    const watch = watching(t, named(page), machine(t));
    assert.equal((await watch.first())?.cpuSecondsTotal, 10);
    // The boot time that the start is computed from wobbles.
    page.text = figures(14, 1e8, 1_700_000_001);
    assert.equal((await watch.next())?.cpuSecondsTotal, 14);
    page.text = figures(2, 5e7, 1_700_000_100);
    assert.equal((await watch.next())?.cpuSecondsTotal, 16);
    page.text = figures(30, 5e7, 1_700_000_200.5);
    const last = await watch.next();
    assert.deepEqual([last?.cpuSecondsTotal, last?.restarts], [46, 2]);
  });

  test("workers or replicas that answer in turn are found out, said once and left out", async (t) => {
    for (const [one, two] of [
      [figures(10, 1, 1_700_000_000), figures(50, 1, 1_700_000_900)],
      [figures(10, 1, 1_700_000_000), figures(50, 1, 1_700_000_001)],
      ["process_cpu_seconds_total 10\n", "process_cpu_seconds_total 50\n"],
    ] as const) {
      const page = await telling(t);
      const watch = watching(t, named(page), machine(t));
      page.text = one;
      await watch.first();
      const told: (number | null | undefined)[] = [];
      for (const text of [two, one, two, one]) {
        page.text = text;
        told.push((await watch.next())?.cpuSecondsTotal);
        if (watch.errors.length > 0) break;
      }
      assert.equal(told.at(-1), undefined);
      assert.deepEqual(watch.errors, ["several_processes"]);
    }
  });

  test("without a start time one smaller figure is a restart", async (t) => {
    const page = await telling(t);
    const watch = watching(t, named(page), machine(t));
    page.text = "process_cpu_seconds_total 10\n";
    await watch.first();
    page.text = "process_cpu_seconds_total 1\n";
    const sample = await watch.next();
    assert.deepEqual([sample?.cpuSecondsTotal, sample?.restarts], [11, 1]);
  });

  test("what the page does not tell is left out", async (t) => {
    const page = await telling(t);
    page.text = "process_resident_memory_bytes 77\nprocess_cpu_seconds_total NaN\n";
    const sample = await watching(t, named(page), machine(t)).first();
    assert.deepEqual([sample?.cpuSecondsTotal, sample?.memoryBytes.rss], [null, 77]);
  });

  test("over a socket file", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrider-page-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const page = await serve(
      t,
      (_request, response) => response.end(figures(1, 2, 3)),
      join(folder, "model.sock"),
    );
    assert.equal((await watching(t, named(page), machine(t)).first())?.cpuSecondsTotal, 1);
  });
});

suite("a page that is not there", { concurrency: true }, () => {
  test("is asked for ever more rarely, and told by its reason", async (t) => {
    const page = await serve(t, (_request, response) => response.writeHead(404).end("no"));
    const watch = watching(t, named(page), machine(t));
    assert.equal(await watch.first(), null);
    for (let look = 0; look < 200; look++) await watch.next();
    assert.ok(page.asked < 12, `asked ${page.asked} times`);
    assert.equal(new Set(watch.errors).size, 1);
    assert.deepEqual([watch.errors[0], watch.said.length], ["metrics_missing", 1]);
  });

  test("the reason why the process is hidden is the one told; a page that comes up later is found", async (t) => {
    const page = await telling(t);
    page.text = "requests_total 1\n";
    const watch = watching(t, auto(page), machine(t));
    assert.equal(await watch.first(), null);
    assert.deepEqual(watch.errors, ["no_permission"]);
    page.text = figures(1, 2, 3);
    let sample = await watch.next();
    for (let look = 0; look < 4 && sample === null; look++) sample = await watch.next();
    assert.equal(sample?.source, "metrics");
  });

  test("nobody listening, a broken answer, another protocol and a page without end are told apart", async (t) => {
    const first = async (answer: RequestListener): Promise<string | undefined> => {
      const watch = watching(t, named(await serve(t, answer)), machine(t));
      assert.equal(await watch.first(), null);
      return watch.errors[0];
    };
    const reasons = await Promise.all([
      first((request) => request.socket.destroy()),
      first((_request, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("process_cpu_seconds_total 1\n");
        response.socket?.end();
      }),
      first((request) => request.socket.end("SSH-2.0-nothing\r\n\r\n")),
      first((_request, response) => {
        const chunk = "x".repeat(1024 * 1024);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on("drain", more);
        more();
      }),
    ]);
    const down = "metrics_unreachable";
    assert.deepEqual(reasons, [down, down, down, "metrics_too_large"]);
  });
});

test("a page is read whatever it holds", () => {
  assert.equal(parseFigures(""), "metrics_missing");
  assert.equal(
    parseFigures('process_cpu_seconds_total{w="1"} 1\nprocess_cpu_seconds_total{w="2"} 1\n'),
    "several_processes",
  );
  assert.deepEqual(parseFigures("process_cpu_seconds_total 1.5e1 1395066363000\n# EOF\n"), {
    cpuSeconds: 15,
    rssBytes: null,
    startedAt: null,
  });
  fc.assert(fc.property(fc.string(), (text) => void parseFigures(`process_cpu_seconds_total ${text}`)));
});
