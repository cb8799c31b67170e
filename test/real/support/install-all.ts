// Installs every real system at once: `node test/real/support/install-all.ts`. Each driver also installs what it needs by itself.

import {
  ensureAlertmanager,
  ensureChromium,
  ensureCollector,
  ensureHelm,
  ensureManifests,
  ensureNginx,
  ensurePrometheus,
  ensurePython,
} from "./install.ts";
import { ensureWstest } from "./wstest.ts";

console.log(await ensurePython());
console.log(await ensurePrometheus());
console.log(await ensureNginx());
console.log(await ensureChromium());
console.log(await ensureAlertmanager());
console.log(await ensureCollector());
console.log(await ensureHelm());
console.log(await ensureManifests());
console.log(await ensureWstest());
