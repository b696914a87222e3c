import { describe, expect, it } from "vitest";
import { inWords } from "./said";

const nameOf = (id: string) => (id === "hello" ? "Hello" : id);
const event = (type: string, data: unknown, source = "/nimbus") => ({ type, source, data });

describe("events in words", () => {
  it.each([
    ["io.nimbus.plugin.state-changed.v1", { pluginId: "hello", toState: "quarantined" }, "Hello: Quarantined"],
    ["io.nimbus.plugin.state-changed.v1", { pluginId: "gone", toState: "disabled" }, "gone: Off"],
    ["io.nimbus.media.created.v1", { title: "Metropolis" }, "Added to the library: Metropolis"],
    ["io.nimbus.media.deleted.v1", { title: "Metropolis" }, "Deleted from the library: Metropolis"],
    ["io.nimbus.download.completed.v1", { title: "film.mkv" }, "Download completed: film.mkv"],
    ["io.nimbus.user.created.v1", { username: "ada" }, "User added: ada"],
  ])("%s", (type, data, words) => {
    expect(inWords(event(type, data), nameOf)).toBe(words);
  });

  it.each([
    ["a state of a newer Nimbus", event("io.nimbus.plugin.state-changed.v1", { pluginId: "hello", toState: "new" })],
    ["another type", event("io.nimbus.media.painted.v1", { title: "x" })],
    ["no data", event("io.nimbus.media.created.v1", null)],
    ["a plugin that says what Nimbus would", event("io.nimbus.media.created.v1", { title: "x" }, "/plugins/hello")],
  ])("has none for %s", (_, unknown) => {
    expect(inWords(unknown, nameOf)).toBeNull();
  });
});
