// What must hold for every build: the budget of the first load, and a document the content security policy accepts.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = process.env.NIMBUS_WEB_DIR ?? "dist";
const BUDGET = 200 * 1000;
const manifest = JSON.parse(readFileSync(`${dist}/build-manifest.json`, "utf8"));
const failures = [];

const seen = new Set();
function visit(key) {
  if (seen.has(key)) return;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) visit(next);
}
visit("index.html");
let total = 0;
for (const key of seen) total += gzipSync(readFileSync(`${dist}/${manifest[key].file}`)).length;
if (total > BUDGET) failures.push(`the first load is ${total} bytes of gzipped JavaScript, over ${BUDGET}`);

for (const name of ["index.html", "frame.html"]) {
  const html = readFileSync(`${dist}/${name}`, "utf8");
  const map = html.indexOf('<script type="importmap" nonce="__NIMBUS_CSP_NONCE__">');
  const firstModule = html.search(/<script[^>]*type="module"|<link[^>]*rel="modulepreload"/);
  if (map < 0) failures.push(`${name} has no import map with the nonce's placeholder`);
  if (firstModule < map) failures.push(`${name} names a module before the import map`);
  const inlineScripts = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>/g)];
  if (inlineScripts.length !== 1)
    failures.push(`${name} has ${inlineScripts.length} inline scripts, expected the map only`);
  if (/<style|\sstyle=|\son[a-z]+=/.test(html)) failures.push(`${name} has inline styles or handlers`);
}

if (failures.length > 0) {
  process.stderr.write(`${failures.map((failure) => `build check: ${failure}`).join("\n")}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(
    `build check: first load ${(total / 1000).toFixed(1)} kB of gzipped JavaScript, at most ${BUDGET / 1000}\n`,
  );
}
