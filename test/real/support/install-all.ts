// Installs every real system at once: `node test/real/support/install-all.ts`. Each driver also installs what it needs by itself.

import {
  ensureAlertmanager,
  ensureChromium,
  ensureCollector,
  ensureNginx,
  ensurePrometheus,
  ensurePython,
} from "./install.ts";

console.log(await ensurePython());
console.log(await ensurePrometheus());
console.log(await ensureNginx());
console.log(await ensureChromium());
console.log(await ensureAlertmanager());
console.log(await ensureCollector());
