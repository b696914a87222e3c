import { BundleLoadError } from "./bundle";

type Module = Record<string, unknown>;
type Import = (url: string) => Promise<Module>;

const nativeImport: Import = (url) => import(/* @vite-ignore */ url);

/**
 * Loads plugin bundles, each once.
 *
 * A browser remembers a module that failed to load and fails again without asking the network, so a retry uses a
 * URL that differs in its query, which the gateway ignores.
 */
export class BundleLoader {
  readonly #loads = new Map<string, Promise<Module>>();
  readonly #retries = new Map<string, number>();
  readonly #import: Import;

  constructor(load: Import = nativeImport) {
    this.#import = load;
  }

  /** The bundle's module. The same promise as long as nothing was forgotten, so that it can be given to `use`. */
  load(bundleUrl: string): Promise<Module> {
    const started = this.#loads.get(bundleUrl);
    if (started) return started;
    const retry = this.#retries.get(bundleUrl) ?? 0;
    const url = retry === 0 ? bundleUrl : `${bundleUrl}?retry=${retry}`;
    const loading = this.#import(url).catch((cause: unknown) => {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new BundleLoadError(detail, { cause });
    });
    this.#loads.set(bundleUrl, loading);
    return loading;
  }

  /** Make the next load a new attempt. */
  retry(bundleUrl: string): void {
    this.#loads.delete(bundleUrl);
    this.#retries.set(bundleUrl, (this.#retries.get(bundleUrl) ?? 0) + 1);
  }

  /** Drop every bundle that is not among these: its plugin was disabled or upgraded. */
  keepOnly(bundleUrls: ReadonlySet<string>): void {
    for (const url of this.#loads.keys()) {
      if (!bundleUrls.has(url)) this.#loads.delete(url);
    }
  }
}

export const bundles = new BundleLoader();
