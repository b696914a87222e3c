// Written by `npm run ui:build` from the dashboard's sources. Change those.
/** Modules that come from the dashboard: give this to the bundler as `external`. */
export const external = [
  "react",
  "react/jsx-runtime",
  "react/jsx-dev-runtime",
  "react-dom",
  "react-dom/client",
  "@nimbus/ui",
];
