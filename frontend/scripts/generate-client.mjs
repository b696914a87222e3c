// Writes the typed client of the gateway from openapi.json into a folder (default: src/api/generated).
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const committed = "src/api/generated";

/** Every file below a folder, by its path from there. */
export function files(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return [path.relative(folder, file), readFileSync(file, "utf8")];
    }),
  );
}

export function generate(folder) {
  execFileSync("node_modules/.bin/openapi-ts", {
    env: { ...process.env, NIMBUS_CLIENT_DIR: folder },
    stdio: ["ignore", "ignore", "inherit"],
  });
  // The generator's own comments link to pages of a package index; no file of the repository names one.
  for (const [name, text] of files(folder)) {
    const without = text.replace(/\{@link https?:\/\/\S*npmjs\S* (`[^`]+`)\}/g, "$1");
    if (without !== text) writeFileSync(path.join(folder, name), without);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) generate(committed);
