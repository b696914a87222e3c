/** `react-dom/client` as plugin bundles see it: the dashboard's own. */
import client from "react-dom/client";

export { createRoot, hydrateRoot } from "react-dom/client";
export const version = (client as { version?: string }).version;

export default client;
