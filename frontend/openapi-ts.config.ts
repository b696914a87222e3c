import { defineConfig } from "@hey-api/openapi-ts";

/** The typed client of the gateway, made from its committed description; `npm run api:check` finds a stale one. */
export default defineConfig({
  input: "./openapi.json",
  output: process.env.NIMBUS_CLIENT_DIR ?? "./src/api/generated",
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
});
