/// <reference types="vitest/config" />
import path from "node:path";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { iconShards } from "./vite/icon-shards.ts";
import { sharedModules } from "./vite/shared-modules.ts";

const root = import.meta.dirname;
const gateway = process.env.NIMBUS_DEV_GATEWAY ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react(), tailwindcss(), iconShards(), sharedModules(root)],
  resolve: { alias: { "@": path.join(root, "src") } },
  server: {
    host: "127.0.0.1",
    // The gateway compares Origin with Host, so the Host of the dev server is passed on as it is.
    proxy: {
      "/api": { target: gateway, changeOrigin: false, ws: true },
      "/plugin-assets": { target: gateway, changeOrigin: false },
    },
  },
  build: {
    outDir: process.env.NIMBUS_WEB_DIR || "dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // Inlined files would be data: URLs, which the content security policy keeps to images.
    assetsInlineLimit: 0,
    manifest: "build-manifest.json",
    rolldownOptions: { input: { index: path.join(root, "index.html"), frame: path.join(root, "frame.html") } },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}", "vite/**/*.test.ts"],
    setupFiles: ["src/testing/setup.ts"],
    restoreMocks: true,
  },
});
