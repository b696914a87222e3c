// Fails when src/api/generated is not what openapi.json gives: the client is generated aside and compared.
import { mkdtempSync, rmSync } from "node:fs";
import { committed, files, generate } from "./generate-client.mjs";

const fresh = mkdtempSync("node_modules/.api-check-");
try {
  generate(fresh);
  const [old, now] = [files(committed), files(fresh)];
  const stale = [...new Set([...old.keys(), ...now.keys()])].filter((name) => old.get(name) !== now.get(name));
  if (stale.length > 0) {
    process.stderr.write(`The API client is stale (${stale.join(", ")}). Run: npm run api:generate\n`);
    process.exitCode = 1;
  } else {
    process.stdout.write("The API client matches openapi.json.\n");
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
