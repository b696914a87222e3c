// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what is looked through here is source text
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const SOURCE = path.resolve(import.meta.dirname, "..");
/** Attributes that people read or hear. */
const SPOKEN = new Set(["alt", "aria-label", "aria-valuetext", "aria-description", "help", "label", "lead", "title"]);

/** Functions that say something to people. */
const SAID = new Set(["announce", "notify"]);

/** A word of a language: letters, not only a unit, a name of a type or an address. */
const isWord = (text: string) => /\p{L}{2}/u.test(text);

/** What stands in a component's source for people to read, with the line it is in. */
function literalsIn(name: string, source: string): string[] {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const note = (node: ts.Node, text: string) => {
    if (isWord(text))
      found.push(`${name}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${text.trim()}`);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isJsxText(node)) note(node, node.text);
    if (ts.isJsxExpression(node) && !ts.isJsxAttribute(node.parent)) noteWords(node.expression);
    if (ts.isJsxAttribute(node) && SPOKEN.has(node.name.getText())) {
      if (node.initializer && ts.isStringLiteral(node.initializer)) note(node, node.initializer.text);
      if (node.initializer && ts.isJsxExpression(node.initializer)) noteWords(node.initializer.expression);
    }
    if (ts.isCallExpression(node) && SAID.has(node.expression.getText())) noteWords(node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  /** Strings and templates, and either side of a choice between some. */
  const noteWords = (node: ts.Expression | undefined): void => {
    if (!node) return;
    if (ts.isStringLiteralLike(node)) note(node, node.text);
    if (ts.isTemplateExpression(node)) {
      for (const part of [node.head, ...node.templateSpans.map(({ literal }) => literal)]) note(node, part.text);
    }
    if (ts.isConditionalExpression(node)) {
      noteWords(node.whenTrue);
      noteWords(node.whenFalse);
    }
    if (ts.isBinaryExpression(node)) noteWords(node.right);
  };
  visit(file);
  return found;
}

describe("what people read", () => {
  it("stands in texts, ready for another language", () => {
    const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter(
      (file) => /\.tsx?$/.test(file) && !/\.test\.tsx?$|^api\/generated\/|^testing\//.test(file),
    );
    expect(files.length).toBeGreaterThan(100);
    const found = files.flatMap((file) => literalsIn(file, readFileSync(path.join(SOURCE, file), "utf8")));
    expect(found, found.join("\n")).toEqual([]);
  });

  it.each([
    ["<p>Hello there</p>", 1],
    ["<p>{'Hello'}</p>", 1],
    ["<p>{busy ? 'Saving…' : `${count} saved`}</p>", 2],
    ["<p>{busy && 'Saving…'}</p>", 1],
    ['<Field label="Name" />', 1],
    ["<Field label={`Name of ${one}`} />", 1],
    ['<Field label={texts.name} name="name" placeholder="https://" />', 0],
    ["const done = () => notify('Saved');", 1],
    ["<p>{texts.hello}: {count} · {size}</p>", 0],
  ])("is found in %s", (source, count) => {
    expect(literalsIn("x.tsx", source)).toHaveLength(count);
  });
});
