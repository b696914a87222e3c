/** A fetch that reaches one plugin's own routes and nothing else. */
export type PluginApi = (path: string, init?: RequestInit) => Promise<Response>;

const prefixOf = (pluginId: string) => `/api/plugins/${pluginId}/`;

const RESERVED = new Set(["enable", "disable", "ui-manifest"]);
const ENCODED_SEPARATOR = /%(2e|2f|5c|25|00)/i;

/** A path as a server reads it: `%65nable` and `enable/` are `enable`. */
function asServed(path: string): string {
  try {
    return decodeURIComponent(path).replace(/\/+$/, "");
  } catch {
    throw new TypeError(`${JSON.stringify(path)} is not encoded as addresses are`);
  }
}

/**
 * The URL of a plugin's route, after everything that a browser would normalise.
 *
 * @throws {TypeError} the path leaves `/api/plugins/{id}`, or is one of the platform's own calls below it.
 */
export function scopedUrl(pluginId: string, path: string, origin: string): string {
  const prefix = prefixOf(pluginId);
  const refuse = (why: string) =>
    new TypeError(`${JSON.stringify(path)} ${why}; a plugin calls below ${prefix} only`);
  const [beforeQuery = ""] = path.split(/[?#]/, 1);
  if (path.includes("\\") || ENCODED_SEPARATOR.test(beforeQuery)) throw refuse("holds an encoded separator or dot");
  if (path.startsWith("//") || /^[a-z][a-z0-9+.-]*:/i.test(path)) throw refuse("names another place");
  const url = new URL(prefix + path.replace(/^\//, ""), origin);
  if (url.origin !== origin || !url.pathname.startsWith(prefix)) throw refuse("leads out of the plugin");
  if (RESERVED.has(asServed(url.pathname.slice(prefix.length)))) throw refuse("is a call of the platform");
  return url.pathname + url.search;
}

/** Binds `fetch` to a plugin's prefix. Calls carry the user's session and never leave this origin. */
export function scopedApi(pluginId: string, origin: string = location.origin): PluginApi {
  return async (path, init) => {
    const answer = await fetch(scopedUrl(pluginId, path, origin), {
      ...init,
      mode: "same-origin",
      credentials: "same-origin",
    });
    // The gateway keeps a plugin's redirects below its prefix; whatever gets round that ends here.
    if (answer.redirected && !new URL(answer.url).pathname.startsWith(prefixOf(pluginId))) {
      await answer.body?.cancel();
      throw new TypeError(`the answer to ${JSON.stringify(path)} leads out of the plugin`);
    }
    return answer;
  };
}
