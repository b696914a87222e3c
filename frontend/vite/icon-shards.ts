import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Plugin } from "vite";

const PREFIX = "virtual:icons/";
const RESOLVED = `\0${PREFIX}`;
const ALIAS = /export \{ default \} from '\.\/([a-z0-9-]+)\.mjs'/;

type IconNode = [tag: string, attributes: Record<string, string>][];

/**
 * Lucide's icons by name, in one small module per first letter.
 *
 * A manifest names its icon at run time, so the icons cannot be tree-shaken; one module with all of them would be
 * half a megabyte and a module each would be two thousand files. `virtual:icons/h` holds those that start with h.
 */
export function iconShards(): Plugin {
  const entry = createRequire(import.meta.url).resolve("lucide-react/dynamicIconImports.mjs");
  const folder = path.join(path.dirname(entry), "dist/esm/icons");

  async function iconNode(name: string): Promise<IconNode> {
    const file = path.join(folder, `${name}.mjs`);
    const alias = ALIAS.exec(readFileSync(file, "utf8"));
    if (alias?.[1]) return iconNode(alias[1]);
    const module = (await import(pathToFileURL(file).href)) as { __iconData: { node: IconNode } };
    return module.__iconData.node.map(([tag, { key: _key, ...attributes }]) => [tag, attributes]);
  }

  return {
    name: "nimbus:icon-shards",
    resolveId: (id) => (id.startsWith(PREFIX) ? `\0${id}` : null),
    async load(id) {
      if (!id.startsWith(RESOLVED)) return null;
      const letter = id.slice(RESOLVED.length);
      const names = readdirSync(folder)
        .filter((file) => file.startsWith(letter) && file.endsWith(".mjs") && file !== "index.mjs")
        .map((file) => file.slice(0, -".mjs".length));
      const nodes = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await iconNode(name)])));
      return `export default JSON.parse(${JSON.stringify(JSON.stringify(nodes))})`;
    },
  };
}
