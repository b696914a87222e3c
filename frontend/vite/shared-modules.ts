import { readFileSync } from "node:fs";
import path from "node:path";
import type { Plugin } from "vite";

/** Specifiers that plugin bundles import, and the module of the dashboard that answers each. */
export const SHARED_MODULES = {
  react: "src/shared/react.ts",
  "react/jsx-runtime": "src/shared/react-jsx-runtime.ts",
  "react/jsx-dev-runtime": "src/shared/react-jsx-dev-runtime.ts",
  "react-dom": "src/shared/react-dom.ts",
  "react-dom/client": "src/shared/react-dom-client.ts",
  "@nimbus/ui": "src/shared/nimbus-ui.ts",
} as const;

/** The gateway puts a fresh nonce here in every answer. */
export const NONCE_PLACEHOLDER = "__NIMBUS_CSP_NONCE__";

const MARKER = "<!-- nimbus:import-map -->";
const EARLY_SCRIPT = "src/theme/early.js";

/** Entry name of a shared module: what its file is called in the build. */
export function entryName(specifier: string): string {
  return `shared-${specifier.replace(/[^a-z]+/g, "-").replace(/^-/, "")}`;
}

/** The inline import map, which must precede every module script and preload. */
export function importMapTag(imports: Record<string, string>): string {
  return `<script type="importmap" nonce="${NONCE_PLACEHOLDER}">${JSON.stringify({ imports })}</script>`;
}

/**
 * Shares the dashboard's own React with plugin bundles.
 *
 * The shared modules are entries of the same build as the dashboard, so both reach the one React chunk: there is
 * no second copy to get out of step, and the dashboard itself does not depend on the import map. The map only
 * tells a plugin's `import "react"` where that chunk's public face is.
 */
export function sharedModules(root: string): Plugin {
  let building = false;
  let earlyScript = `/${EARLY_SCRIPT}`;
  return {
    name: "nimbus:shared-modules",
    configResolved(config) {
      building = config.command === "build";
    },
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url === "/plugin-frame") request.url = "/frame.html";
        next();
      });
    },
    buildStart() {
      if (!building) return;
      for (const [specifier, file] of Object.entries(SHARED_MODULES)) {
        this.emitFile({
          type: "chunk",
          id: path.join(root, file),
          name: entryName(specifier),
          preserveSignature: "strict",
        });
      }
    },
    generateBundle: {
      order: "pre",
      handler() {
        const source = readFileSync(path.join(root, EARLY_SCRIPT), "utf8");
        const reference = this.emitFile({ type: "asset", name: "early.js", source });
        earlyScript = `/${this.getFileName(reference)}`;
      },
    },
    transformIndexHtml: {
      order: "post",
      handler(html, context) {
        // The frame is told its theme by the dashboard, and has no storage to look it up in.
        const early = context.path.endsWith("/index.html") ? `\n    <script src="${earlyScript}"></script>` : "";
        const imports: Record<string, string> = {};
        for (const [specifier, file] of Object.entries(SHARED_MODULES)) {
          const chunk = Object.values(context.bundle ?? {}).find(
            (item) => item.type === "chunk" && item.isEntry && item.name === entryName(specifier),
          );
          if (context.bundle && !chunk) throw new Error(`the build holds no module for ${specifier}`);
          imports[specifier] = `/${chunk?.fileName ?? file}`;
        }
        if (!html.includes(MARKER)) throw new Error(`${context.path} lost its marker ${MARKER}`);
        return html.replace(MARKER, importMapTag(imports) + early);
      },
    },
  };
}
