// The status page in a real browser: it shows the demo's figures, by keyboard and to a screen reader too, in light and dark.
// With STATUS_PICTURE=docs/status-page.png the picture of the README is made anew.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { until } from "../support/sidecar.ts";
import { ensureChromium } from "./support/install.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** For what never comes: it is wide enough for a machine that hardly runs. */
const PATIENCE_MS = 300_000;

let demo: ChildProcess | null = null;
let browser: Browser | null = null;
let api = "";

/** The demo, on free ports, so that a picture shows real figures. */
before(async () => {
  // Before the demo, whose time is limited: installing may take minutes.
  const { chromium: executablePath } = await ensureChromium();
  const free = Object.fromEntries(
    ["PROXY", "TELEMETRY", "API"].map((name) => [`OUTRIDER_${name}_LISTEN`, "127.0.0.1:0"]),
  );
  const child = spawn(process.execPath, [join(root, "src", "main.ts"), "demo", "--seconds", "1800"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...free },
  });
  demo = child;
  let text = "";
  child.stdout.on("data", (part: Buffer) => {
    text = (text + part.toString()).slice(-20_000);
  });
  await until(() => /status page +http/.test(text), PATIENCE_MS);
  api = /status page +(http:\S+)/.exec(text)?.[1] ?? "";
  const quiet = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
  ];
  const args = ["--no-sandbox", "--disable-gpu", ...quiet];
  browser = await chromium.launch({ executablePath, args, timeout: PATIENCE_MS });
  // Until there are labels, there is little to look at.
  await until(async () => {
    const status = (await (await fetch(`${api}/v1/status?window=1h`)).json()) as {
      models: { versions: { labels: number }[] }[];
    };
    return (
      status.models.length === 2 &&
      status.models.every(({ versions }) => versions.every((one) => one.labels > 60))
    );
  }, PATIENCE_MS);
});

after(async () => {
  await browser?.close();
  if (demo === null || demo.exitCode !== null) return;
  const gone = new Promise((resolve) => demo?.once("close", resolve));
  demo.kill("SIGINT");
  await gone;
});

async function open(
  options: { readonly colorScheme?: "light" | "dark"; readonly bypassCSP?: boolean } = {},
): Promise<{ page: Page; trouble: string[] }> {
  assert.ok(browser);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const trouble: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") trouble.push(message.text());
  });
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(api) && !request.url().startsWith("data:"))
      trouble.push(`asked for ${request.url()}`);
  });
  await page.goto(`${api}/`);
  await page.getByRole("heading", { name: "breast-cancer" }).waitFor();
  return { page, trouble };
}

test("it shows both models with their versions, figures, intervals and plots, and asks nobody else", async () => {
  const { page, trouble } = await open();
  const row = page.getByRole("region", { name: "version, stage" }).first().getByRole("row").nth(1);
  assert.match(await row.innerText(), /%.*\d\.\d+ +\d\.\d+ … \d\.\d+/s);
  await page.locator("figure canvas").nth(6).waitFor({ state: "attached" });
  // What it says of a look that took too long goes with the next one.
  await page
    .getByRole("status")
    .getByText(/well|attention/)
    .waitFor();
  const summary = await page.locator("figure [role=img]").first().getAttribute("aria-label");
  assert.match(summary ?? "", /Response time and first byte: latest response p50 [\d.]+ ms/);
  const picture = process.env["STATUS_PICTURE"];
  if (picture !== undefined && picture !== "") {
    await page.setViewportSize({ width: 1280, height: 1700 });
    await page.waitForTimeout(12_000);
    await page.screenshot({ path: join(root, picture) });
  }
  assert.deepEqual(trouble, []);
  await page.context().close();
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`nothing that the accessibility rules of WCAG 2.2 AA find stands in the way, in ${colorScheme}`, async () => {
    const { page } = await open({ colorScheme, bypassCSP: true });
    await page.addScriptTag({ content: axe });
    const found: unknown = await page.evaluate(
      `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }).then(({ violations }) =>
        violations.map(({ id, nodes }) => id + ": " + nodes.map((node) => node.html.slice(0, 120)).join(" | ")))`,
    );
    assert.deepEqual(found, []);
    await page.context().close();
  });
}

test("the keyboard alone reaches the figures, the window and the table behind a plot", async () => {
  const { page, trouble } = await open();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the figures");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.id"), "window");
  const asked = page.waitForRequest((request) => request.url().includes("window=1h"));
  await page.locator("#window").press("1");
  await asked;
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  assert.equal(await page.locator("#pause").getAttribute("aria-pressed"), "true");
  await page.keyboard.press("Space");
  const summary = page.locator("figure summary").first();
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.locator("figure table tbody tr").first().waitFor();
  assert.match(await page.locator("figure table").first().innerText(), /response p95/);
  assert.deepEqual(trouble, []);
  await page.context().close();
});

test("when the sidecar is gone, the page says since when there is no news", async () => {
  const { page } = await open();
  assert.ok(demo);
  const gone = new Promise((resolve) => demo?.once("close", resolve));
  demo.kill("SIGINT");
  await gone;
  await page.getByText(/No news since/).waitFor();
  await page.context().close();
});
