import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { restoreBackup } from "./backups";

declare const jsdom: { reconfigure: (to: { url: string }) => void };
const file = new File(["a backup"], "notes.tar");
let close = () => {};

/** jsdom remembers the origin that it began with, so the server says that it may be asked from there. */
const OPEN = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*, content-type",
  "access-control-expose-headers": "retry-after",
};

/** A server for the browser's own way of sending. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer((request, response) => {
    response.setHeaders(new Headers(OPEN));
    if (request.method === "OPTIONS") response.end();
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  jsdom.reconfigure({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  close = () => {
    server.closeAllConnections();
    server.close();
  };
}

const problem = { type: "/problems/rate-limited", title: "x", status: 429, detail: "Two are under way already." };

function asked(anyVersion = false) {
  const controller = new AbortController();
  const onSent = vi.fn();
  const answer = restoreBackup("my notes", { file, anyVersion, signal: controller.signal, onSent });
  return { answer, onSent, cancel: () => controller.abort() };
}

describe("sending a backup", () => {
  afterEach(() => close());

  it("sends the file as it is, and tells when it has left", async () => {
    let seen = {};
    await serve(async (request, response) => {
      let body = "";
      for await (const piece of request) body += piece;
      seen = { body, method: request.method, url: request.url, type: request.headers["content-type"] };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ version: "1.0.0" }));
    });
    const { answer, onSent } = asked(true);
    expect(await answer).toEqual({ version: "1.0.0" });
    expect(seen).toEqual({
      body: "a backup",
      method: "POST",
      url: "/api/admin/plugins/my%20notes/restore?anyVersion=true",
      type: "application/x-tar",
    });
    expect(onSent).toHaveBeenLastCalledWith(file.size);
  });

  it("throws the problem that the server answers with", async () => {
    await serve((request, response) => {
      request.resume();
      response.writeHead(429, { "content-type": "application/problem+json", "retry-after": "10" });
      response.end(JSON.stringify(problem));
    });
    await expect(asked().answer).rejects.toMatchObject({
      status: 429,
      type: problem.type,
      message: problem.detail,
      retryAfter: 10,
    });
  });

  it("says when no answer came", async () => {
    await serve((request) => request.socket.destroy());
    vi.spyOn(console, "error").mockReturnValue();
    await expect(asked().answer).rejects.toMatchObject({ status: 0 });
  });

  it("ends when it is cancelled", async () => {
    let arrived = () => {};
    const arriving = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    await serve(() => arrived());
    const { answer, cancel } = asked();
    await arriving;
    cancel();
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
  });
});
