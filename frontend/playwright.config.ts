import { defineConfig } from "@playwright/test";

/*
 * screens: every screen in every state, against a stand-in of the gateway that each test has for itself.
 * flow: the main job against a real Nimbus at E2E_BASE_URL, signed in as E2E_USERNAME with E2E_PASSWORD.
 * first-run, install: against compose on an engine: a Nimbus that nobody has set up, with E2E_SETUP_CODE; then plugins
 *   from images that are in a container registry at E2E_IMAGE_REGISTRY.
 * console: every screen for people who run Nimbus, against the same; it has the plugin `boxed` beside the first-party ones.
 *
 * The screens are the same whatever Nimbus runs on, so they run once: not again with the compose stack.
 */
const baseURL = process.env.E2E_BASE_URL;
const compose = process.env.E2E_TARGET === "compose";
const firstRun = { name: "first-run", testDir: "e2e/engine", testMatch: "first-run.spec.ts", use: { baseURL } };
const flow = {
  name: "flow",
  testDir: "e2e/flow",
  timeout: 180_000,
  dependencies: compose ? ["first-run"] : [],
  use: { baseURL },
};
const install = {
  name: "install",
  testDir: "e2e/engine",
  testMatch: "install.spec.ts",
  dependencies: ["first-run"],
  use: { baseURL },
};
const console = { name: "console", testDir: "e2e/console", timeout: 60_000, use: { baseURL } };
const screens = { name: "screens", testDir: "e2e/screens", timeout: 120_000 };

export default defineConfig({
  outputDir: "test-results",
  fullyParallel: false,
  workers: 1,
  forbidOnly: process.env.CI === "true",
  reporter: [["list"]],
  expect: { timeout: 15_000 },
  projects: [
    ...(compose ? [firstRun] : [screens]),
    ...(baseURL ? [flow] : []),
    ...(compose && process.env.E2E_IMAGE_REGISTRY ? [install] : []),
    ...(baseURL && process.env.E2E_TARGET === "embedded" ? [console] : []),
  ],
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 800 },
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.NIMBUS_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
