import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { PluginState, Reason, UiManifest } from "../../src/api/plugins";
import { type FakePlugin, fakePlugin } from "./plugins";

const dist = process.env.NIMBUS_WEB_DIR ?? path.resolve(import.meta.dirname, "../../dist");
const helloBundle = path.resolve(import.meta.dirname, "../../../plugins/hello/web/main.js");
const TYPES: Record<string, string> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
const STARTING: PluginState[] = ["building", "starting", "initializing", "ready"];

type Reply = (status: number, body?: unknown, headers?: Record<string, string>) => void;

/**
 * A gateway that a browser test has in its hand: the public HTTP interface with made-up plugins, so that every state
 * can be shown at will. What is proved against it is the dashboard's; the real thing has the flow tests.
 */
export class StandIn {
  readonly plugins = new Map<string, FakePlugin>();
  readonly user = {
    id: "0190-u",
    username: "admin",
    role: "admin" as "admin" | "user",
    createdAt: "2026-01-01T00:00:00Z",
  };
  system = {
    name: "Nimbus",
    version: "0.1.0",
    pluginsEnabled: true,
    safeMode: false,
    setupNeeded: false,
    runtime: "docker",
    registryReachable: true,
    notices: [] as { level: "info" | "warning" | "error"; message: string }[],
  };
  signedIn = false;
  /** Milliseconds between the states of a start; `null` leaves the states to the test. */
  pace: number | null = 120;
  /** Every request's method and path. */
  readonly seen: string[] = [];
  /** Paths that answer with a problem. */
  readonly failing = new Map<string, { status: number; detail: string }>();
  #generation = 1;
  #lastTransition = 0;
  #streams = new Set<ServerResponse>();
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #server: Server | null = null;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => this.#answer(request, response));
    await new Promise<void>((resolve) => this.#server?.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Gone, as when Nimbus is restarted; `start` brings it back on the same port. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => (this.#server ? this.#server.close(() => resolve()) : resolve()));
  }

  /** Closes what listens to events, as a broken network does. */
  dropStreams(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  add(...plugins: FakePlugin[]): void {
    for (const plugin of plugins) this.plugins.set(plugin.detail.id, plugin);
  }

  addHello(bundle = readFileSync(helloBundle, "utf8")): FakePlugin {
    const hello = fakePlugin(
      {
        id: "hello",
        name: "Hello",
        version: "0.1.0",
        author: "Nimbus",
        icon: "hand",
        description: "The smallest plugin worth reading: one public route, one for signed-in users, and a page.",
        capabilities: ["api", "ui"],
        permissions: ["media:read"],
        manifest: {
          manifestVersion: 1,
          id: "hello",
          name: "Hello",
          version: "0.1.0",
          runtime: { image: "nimbus-plugin-hello:0.1.0" },
          routes: [
            { path: "/hello", methods: ["GET"], auth: "none" },
            { path: "/status", methods: ["GET"], auth: "session" },
          ],
        },
      },
      {
        bundle,
        ui: {
          isolation: "module",
          navItems: [{ label: "Hello", path: "/", icon: "hand" }],
          pages: [{ path: "/", title: "Hello", export: "default" }],
        },
      },
    );
    this.add(hello);
    return hello;
  }

  set(id: string, state: PluginState, more: { reason?: Reason; enabled?: boolean; progress?: string } = {}): void {
    const plugin = this.plugins.get(id);
    if (!plugin) throw new Error(`no plugin ${id}`);
    const at = new Date().toISOString();
    this.#lastTransition += 1;
    plugin.transitions.push({
      id: this.#lastTransition,
      pluginId: id,
      fromState: plugin.detail.state,
      toState: state,
      at,
      cause: more.enabled === undefined ? "reconciler" : `user:${this.user.id}`,
      reason: more.reason ?? null,
    });
    plugin.log.push({ stream: "platform", text: `now ${state}` });
    Object.assign(plugin.detail, { state, since: at, reason: more.reason ?? null, progress: more.progress ?? null });
    if (more.enabled !== undefined) plugin.detail.enabled = more.enabled;
    this.send("plugin", this.#summary(plugin));
  }

  remove(id: string): void {
    this.plugins.delete(id);
    this.send("plugin-removed", { id });
  }

  send(event: string, data: unknown): void {
    this.#generation += 1;
    const text = `event: ${event}\nid: ${this.#generation}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const stream of this.#streams) stream.write(text);
  }

  #summary({ detail }: FakePlugin) {
    const { source, homepage, license, permissions, errors, createdAt, updatedAt, manifest, ...summary } = detail;
    return summary;
  }

  #later(step: () => void): void {
    if (this.pace === null) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      step();
    }, this.pace);
    this.#timers.add(timer);
  }

  #walk(id: string, states: PluginState[]): void {
    const [next, ...rest] = states;
    if (!next) return;
    this.#later(() => {
      const wanted = this.plugins.get(id)?.detail.enabled;
      if (wanted !== (next !== "disabled")) return;
      this.set(id, next, next === "building" ? { progress: "Step 2/5 : COPY . ." } : {});
      this.#walk(id, rest);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.url);
    this.seen.push(`${request.method} ${url.pathname}${url.search}`);
    const reply: Reply = (status, body, headers = {}) => {
      const type = status >= 400 ? "application/problem+json" : "application/json";
      response.writeHead(status, { "content-type": type, ...headers });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    const failure = this.failing.get(url.pathname);
    if (failure) {
      problem(reply, failure.status, "internal", failure.detail);
      return;
    }
    if (url.pathname.startsWith("/api/")) this.#api(request, response, url, reply);
    else if (url.pathname.startsWith("/plugin-assets/")) this.#asset(url, response);
    else this.#file(url, response);
  }

  #file(url: URL, response: ServerResponse): void {
    if (url.pathname.startsWith("/assets/")) {
      try {
        const body = readFileSync(path.join(dist, path.normalize(url.pathname)));
        response.writeHead(200, {
          "content-type": TYPES[path.extname(url.pathname)] ?? "application/octet-stream",
          "access-control-allow-origin": "*",
        });
        response.end(body);
      } catch {
        response.writeHead(404).end();
      }
      return;
    }
    const nonce = randomBytes(16).toString("base64");
    const framed = url.pathname === "/plugin-frame";
    const html = readFileSync(path.join(dist, framed ? "frame.html" : "index.html"), "utf8");
    response.writeHead(200, {
      "content-type": "text/html",
      "content-security-policy": framed
        ? `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox allow-scripts allow-forms`
        : `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'`,
    });
    response.end(html.replaceAll("__NIMBUS_CSP_NONCE__", nonce));
  }

  #asset(url: URL, response: ServerResponse): void {
    const [, , id = "", hash] = url.pathname.split("/");
    const plugin = this.plugins.get(id);
    if (!plugin || plugin.bundleHash !== hash) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": "text/javascript",
      "cache-control": "immutable, max-age=31536000",
      "access-control-allow-origin": "*",
    });
    response.end(plugin.bundle);
  }

  #api(request: IncomingMessage, response: ServerResponse, url: URL, reply: Reply): void {
    const key = `${request.method} ${url.pathname}`;
    switch (key) {
      case "GET /api/system":
        return reply(200, this.system);
      case "GET /api/setup":
        return reply(200, { needed: this.system.setupNeeded });
      case "POST /api/setup":
      case "POST /api/auth/login":
        return this.#enter(request, reply);
    }
    const slow = /^\/api\/plugins\/[a-z0-9-]+\/(echo|ticks)$/.exec(url.pathname)?.[1];
    if (slow === "echo") return this.#echo(request, response);
    if (slow === "ticks") return this.#ticks(response);
    const own = /^\/api\/plugins\/([a-z0-9-]+)\/(hello|status)$/.exec(url.pathname);
    if (own) return this.#route(own[1] ?? "", own[2] ?? "", reply);
    if (!this.signedIn) return problem(reply, 401, "unauthenticated", "Sign in first.");
    const one = /^\/api\/(admin\/)?plugins\/([a-z0-9-]+)(?:\/([a-z-]+))?$/.exec(url.pathname);
    switch (key) {
      case "GET /api/media":
        return this.#media(url, reply);
      case "GET /api/auth/me":
        return reply(200, this.user);
      case "GET /api/auth/sessions":
        return reply(200, { items: [thisBrowser()] });
      case "GET /api/downloads/queue":
        return reply(200, { items: [], next: null });
      case "POST /api/auth/logout":
        this.signedIn = false;
        return reply(204);
      case "POST /api/auth/password":
        return this.#changePassword(request, reply);
      case "GET /api/events/stream":
        return this.#stream(response);
      case "GET /api/ui/manifests":
        return reply(200, { items: this.#manifests() });
      case "GET /api/plugins":
        return reply(200, { items: [...this.plugins.values()].map((plugin) => this.#summary(plugin)), next: null });
      case "GET /api/admin/plugins":
        return reply(200, { items: [...this.plugins.values()].map(({ detail }) => detail), next: null });
      case "POST /api/admin/plugins/scan":
        return reply(200, { added: [], updated: [], removed: [], unchanged: [...this.plugins.keys()], invalid: [] });
    }
    const plugin = this.plugins.get(one?.[2] ?? "");
    if (!one || !plugin) return problem(reply, 404, "plugin-not-found", "There is no such plugin.");
    this.#plugin(plugin, one[3] ?? "", url, response, reply);
  }

  #plugin(plugin: FakePlugin, call: string, url: URL, response: ServerResponse, reply: Reply): void {
    const { id } = plugin.detail;
    switch (call) {
      case "":
        return reply(200, plugin.detail);
      case "enable":
        plugin.detail.enabled = true;
        this.#walk(id, STARTING);
        return reply(202, { plugin: plugin.detail, generation: this.#generation, settled: false });
      case "disable":
        plugin.detail.enabled = false;
        this.set(id, "stopping", { enabled: false });
        this.#walk(id, ["disabled"]);
        return reply(202, { plugin: plugin.detail, generation: this.#generation, settled: false });
      case "restart":
        this.#walk(id, STARTING.slice(1));
        return reply(202, { plugin: plugin.detail, generation: this.#generation, settled: false });
      case "permissions": {
        const requested = (plugin.detail.permissions ?? []).map((name) => ({
          name,
          description: `What ${name} lets it do`,
          granted: true,
          points: 1,
        }));
        return reply(200, {
          pluginId: id,
          version: plugin.detail.version,
          requested,
          decided: true,
          risk: { score: 2, level: "low", factors: [{ code: "x", points: 2, message: "It reads the library." }] },
        });
      }
      case "transitions":
        return reply(200, {
          items: plugin.transitions.filter((item) => item.id > Number(url.searchParams.get("after"))),
          next: null,
        });
      case "logs":
        response.writeHead(200, { "content-type": "text/event-stream" });
        for (const [index, line] of plugin.log.entries()) {
          const data = { cursor: String(index), at: new Date().toISOString(), ...line };
          response.write(`id: ${index}\nevent: log\ndata: ${JSON.stringify(data)}\n\n`);
        }
        this.#streams.add(response);
        response.on("close", () => this.#streams.delete(response));
        return;
    }
    problem(reply, 404, "not-found", "There is no such call.");
  }

  #manifests() {
    return [...this.plugins.values()]
      .filter(({ detail, ui }) => ui && (detail.state === "ready" || detail.state === "degraded"))
      .map(({ detail, ui, bundleHash }) => ({
        pluginId: detail.id,
        name: detail.name,
        version: detail.version,
        bundleUrl: `/plugin-assets/${detail.id}/${bundleHash}/web/main.js`,
        slots: [],
        ...ui,
        ...sandbox(detail.trusted, ui?.isolation),
      }));
  }

  #route(id: string, name: string, reply: Reply): void {
    const plugin = this.plugins.get(id);
    if (plugin?.detail.state !== "ready")
      return problem(reply, 404, "plugin-disabled", `The plugin ${id} is disabled.`);
    if (name === "hello") return reply(200, { message: "Hello, world!" });
    if (!this.signedIn) return problem(reply, 401, "unauthenticated", "Sign in first.");
    const { username, role } = this.user;
    reply(200, {
      message: `Hello, ${username}!`,
      user: username,
      role,
      media: 2,
      latest: ["Metropolis", "Nosferatu"],
    });
  }

  /** A library of this many items, a page at a time. */
  mediaItems = 0;

  #media(url: URL, reply: Reply): void {
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const until = Math.min(from + Number(url.searchParams.get("limit") ?? 50), this.mediaItems);
    const at = "2026-01-01T00:00:00Z";
    const items = Array.from({ length: until - from }, (_, index) => ({
      id: `m${from + index}`,
      kind: "movie",
      title: `Film ${from + index}`,
      year: 1900 + ((from + index) % 120),
      metadata: {},
      etag: '"1"',
      createdBy: "user:0190-u",
      createdAt: at,
      updatedAt: at,
    }));
    reply(200, { items, next: until < this.mediaItems ? String(until) : null });
  }

  /** What was sent comes back, with the method and the kind of body. */
  #echo(request: IncomingMessage, response: ServerResponse): void {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json" });
      const { method, headers } = request;
      response.end(JSON.stringify({ method, type: headers["content-type"], cookie: headers.cookie ?? null, text }));
    });
  }

  /** An answer that never ends, a line at a time. */
  #ticks(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/plain" });
    let count = 0;
    const timer = setInterval(() => {
      count += 1;
      response.write(`tick ${count}\n`);
    }, 30);
    response.on("close", () => {
      clearInterval(timer);
      this.seen.push("ticks ended");
    });
  }

  #changePassword(request: IncomingMessage, reply: Reply): void {
    read<{ currentPassword: string; newPassword: string }>(request, (body) => {
      const refuse = (status: number, type: string, path: string, message: string) =>
        reply(status, {
          type: `/problems/${type}`,
          title: type,
          status,
          detail: message,
          errors: [{ path, message }],
        });
      if (body.currentPassword === "slow down")
        return problem(reply, 429, "rate-limited", "Too many.", { "retry-after": "30" });
      if (!body.currentPassword.startsWith("correct"))
        return refuse(403, "forbidden", "/currentPassword", "The present password is wrong.");
      if (body.newPassword === "password")
        return refuse(422, "validation", "/newPassword", "a password that is not on every list");
      reply(204);
    });
  }

  #enter(request: IncomingMessage, reply: Reply): void {
    read<{ password: string; code?: string }>(request, (body) => {
      if (body.code !== undefined && body.code !== "first-code") {
        return problem(reply, 403, "forbidden", "The set-up code is wrong.");
      }
      if (body.password === "slow down")
        return problem(reply, 429, "rate-limited", "Too many.", { "retry-after": "30" });
      if (!body.password.startsWith("correct")) return problem(reply, 401, "unauthenticated", "Wrong.");
      this.signedIn = true;
      this.system.setupNeeded = false;
      reply(200, this.user);
    });
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(
      `retry: 300\n\nevent: reset\nid: ${this.#generation}\ndata: {"generation":${this.#generation}}\n\n`,
    );
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
  }
}

/** The body of a request, once it is here. */
function read<Body>(request: IncomingMessage, then: (body: Body) => void): void {
  let text = "";
  request.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on("end", () => then(JSON.parse(text) as Body));
}

/** As the gateway decides it. */
function sandbox(trusted: boolean, asked: UiManifest["isolation"] | undefined) {
  const sandboxReasons: UiManifest["sandboxReasons"] = [];
  if (!trusted) sandboxReasons.push("not-trusted");
  if (asked === "iframe") sandboxReasons.push("manifest");
  return { sandboxReasons, isolation: sandboxReasons.length > 0 ? "iframe" : "module" };
}

function problem(reply: Reply, status: number, type: string, detail: string, headers?: Record<string, string>): void {
  reply(status, { type: `/problems/${type}`, title: type, status, detail, instance: "req-1" }, headers);
}

/** The session of whoever looks. */
function thisBrowser() {
  const at = new Date().toISOString();
  return {
    id: "0190-s",
    createdAt: at,
    lastSeenAt: at,
    expiresAt: at,
    address: "127.0.0.1",
    userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    current: true,
  };
}
