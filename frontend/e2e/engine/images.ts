import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

const FOLDER = path.join(import.meta.dirname, "shelf");
const PYTHON = process.env.PYTHON_IMAGE ?? "python:3.11-slim-bookworm";
/** Bytes that nothing compresses: what the pull shows in its progress. */
const WEIGHT = 6 * 1024 * 1024;
/** Layers of this size are slowed down while pulls are held, all but their end; the others are smaller. */
const LARGE = 2 * 1024 * 1024;
const END = 64 * 1024;
const PAUSE_MS = 100;

export interface Version {
  version: string;
  permissions: readonly string[];
  changes?: readonly string[];
  /** It ends as soon as it is started. */
  broken?: boolean;
}

/**
 * A container registry's front on loopback: what is pulled through it can be slowed down and held at its end, so that
 * a person, or a test, sees how far it is.
 *
 * @param registry host and port of the program behind it.
 * @param repository where the images of this run are, by a name of its own.
 */
export class Images {
  private readonly server: http.Server;
  private held: { go: Promise<void>; release: () => void } | null = null;
  /** Bytes of the large layer. */
  readonly weight = WEIGHT;
  /** How much of large layers has passed, and when. */
  readonly passed: { at: number; bytes: number }[] = [];

  constructor(
    private readonly registry: string,
    private readonly repository: string,
  ) {
    this.server = http.createServer((request, response) => this.pass(request, response));
  }

  async start(): Promise<void> {
    await new Promise<void>((done) => this.server.listen(0, "127.0.0.1", done));
  }

  /** From now on, large layers come piece by piece and stop before their end until the answer is called. */
  hold(): () => void {
    let release = () => {};
    const go = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.held = { go, release };
    return () => {
      this.held = null;
      release();
    };
  }

  name(tag: string): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}/${this.repository}:${tag}`;
  }

  /** Builds a version, pushes it, and takes it off the engine: whoever installs it has to pull. */
  async push({ version, permissions, changes, broken = false }: Version): Promise<string> {
    const image = this.name(version);
    const folder = mkdtempSync(path.join(tmpdir(), "nimbus-shelf-"));
    try {
      for (const file of ["Dockerfile", "server.py"]) copyFileSync(path.join(FOLDER, file), path.join(folder, file));
      writeFileSync(path.join(folder, "books"), randomBytes(WEIGHT));
      const manifest = {
        manifestVersion: 1,
        id: "shelf",
        name: "Shelf",
        version,
        description: "Says which version of it answers.",
        runtime: { image, timeouts: { start: "20s" } },
        permissions,
        routes: [{ path: "/version", methods: ["GET"], auth: "none" }],
        ...(changes && { changelog: [{ version, date: "2026-11-27", changes }] }),
      };
      writeFileSync(path.join(folder, "manifest.json"), JSON.stringify(manifest));
      const args = { PYTHON_IMAGE: PYTHON, VERSION: version, BROKEN: broken ? "yes" : "no" };
      const given = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
      await docker("build", "--quiet", "--tag", image, ...given, folder);
      await docker("push", "--quiet", image);
      await docker("image", "rm", "--force", image);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return image;
  }

  async stop(): Promise<void> {
    this.held?.release();
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  private async slowly(
    from: http.IncomingMessage,
    to: http.ServerResponse,
    size: number,
    go: Promise<void>,
  ): Promise<void> {
    let bytes = 0;
    for await (const piece of from) {
      to.write(piece);
      bytes += (piece as Buffer).length;
      this.passed.push({ at: Date.now(), bytes });
      await Promise.race([go, bytes < size - END ? setTimeout(PAUSE_MS) : go]);
    }
    to.end();
  }

  private pass(request: http.IncomingMessage, response: http.ServerResponse): void {
    const [host, port] = this.registry.split(":");
    const { method, url: target, headers } = request;
    const inner = http.request({ host, port, method, path: target, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      const size = Number(answer.headers["content-length"] ?? 0);
      if (this.held && method === "GET" && target?.includes("/blobs/") && size > LARGE) {
        void this.slowly(answer, response, size, this.held.go);
      } else {
        answer.pipe(response);
      }
    });
    inner.on("error", () => response.destroy());
    response.on("close", () => inner.destroy());
    request.pipe(inner);
  }
}

/** Runs the engine's command without stopping this process: what it pushes goes through the server above. */
async function docker(...args: string[]): Promise<void> {
  await promisify(execFile)("docker", args, { timeout: 120_000, env: { ...process.env, DOCKER_BUILDKIT: "0" } });
}
