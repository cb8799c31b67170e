import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { CertificateWatch } from "../../src/app/certificates.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import type { Log } from "../../src/kernel/log.ts";

test("a changed pair is applied once, one that cannot be used is reported and the next one still taken", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "outrider-cert-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [certFile, keyFile] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  const put = (file: string, text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  put(certFile, "cert-1");
  put(keyFile, "key-1");
  const applied: string[] = [];
  const warnings: string[] = [];
  const nothing = (): void => {};
  const log: Log = {
    debug: nothing,
    info: nothing,
    error: nothing,
    warn: (_fields, message) => warnings.push(message),
  };
  const watch = new CertificateWatch(
    { cert: certFile, key: keyFile },
    {
      purpose: "test",
      clock: systemClock,
      log,
      apply: ({ cert, key }) => {
        if (key === "key-bad") throw new Error("key mismatch");
        applied.push(`${cert} ${key}`);
      },
    },
  );
  await watch.look();
  await watch.look();
  assert.deepEqual(applied, [], "what was read at start is not applied again");
  put(keyFile, "key-bad");
  await watch.look();
  assert.equal(warnings.length, 1);
  put(certFile, "cert-2");
  put(keyFile, "key-2");
  await watch.look();
  await watch.look();
  assert.deepEqual(applied, ["cert-2 key-2"]);
  await watch.reload();
  assert.equal(applied.length, 2, "asked for, unchanged files are read again, too");
  rmSync(keyFile);
  await watch.look();
  assert.equal(warnings.length, 2);
});
