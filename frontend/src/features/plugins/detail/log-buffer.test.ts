import { describe, expect, it } from "vitest";
import { append, asText, type LogLine, parseLine, select } from "./log-buffer";

const line = (cursor: number, text = `line ${cursor}`, stream: LogLine["stream"] = "stdout"): LogLine => ({
  cursor: String(cursor),
  stream,
  text,
});

describe("the log's lines", () => {
  it("drops the oldest beyond the limit", () => {
    expect(append([line(1), line(2)], [line(3)], 2).map(({ cursor }) => cursor)).toEqual(["2", "3"]);
  });

  it("does not repeat the tail that a new stream begins with", () => {
    const shown = [line(1), line(2)];
    expect(append(shown, [line(2), line(3)]).map(({ cursor }) => cursor)).toEqual(["1", "2", "3"]);
    expect(append(shown, [line(2)])).toBe(shown);
  });

  it("selects by stream and text, in whatever case", () => {
    const lines = [line(1, "Started"), line(2, "start failed", "stderr"), line(3, "other")];
    expect(select(lines, "all", " START ")).toHaveLength(2);
    expect(select(lines, "stderr", "start")).toEqual([lines[1]]);
    expect(select(lines, "all", "")).toBe(lines);
  });

  it("takes terminal colours out and leaves what is no line", () => {
    const data = JSON.stringify({
      cursor: "1",
      stream: "stdout",
      text: "\u001b[31mred\u001b[0m \u001b]0;title\u0007x",
    });
    expect(parseLine(data)?.text).toBe("red x");
    expect(parseLine("{")).toBeNull();
    expect(parseLine('"text"')).toBeNull();
  });

  it("becomes a text file", () => {
    expect(asText([{ ...line(1), at: "2026-01-01T00:00:00Z" }])).toBe("2026-01-01T00:00:00Z\tstdout\tline 1\n");
  });
});
