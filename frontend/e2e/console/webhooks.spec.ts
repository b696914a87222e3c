import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, picture, watchConsole } from "../support";
import { look, signedInPage } from "./look";

/* Webhooks, against a real Nimbus that posts to a server of this test. */

interface Message {
  type?: string;
  signed: boolean;
}

let page: Page;
let calm: () => void;
let receiver: Server;
let address: string;
let answer = 204;
const received: Message[] = [];

test.beforeAll(async ({ browser, baseURL }) => {
  receiver = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      const { type } = JSON.parse(text) as { type?: string };
      received.push({ ...(type && { type }), signed: "webhook-signature" in request.headers });
      response.writeHead(answer).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  page = await signedInPage(browser, baseURL);
  calm = watchConsole(page);
});

test.afterAll(async () => {
  calm();
  await page.context().close();
  receiver.closeAllConnections();
  await new Promise<void>((resolve) => receiver.close(() => resolve()));
});

test("a webhook is added, tested, fed, paused, given a new secret and deleted", async () => {
  await page.goto("/webhooks");
  await expect(page.getByRole("heading", { name: "No webhooks" })).toBeVisible();
  await look(page, "webhooks-empty");
  await page.getByRole("button", { name: "Add webhook" }).click();
  const form = page.getByRole("dialog", { name: "Add a webhook" });
  await form.getByLabel("Name").fill("chat");
  await form.getByLabel("Address").fill("not an address");
  await form.getByLabel("Events").fill("io.nimbus.media.**");
  await form.getByRole("button", { name: "Add", exact: true }).click();
  await expect(form.getByLabel("Address")).toHaveAttribute("aria-invalid", "true");
  await expectAccessible(page);
  await form.getByLabel("Address").fill(address);
  await form.getByRole("button", { name: "Add", exact: true }).click();
  const secret = page.getByRole("dialog", { name: "The secret of chat" });
  await expect(secret.locator("code")).toHaveText(/^whsec_/);
  const first = (await secret.locator("code").textContent()) ?? "";
  await expectAccessible(page);
  await picture(page, "console-webhook-secret");
  await secret.getByRole("button", { name: "I have kept it" }).click();
  await expect(secret).toHaveCount(0);
  expect(await page.content()).not.toContain(first);

  await page.getByRole("button", { name: "Test chat" }).click();
  await expect(page.getByText("chat took the test message")).toBeVisible();
  expect(received.at(-1)?.signed).toBe(true);
  answer = 500;
  await page.getByRole("button", { name: "Test chat" }).click();
  await expect(page.getByText("chat did not take the test message")).toBeVisible();
  answer = 204;

  const { origin } = new URL(page.url());
  await page.request.post("/api/media", { data: { kind: "movie", title: "Told" }, headers: { origin } });
  await expect.poll(() => received.map(({ type }) => type)).toContain("io.nimbus.media.created.v1");
  await expect(page.getByText("1 delivered")).toBeVisible();
  await look(page, "webhooks");

  await page.getByRole("button", { name: "Pause chat" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await expect(page.getByText("Paused")).toBeVisible();
  await page.getByRole("button", { name: "Resume chat" }).click();
  await expect(page.getByText("Paused")).toHaveCount(0);
  await page.getByRole("button", { name: "New secret for chat" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "New secret" }).click();
  await expect(secret.locator("code")).not.toHaveText(first);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Change chat" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("talk");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Delete talk" }).click();
  await page.getByLabel("Type talk to go on").fill("talk");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("heading", { name: "No webhooks" })).toBeVisible();
});
